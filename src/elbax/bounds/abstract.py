r"""What a bound is: a function of log-weights with its derivatives; and any function as one.

For one datum a bound is a scalar G(log w_1 .. log w_T), a lower bound on log p(x) in
expectation. Gradient rules need its first derivative g_i = dG / d log w_i and the diagonal of
the second, h_i = d^2 G / d (log w_i)^2; the built-in bounds give both in closed form, any
other by automatic differentiation.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._checks import check_count, is_whole
from elbax._errors import InputError
from elbax._types import LogWeights, PerDatum

_ORDINARY = (-550.0, 550.0)  # nats, about which a bound must be finite


class AbstractBound(eqx.Module):
    """A bound: `bound(log_w [T, B]) -> [B]` in nats per datum, with `.num_samples` = T.

    To write one, subclass it with `num_samples` and `__call__`; override `derivatives` where a
    closed form is known, and set `rises_with_shift` where it is so. `Custom` wraps a plain function
    instead.

    >>> class Best(AbstractBound):
    ...     t: int = eqx.field(static=True)
    ...
    ...     @property
    ...     def num_samples(self):
    ...         return self.t
    ...
    ...     def __call__(self, log_w):
    ...         return jnp.max(log_w, axis=0) - jnp.log(self.t)
    >>> g, _ = Best(2).derivatives(jnp.array([[0.0], [1.0]]))
    >>> g.tolist()
    [[0.0], [1.0]]
    """

    rises_with_shift: ClassVar[bool] = False
    """Whether `G(log w + c) = G(log w) + c`: differences of G then keep all their digits."""

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

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """G with log w_i replaced by other_i, `[T, B]`, each i by itself; memory stays O(T)."""

        def value(i):
            return self(log_w.at[i].set(other[i]))

        return jax.lax.map(value, jnp.arange(log_w.shape[0]))


class Custom(AbstractBound):
    """A bound from any function of the log-weights of one datum, `[T] -> scalar`.

    Its derivatives come from automatic differentiation, so every gradient rule applies. Write
    exponentials with `jax.nn.logsumexp`: a function that is not finite for log-weights near -550
    or 550, where those of images lie, is refused.

    >>> median = Custom(jnp.median, num_samples=3)
    >>> median(jnp.array([[0.0], [1.0], [5.0]])).tolist()
    [1.0]
    """

    function: Callable[[Float[Array, " t"]], Float[Array, ""]] = eqx.field(static=True)
    t: int = eqx.field(static=True)

    def __init__(self, function: Callable[[Array], Array], num_samples: int):
        whole_number("num_samples", num_samples, "Custom")
        self.function, self.t = function, num_samples

    def __check_init__(self):
        """Refuse a function that is not finite where log-weights ordinarily lie.

        Of 28 x 28 binary images they are about -550 nats, whose exponential float32 has not.
        """
        for center in _ORDINARY:
            with jax.ensure_compile_time_eval():
                log_w = jnp.linspace(center - 10, center + 10, self.t, dtype=jnp.float32)
                value = self.function(log_w)
                good = jnp.shape(value) == () and bool(jnp.isfinite(value))
            if not good:
                raise InputError(
                    f"expected a finite scalar from the function of a Custom bound; got {value} "
                    f"for {self.t} log-weights near {center:g}, where those of images lie. Write "
                    "exponentials with jax.nn.logsumexp."
                )

    @property
    def num_samples(self) -> int:
        """Samples per datum, T."""
        return self.t

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The function, for each datum."""
        return jax.vmap(self.function, in_axes=1)(checked(self, log_w))


def _autodiff_derivatives(bound: AbstractBound, log_w: LogWeights):
    """G by one reverse pass; h one sample at a time, so that memory stays O(T)."""

    def gradient(log_w):
        # Data do not mix, so the gradient of the sum over data is each datum's own.
        return jax.grad(lambda v: jnp.sum(bound(v)))(log_w)

    def second_derivative(i):
        direction = jnp.zeros_like(log_w).at[i].set(1)
        return jax.jvp(gradient, (log_w,), (direction,))[1][i]

    return gradient(log_w), jax.lax.map(second_derivative, jnp.arange(log_w.shape[0]))


def checked(bound: AbstractBound, log_w: LogWeights) -> LogWeights:
    """`log_w` if it has as many samples as the bound, else an InputError."""
    if log_w.ndim != 2 or log_w.shape[0] != bound.num_samples:
        raise InputError(
            f"expected log_w of shape [{bound.num_samples}, B] for {bound}; got "
            f"{list(log_w.shape)}. Draw as many samples as the bound's num_samples."
        )
    return log_w


def check_counts(bound: AbstractBound) -> None:
    """Refuse counts of samples, `m` and `k`, that are not whole and positive."""
    for name in ("m", "k"):
        whole_number(name, getattr(bound, name, 1), type(bound).__name__)
    check_count(f"samples per datum of {bound}", bound.num_samples)


def whole_number(name: str, count: Any, owner: str) -> None:
    """Refuse what is no whole number of at least 1; 2.0 is none, for it is no count of samples."""
    if not is_whole(count) or count < 1:
        raise InputError(
            f"expected {name} >= 1 (a whole number of samples) for {owner}; got {name}={count!r}."
        )
