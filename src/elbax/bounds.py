r"""Multi-sample bounds: functions of the log-weights `log_w [K, B]`, and their derivatives.

For one datum a bound is a scalar G(log w_1 .. log w_T), a lower bound on log p(x) in
expectation. Gradient rules need its first derivative g_i = dG / d log w_i and the diagonal of
the second, h_i = d^2 G / d (log w_i)^2; the built-in bounds give both in closed form, any
other by automatic differentiation.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._numerics import log_mean_exp, normalize_weights
from elbax._types import LogWeights, PerDatum


class AbstractBound(eqx.Module):
    """A bound: `bound(log_w [T, B]) -> [B]` in nats per datum, with `.num_samples` = T.

    To write one, subclass it with `num_samples` and `__call__`; override `derivatives` where a
    closed form is known. `Custom` wraps a plain function instead.
    """

    @property
    @abc.abstractmethod
    def num_samples(self) -> int:
        """Samples per datum, T."""

    @abc.abstractmethod
    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The value G per datum, in nats."""

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """First derivative g and diagonal second derivative h, both `[T, B]`, here by autodiff."""
        return _autodiff_derivatives(self, log_w)


class VAE(AbstractBound):
    r"""The evidence lower bound averaged over m samples, `(1/m) \sum_i log w_i`.

    References: Kingma & Welling 2014, Auto-encoding variational Bayes, eq. 7.

    >>> VAE(2)(jnp.array([[-1.0], [-3.0]])).tolist()
    [-2.0]
    """

    m: int = eqx.field(static=True)

    def __check_init__(self):
        _check_counts(self)

    @property
    def num_samples(self) -> int:
        """Samples per datum, m."""
        return self.m

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Mean of the log-weights."""
        return jnp.mean(_checked(self, log_w), axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = 1/m`, `h = 0`."""
        return jnp.full_like(log_w, 1 / self.m), jnp.zeros_like(log_w)


class IWAE(AbstractBound):
    r"""The importance-weighted bound, `L_K = log (1/K) \sum_i w_i`.

    References: Burda, Grosse & Salakhutdinov 2015, Importance weighted autoencoders, eq. 8.

    >>> IWAE(2)(jnp.array([[0.0], [-jnp.inf]])).tolist()  # half of a weight of one: log(1/2)
    [-0.6931471824645996]
    """

    k: int = eqx.field(static=True)

    def __check_init__(self):
        _check_counts(self)

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Log of the mean weight."""
        return log_mean_exp(_checked(self, log_w))

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = w`, `h = w - w^2`, w the self-normalized weights."""
        w = normalize_weights(log_w)
        return w, w - w**2


