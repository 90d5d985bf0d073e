"""A bound of the first samples alone, where the other network's bound takes more."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._types import LogWeights, PerDatum
from elbax.bounds.abstract import AbstractBound, checked, whole_number


class First(AbstractBound):
    """Another bound, of the first of t samples; the rest have no weight in it.

    An objective draws as many samples for both networks. With this the generative network can be
    trained by fewer of them, at the variance of fewer, than the inference network.

    >>> from elbax.bounds import VAE
    >>> First(VAE(2), 3)(jnp.array([[-1.0], [-3.0], [7.0]])).tolist()
    [-2.0]
    """

    bound: AbstractBound
    t: int = eqx.field(static=True)

    def __check_init__(self):
        whole_number("t", self.t, "First")
        if self.t < self.bound.num_samples:
            raise InputError(
                f"expected at least the {self.bound.num_samples} samples of {self.bound} for "
                f"First; got t={self.t}."
            )

    @property
    def rises_with_shift(self) -> bool:  # type: ignore[override]
        """As the bound does."""
        return self.bound.rises_with_shift

    @property
    def num_samples(self) -> int:
        """Samples per datum, t."""
        return self.t

    def __call__(self, log_w: LogWeights) -> PerDatum:
        """The bound of the first samples."""
        return self.bound(self._first(checked(self, log_w)))

    def derivatives(self, log_w: LogWeights) -> tuple[LogWeights, LogWeights]:
        """Those of the bound, and zeros."""
        g, h = self.bound.derivatives(self._first(log_w))
        rest = jnp.zeros_like(log_w[self.bound.num_samples :])
        return jnp.concatenate([g, rest]), jnp.concatenate([h, rest])

    def replaced(self, log_w: LogWeights, other: LogWeights) -> LogWeights:
        """The rest replaced change nothing."""
        new = self.bound.replaced(self._first(log_w), self._first(other))
        same = jnp.broadcast_to(self(log_w), log_w[self.bound.num_samples :].shape)
        return jnp.concatenate([new, same])

    def _first(self, log_w: LogWeights) -> Float[Array, "first b"]:
        return log_w[: self.bound.num_samples]
