"""Importance-weighted bounds: VAE, IWAE, MIWAE, CIWAE."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._numerics import (
    log_mean_exp,
    log_sum_exp_of_others,
    mean_of_others,
    normalize_weights,
)
from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, check_counts, checked
from elbax.courses import Number, check_range, plain


class VAE(AbstractBound):
    r"""The evidence lower bound averaged over m samples, `(1/m) \sum_i log w_i`.

    References: Kingma & Welling 2014, Auto-encoding variational Bayes, eq. 7.

    >>> VAE(2)(jnp.array([[-1.0], [-3.0]])).tolist()
    [-2.0]
    """

    rises_with_shift: ClassVar[bool] = True
    m: int = eqx.field(static=True)

    def __check_init__(self):
        check_counts(self)

    @property
    def num_samples(self) -> int:
        """Samples per datum, m."""
        return self.m

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Mean of the log-weights."""
        return jnp.mean(checked(self, log_w), axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = 1/m`, `h = 0`."""
        return jnp.full_like(log_w, 1 / self.m), jnp.zeros_like(log_w)

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """The mean of the other log-weights and `other`."""
        return mean_of_others(log_w) * (1 - 1 / self.m) + other / self.m


class IWAE(AbstractBound):
    r"""The importance-weighted bound, `L_K = log (1/K) \sum_i w_i`.

    References: Burda, Grosse & Salakhutdinov 2015, Importance weighted autoencoders, eq. 8.

    >>> IWAE(2)(jnp.array([[0.0], [-jnp.inf]])).tolist()  # half of a weight of one: log(1/2)
    [-0.6931471824645996]
    """

    rises_with_shift: ClassVar[bool] = True
    k: int = eqx.field(static=True)

    def __check_init__(self):
        check_counts(self)

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Log of the mean weight."""
        return log_mean_exp(checked(self, log_w))

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = w`, `h = w - w^2`, w the self-normalized weights."""
        w = normalize_weights(log_w)
        return w, w - w**2

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """Log of the mean of the other weights and exp(`other`)."""
        return jnp.logaddexp(log_sum_exp_of_others(log_w), other) - jnp.log(1.0 * self.k)


class MIWAE(AbstractBound):
    r"""The mean of m independent IWAE bounds of k samples each, `(1/m) \sum_m L_k^(m)`.

    Rows m k .. m k + k - 1 of `log_w` are group m.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4 (MIWAE).

    >>> MIWAE(2, 1)(jnp.array([[-1.0], [-3.0]])).tolist()  # groups of one: the ELBO
    [-2.0]
    """

    rises_with_shift: ClassVar[bool] = True
    m: int = eqx.field(static=True)
    k: int = eqx.field(static=True)

    def __check_init__(self):
        check_counts(self)

    @property
    def num_samples(self) -> int:
        """Samples per datum, m k."""
        return self.m * self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Mean over groups of the log of the group's mean weight."""
        return jnp.mean(log_mean_exp(self._groups(checked(self, log_w)), axis=1), axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = w_mk / m`, `h = (w_mk - w_mk^2) / m`, normalized within each group over its k."""
        w = normalize_weights(self._groups(log_w), axis=1).reshape(log_w.shape)
        return w / self.m, (w - w**2) / self.m

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """Only the bound of i's own group changes."""
        groups = self._groups(log_w)
        others = log_sum_exp_of_others(groups, axis=1)
        new = jnp.logaddexp(others, self._groups(other)) - jnp.log(1.0 * self.k)
        change = (new - log_mean_exp(groups, axis=1)[:, None]) / self.m
        return self(log_w) + change.reshape(log_w.shape)

    def _groups(self, log_w: LogWeights) -> Float[Array, " m group b"]:
        return log_w.reshape(self.m, self.k, log_w.shape[1])


class CIWAE(AbstractBound):
    r"""A convex combination on the same samples, `beta (1/K) \sum_i log w_i + (1 - beta) L_K`.

    `beta` in [0, 1]: 0 is IWAE, 1 is the ELBO. It may be an array, so that the runs of one
    compiled fleet can each have their own; in an objective also a `Ramp` or `Learned`.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4 (CIWAE).

    >>> log_w = jnp.array([[-1.0], [-3.0]])
    >>> bool(CIWAE(2, beta=0.0)(log_w) == IWAE(2)(log_w))
    True
    """

    rises_with_shift: ClassVar[bool] = True
    k: int = eqx.field(static=True)
    beta: Number = 0.5

    def __check_init__(self):
        check_counts(self)
        check_range("beta", self.beta, " for CIWAE (0 is IWAE, 1 is the ELBO)")

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Mean of the log-weights and log of the mean weight, mixed."""
        log_w = checked(self, log_w)
        return self._mixed(jnp.mean(log_w, axis=0), log_mean_exp(log_w))

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = beta / K + (1 - beta) w`, `h = (1 - beta) (w - w^2)`."""
        w, beta = normalize_weights(log_w), plain(self.beta)
        return beta / self.k + (1 - beta) * w, (1 - beta) * (w - w**2)

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """Both parts replaced."""
        elbo = VAE(self.k).replaced(log_w, other)
        return self._mixed(elbo, IWAE(self.k).replaced(log_w, other))

    def _mixed(self, elbo: Array, iwae: Array) -> Array:
        # One weight of zero makes the ELBO -inf; it must not make beta = 0 a NaN.
        beta = plain(self.beta)
        first = jnp.where(beta == 0, 0, beta * elbo)
        return first + jnp.where(beta == 1, 0, (1 - beta) * iwae)
