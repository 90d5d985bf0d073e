"""Jackknife variational inference."""

import equinox as eqx
import jax.numpy as jnp

from elbax._errors import InputError
from elbax._numerics import log_mean_exp, log_sum_exp_of_others, normalize_weights
from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, check_counts, checked


class JVI(AbstractBound):
    r"""Jackknife of order 1, `K L_K - (K - 1) (1/K) \sum_j L_{-j}`, L_{-j} without sample j.

    Removes the first-order bias of IWAE: an estimate of log p(x), not a bound on it; single
    values can lie above it, and g can be negative.

    References: Nowozin 2018, Debiasing evidence approximations: on importance-weighted
    autoencoders and jackknife variational inference, eq. 11.

    >>> JVI(2)(jnp.zeros((2, 1))).tolist()  # equal weights leave nothing to debias
    [0.0]
    """

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
        """The debiased value."""
        left_out = log_sum_exp_of_others(checked(self, log_w)) - jnp.log(self.k - 1.0)
        return self.k * log_mean_exp(log_w) - (self.k - 1) * jnp.mean(left_out, axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        r"""With p_ij = w_i / (1 - w_j), the weight of i where j is left out.

        `g_i = K w_i - (K - 1)/K \sum_{j != i} p_ij`, h the same of `w - w^2` and `p - p^2`.
        """
        w = normalize_weights(log_w)
        largest = jnp.arange(self.k)[:, None] == jnp.argmax(log_w, axis=0)
        # 1 / (1 - w_j) is at most 2 but for the largest weight; its share is formed by itself.
        inverse = jnp.where(largest, 0, 1 / (1 - jnp.where(largest, 0, w)))
        without_largest = normalize_weights(jnp.where(largest, -jnp.inf, log_w))
        first = w * (jnp.sum(inverse, axis=0) - inverse) + without_largest
        second = w**2 * (jnp.sum(inverse**2, axis=0) - inverse**2) + without_largest**2
        share = (self.k - 1) / self.k
        return self.k * w - share * first, self.k * (w - w**2) - share * (first - second)
