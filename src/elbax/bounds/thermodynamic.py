"""The thermodynamic variational objective."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from elbax._errors import InputError
from elbax._numerics import normalize_weights
from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, check_counts, checked

KNOTS = (0.0, 0.01, 0.03, 0.1, 0.3)  # close where the integrand bends most


class TVO(AbstractBound):
    r"""Thermodynamic variational objective, `\sum_j (b_{j+1} - b_j) \sum_i s_i(b_j) log w_i`.

    s(b) is the softmax of b log w: self-normalized weights of the path from q (b = 0) to the
    posterior (b = 1), and log p(x) is the integral over b of the mean of log w. The sum takes the
    integrand at the left end of each interval, which makes it a lower bound: on the same samples
    it is never above IWAE. One knot, (0,), is the ELBO.

    Args:
        k: samples per datum.
        knots: the left ends b_0 = 0 < b_1 < .. < 1; the last interval ends at 1.

    References: Masrani, Le & Wood 2019, The thermodynamic variational objective, eq. 8.

    >>> TVO(2, knots=(0.0,))(jnp.array([[-1.0], [-3.0]])).tolist()
    [-2.0]
    """

    rises_with_shift: ClassVar[bool] = True
    k: int = eqx.field(static=True)
    knots: tuple[float, ...] = eqx.field(static=True, default=KNOTS)

    def __check_init__(self):
        check_counts(self)
        rising = all(a < b for a, b in zip(self.knots, (*self.knots[1:], 1.0), strict=True))
        if not self.knots or self.knots[0] != 0 or not rising:
            raise InputError(f"expected knots 0 = b_0 < b_1 < .. < 1; got {self.knots}.")

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The left Riemann sum."""
        terms = [width * _mean(s, checked(self, log_w)) for width, _, s in self._intervals(log_w)]
        return sum(terms[1:], start=terms[0])

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """Per interval, with r_i = log w_i less its mean under s, and summed with the widths.

        `g_i = s_i (1 + b r_i)`, `h_i = b s_i (1 - s_i)(1 + b r_i) + b s_i (1 - g_i)`.
        """
        first, second = jnp.zeros_like(log_w), jnp.zeros_like(log_w)
        for width, b, s in self._intervals(log_w):
            rest = log_w - _mean(s, log_w)
            rest = jnp.where((s == 0) | ~jnp.isfinite(rest), 0, rest)
            g = s * (1 + b * rest)
            first += width * g
            second += width * b * (s * (1 - s) * (1 + b * rest) + s * (1 - g))
        return first, second

    def _intervals(self, log_w: LogWeights):
        """Width, left end b and weights s of every interval."""
        for left, right in zip(self.knots, (*self.knots[1:], 1.0), strict=True):
            tempered = left * log_w if left > 0 else jnp.zeros_like(log_w)
            yield right - left, left, normalize_weights(tempered)


def _mean(s: LogWeights, log_w: LogWeights) -> PerDatum:
    """The mean of log w under s, where a weight of zero has no share."""
    return jnp.sum(jnp.where(s == 0, 0, s * log_w), axis=0)