class MIWAE(AbstractBound):
    r"""The mean of m independent IWAE bounds of k samples each, `(1/m) \sum_m L_k^(m)`.

    Rows m k .. m k + k - 1 of `log_w` are group m.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4 (MIWAE).

    >>> MIWAE(2, 1)(jnp.array([[-1.0], [-3.0]])).tolist()  # groups of one: the ELBO
    [-2.0]
    """

    m: int = eqx.field(static=True)
    k: int = eqx.field(static=True)

    def __check_init__(self):
        _check_counts(self)

    @property
    def num_samples(self) -> int:
        """Samples per datum, m k."""
        return self.m * self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Mean over groups of the log of the group's mean weight."""
        return jnp.mean(log_mean_exp(self._groups(_checked(self, log_w)), axis=1), axis=0)

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = w_mk / m`, `h = (w_mk - w_mk^2) / m`, normalized within each group over its k."""
        w = normalize_weights(self._groups(log_w), axis=1).reshape(log_w.shape)
        return w / self.m, (w - w**2) / self.m

    def _groups(self, log_w: LogWeights) -> Float[Array, " m group b"]:
        return log_w.reshape(self.m, self.k, log_w.shape[1])


class CIWAE(AbstractBound):
    r"""A convex combination on the same samples, `beta (1/K) \sum_i log w_i + (1 - beta) L_K`.

    `beta` in [0, 1]: 0 is IWAE, 1 is the ELBO. It may be an array, so that the runs of one
    compiled fleet can each have their own.

    References: Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    section 4 (CIWAE).

    >>> log_w = jnp.array([[-1.0], [-3.0]])
    >>> bool(CIWAE(2, beta=0.0)(log_w) == IWAE(2)(log_w))
    True
    """

    k: int = eqx.field(static=True)
    beta: float | Float[Array, ""] = 0.5

    def __check_init__(self):
        _check_counts(self)
        if isinstance(self.beta, int | float) and not 0 <= self.beta <= 1:
            raise InputError(
                f"expected beta in [0, 1] for CIWAE (0 is IWAE, 1 is the ELBO); got {self.beta}."
            )

    @property
    def num_samples(self) -> int:
        """Samples per datum, k."""
        return self.k

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """Mean of the log-weights and log of the mean weight, mixed."""
        log_w = _checked(self, log_w)
        elbo, iwae = jnp.mean(log_w, axis=0), log_mean_exp(log_w)
        # One weight of zero makes the ELBO -inf; it must not make beta = 0 a NaN.
        return jnp.where(self.beta == 0, 0, self.beta * elbo) + jnp.where(
            self.beta == 1, 0, (1 - self.beta) * iwae
        )

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """`g = beta / K + (1 - beta) w`, `h = (1 - beta) (w - w^2)`."""
        w = normalize_weights(log_w)
        return self.beta / self.k + (1 - self.beta) * w, (1 - self.beta) * (w - w**2)


class Custom(AbstractBound):
    """A bound from any function of the log-weights of one datum, `[T] -> scalar`.

    Its derivatives come from automatic differentiation, so every gradient rule applies.

    >>> median = Custom(jnp.median, num_samples=3)
    >>> median(jnp.array([[0.0], [1.0], [5.0]])).tolist()
    [1.0]
    """

    function: Callable[[Float[Array, " t"]], Float[Array, ""]] = eqx.field(static=True)
    t: int = eqx.field(static=True)

    def __init__(self, function: Callable[[Array], Array], num_samples: int):
        if num_samples < 1:
            raise InputError(f"expected num_samples >= 1; got {num_samples}.")
        self.function, self.t = function, num_samples

    @property
    def num_samples(self) -> int:
        """Samples per datum, T."""
        return self.t

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The function, for each datum."""
        return jax.vmap(self.function, in_axes=1)(_checked(self, log_w))


def _autodiff_derivatives(bound: AbstractBound, log_w: LogWeights):
    """G by one reverse pass; h one sample at a time, so that memory stays O(T)."""

    def gradient(log_w):
        # Data do not mix, so the gradient of the sum over data is each datum's own.
        return jax.grad(lambda v: jnp.sum(bound(v)))(log_w)

    def second_derivative(i):
        direction = jnp.zeros_like(log_w).at[i].set(1)
        return jax.jvp(gradient, (log_w,), (direction,))[1][i]

    return gradient(log_w), jax.lax.map(second_derivative, jnp.arange(log_w.shape[0]))


def _checked(bound: AbstractBound, log_w: LogWeights) -> LogWeights:
    if log_w.ndim != 2 or log_w.shape[0] != bound.num_samples:
        raise InputError(
            f"expected log_w of shape [{bound.num_samples}, B] for {bound}; got "
            f"{list(log_w.shape)}. Draw as many samples as the bound's num_samples."
        )
    return log_w


def _check_counts(bound: AbstractBound) -> None:
    for name in ("m", "k"):
        count = getattr(bound, name, 1)
        if count != int(count) or count < 1:
            raise InputError(
                f"expected {name} >= 1 (a whole number of samples) for "
                f"{type(bound).__name__}; got {name}={count}."
            )
