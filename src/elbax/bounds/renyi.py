"""Variational Renyi bounds: any bound at a temperature, from the ELBO (alpha 1) to itself (0)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, check_counts, checked
from elbax.bounds.importance import IWAE
from elbax.courses import Number, check_range, plain


class Tempered(AbstractBound):
    """Another bound at a temperature, `G((1 - alpha) log w) / (1 - alpha)`.

    `alpha` in [0, 1]: 0 is the bound itself; at 1 it is its limit, the ELBO for every symmetric
    bound. Lowering alpha from 1 to 0 while training (a `Ramp`) is a warm-up that stays a bound.

    References: Li & Turner 2016, Renyi divergence variational inference; Daudel, Benton, Shi &
    Doucet 2023, Alpha-divergence variational inference meets importance weighted auto-encoders,
    eq. 6 (of IWAE).

    >>> log_w = jnp.array([[-1.0], [-3.0]])
    >>> bool(Tempered(IWAE(2), alpha=0.0)(log_w) == IWAE(2)(log_w))
    True
    >>> Tempered(IWAE(2), alpha=1.0)(log_w).tolist()
    [-2.0]
    """

    bound: AbstractBound
    alpha: Number = 0.5

    def __check_init__(self):
        _check_alpha(self.alpha)

    @property
    def rises_with_shift(self) -> bool:  # type: ignore[override]
        """As the bound does."""
        return self.bound.rises_with_shift

    @property
    def num_samples(self) -> int:
        """Samples per datum, those of the bound."""
        return self.bound.num_samples

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The value, without cancellation near alpha = 1."""
        log_w = checked(self, log_w)
        s = jnp.asarray(1 - plain(self.alpha), log_w.dtype)
        scaled = _times(s, log_w)
        spread = jnp.max(scaled, axis=0) - jnp.min(scaled, axis=0)
        divided = self.bound(scaled) / jnp.where(s == 0, 1, s)
        value = jnp.where((s == 0) | (spread < 0.5), self._integral(scaled, log_w), divided)
        return jnp.where(s == 1, self.bound(log_w), value)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g(s log w)` and `s h(s log w)` of the bound, s = 1 - alpha."""
        s = jnp.asarray(1 - plain(self.alpha), log_w.dtype)
        g, h = self.bound.derivatives(_times(s, log_w))
        return g, s * h

    def _integral(self, scaled: LogWeights, log_w: LogWeights) -> PerDatum:
        r"""G(s v) / s as `\int_0^1 \sum_i g_i(t s v) v_i dt`, by Gauss-Legendre's five points.

        As s goes to 0 the quotient loses all its digits and this loses none; G(0) is 0.
        """
        nodes, weights = np.polynomial.legendre.leggauss(5)

        def at(node):
            g, _ = self.bound.derivatives(node * scaled)
            return jnp.sum(jnp.where(g == 0, 0, g * log_w), axis=0)

        values = jax.vmap(at)(jnp.asarray((nodes + 1) / 2, log_w.dtype))
        return jnp.asarray(weights / 2, log_w.dtype) @ values


class Renyi(AbstractBound):
    r"""The VR-IWAE bound, `1/(1 - alpha) log (1/K) \sum_i w_i^(1 - alpha)`.

    `alpha` in [0, 1]: 0 is IWAE, 1 is the ELBO. It may be an array, or in an objective a `Ramp`.

    References: Li & Turner 2016, Renyi divergence variational inference, eq. 9; Daudel, Benton,
    Shi & Doucet 2023, Alpha-divergence variational inference meets importance weighted
    auto-encoders, eq. 6.

    >>> Renyi(2, alpha=1.0)(jnp.array([[-1.0], [-3.0]])).tolist()
    [-2.0]
    """

    rises_with_shift: ClassVar[bool] = True
    k: int = eqx.field(static=True)
    alpha: Number = 0.5

    def __check_init__(self):
        check_counts(self)
        _check_alpha(self.alpha)

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """IWAE at a temperature; at alpha = 1 exactly the ELBO."""
        value = Tempered(IWAE(self.k), self.alpha)(checked(self, log_w))
        return jnp.where(plain(self.alpha) == 1, jnp.mean(log_w, axis=0), value)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = w_a`, `h = (1 - alpha)(w_a - w_a^2)`; w_a the softmax of (1 - alpha) log w."""
        return Tempered(IWAE(self.k), self.alpha).derivatives(log_w)


def _times(s, log_w: LogWeights) -> LogWeights:
    return jnp.where(s == 0, 0, s * log_w)  # a weight of zero must not make alpha = 1 a NaN


def _check_alpha(alpha: Number) -> None:
    check_range("alpha", alpha, " (0 is IWAE, 1 is the ELBO)")
