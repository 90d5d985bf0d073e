"""Jackknife variational inference."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from elbax._errors import InputError
from elbax._numerics import log_mean_exp, log_share_of_others, normalize_weights
from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, check_counts, checked


class JVI(AbstractBound):
    r"""Jackknife of order 1, `K L_K - (K - 1) (1/K) \sum_j L_{-j}`, L_{-j} without sample j.

    Removes the first-order bias of IWAE: an estimate of log p(x), not a bound on it; single
    values can lie above it, and g can be negative. As a training objective it is unbounded above:
    where one weight is nearly all, it exceeds IWAE by (K - 1)/K of the distance to the second
    largest, so an optimizer may raise it by degrading the encoder while log p(x) falls.

    References: Nowozin 2018, Debiasing evidence approximations: on importance-weighted
    autoencoders and jackknife variational inference, eq. 11.

    >>> JVI(2)(jnp.zeros((2, 1))).tolist()  # equal weights leave nothing to debias
    [0.0]
    """

    rises_with_shift: ClassVar[bool] = True
    k: int = eqx.field(static=True)

    def __check_init__(self):
        check_counts(self)
        if self.k < 2:
            raise InputError(
                f"expected k >= 2 for JVI, which leaves one sample out; got k={self.k}."
            )

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The debiased value, as L_K plus small terms: large log-weights cancel on paper.

        `L_K - L_{-j} = log(1 - 1/K) - log(1 - w_j)`, so that the value is
        `L_K + (K - 1) mean_j (L_K - L_{-j})`.
        """
        log_w = checked(self, log_w)
        full = jnp.log1p(-1 / jnp.asarray(self.k, log_w.dtype))
        raised = full - log_share_of_others(log_w)
        return log_mean_exp(log_w) + (self.k - 1) * jnp.mean(raised, axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        r"""Those of `K L_K` less `(K - 1)/K` times those of `sum_j L_{-j}`, without cancellation.

        With u_j = w_j / (1 - w_j) the weight of i where j is left out is w_i (1 + u_j), so that
        `g_i = w_i (2 - 1/K - (1 - 1/K) \sum_{j != i} u_j)`, and h_i is g_i less the same of w_i^2
        and `2 u_j + u_j^2`.
        """
        w = normalize_weights(log_w)
        largest = jnp.arange(self.k)[:, None] == jnp.argmax(log_w, axis=0)
        # u_j is at most 1 but for the largest weight; its share is formed by itself.
        rest = jnp.where(largest, 0, w)
        u = rest / (1 - rest)
        without_largest = normalize_weights(jnp.where(largest, -jnp.inf, log_w))
        share = 1 - 1 / self.k
        first = w * (jnp.sum(u, axis=0) - u) + jnp.where(largest, 0, without_largest - w)
        g = w * (1 + share) - share * first
        both = 2 * u + u**2
        second = w**2 * (jnp.sum(both, axis=0) - both)
        second += jnp.where(largest, 0, without_largest**2 - w**2)
        return g, g - (w**2 * (1 + share) - share * second)
