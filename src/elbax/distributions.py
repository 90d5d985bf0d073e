"""Distributions of one datum: `sample` and `log_prob`, with every event axis summed.

They are pytrees of arrays. Batch with `jax.vmap`; nothing here has a batch axis.
"""

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._numerics import bernoulli_log_prob
from elbax._types import PRNGKey

__all__ = ["AbstractDistribution", "Bernoulli", "Categorical", "DiagonalNormal"]


class AbstractDistribution(eqx.Module):
    """A distribution over an array (or a pytree of arrays) that belongs to one datum.

    To write one, subclass it with the arrays it needs as fields, and `sample`, `log_prob` and
    `mean`. Set `is_reparameterized` where a sample is a differentiable function of the fields:
    rules that need a path are refused for latents without it.

    >>> class Poisson(AbstractDistribution):
    ...     log_rate: jax.Array
    ...
    ...     def sample(self, key):
    ...         return jax.random.poisson(key, jnp.exp(self.log_rate)).astype(float)
    ...
    ...     def log_prob(self, value):
    ...         constant = jax.scipy.special.gammaln(value + 1)
    ...         return jnp.sum(value * self.log_rate - jnp.exp(self.log_rate) - constant)
    ...
    ...     def mean(self):
    ...         return jnp.exp(self.log_rate)
    >>> round(float(Poisson(jnp.zeros(2)).log_prob(jnp.zeros(2))), 4)
    -2.0
    """

    is_reparameterized: ClassVar[bool] = False
    """Whether samples are differentiable in the parameters."""

    @abc.abstractmethod
    def sample(self, key: PRNGKey) -> Array:
        """Draw one value; reparameterized where the distribution allows it."""

    @abc.abstractmethod
    def log_prob(self, value: Array) -> Float[Array, ""]:
        """Log-density (or log-probability) of `value` in nats, summed over event axes."""

    @abc.abstractmethod
    def mean(self) -> Array:
        """The expectation, shaped like one sample."""


class DiagonalNormal(AbstractDistribution):
    """Normal distribution with independent coordinates; a value is a vector `[Z]`.

    Args:
        loc: `[Z]`.
        scale: standard deviations, `[Z]`, positive; not checked, because they are traced.

    >>> q = DiagonalNormal(jnp.zeros(2), jnp.ones(2))
    >>> round(float(q.log_prob(jnp.zeros(2))), 6)  # -log(2 pi)
    -1.837877
    """

    is_reparameterized: ClassVar[bool] = True
    loc: Float[Array, " z"]
    scale: Float[Array, " z"]

    def sample(self, key: PRNGKey) -> Float[Array, " z"]:
        """`loc + scale * eps`, eps standard normal: differentiable in loc and scale."""
        # Drawn once: a compiler would rather draw them anew wherever the sample is read.
        noise = jax.random.normal(key, self.loc.shape, self.loc.dtype)
        return self.loc + self.scale * jax.lax.optimization_barrier(noise)

    def log_prob(self, value: Float[Array, " z"]) -> Float[Array, ""]:
        """`-1/2 ((value - loc) / scale)^2 - log scale - 1/2 log 2 pi`, summed."""
        standard = (value - self.loc) / self.scale
        constant = 0.5 * math.log(2 * math.pi)
        return jnp.sum(-0.5 * standard**2 - jnp.log(self.scale) - constant)

    def mean(self) -> Float[Array, " z"]:
        """The location."""
        return self.loc

    def follow(self, value: Float[Array, " z"]) -> Float[Array, " z"]:
        """`value` as the draw of its own, constant, noise: differentiable in loc and scale."""
        noise = jax.lax.stop_gradient((value - self.loc) / self.scale)
        return self.loc + self.scale * noise


class Bernoulli(AbstractDistribution):
    """Independent Bernoulli variables given by their logits; a value is a vector `[D]`.

    Args:
        logits: log p / (1 - p), `[D]`.

    `log_prob` also takes values between 0 and 1 (grey levels): a cross-entropy then, no
    log-probability, and the data room says so where it happens.

    >>> float(Bernoulli(jnp.array([0.0])).mean()[0])
    0.5
    """

    logits: Float[Array, " d"]

    def sample(self, key: PRNGKey) -> Float[Array, " d"]:
        """Draw zeros and ones; not reparameterizable."""
        return jax.random.bernoulli(key, jax.nn.sigmoid(self.logits)).astype(self.logits.dtype)

    def log_prob(self, value: Float[Array, " d"]) -> Float[Array, ""]:
        """`value * logits - softplus(logits)`, summed."""
        return bernoulli_log_prob(self.logits, value)

    def mean(self) -> Float[Array, " d"]:
        """The probabilities."""
        return jax.nn.sigmoid(self.logits)


class Categorical(AbstractDistribution):
    """Independent categorical variables given by their logits; a value is one-hot, `[Z, C]`.

    Args:
        logits: `[Z, C]`, Z variables of C categories; rows need not be normalized.

    >>> q = Categorical(jnp.zeros((1, 4)))
    >>> round(float(q.log_prob(jnp.array([[0.0, 1.0, 0.0, 0.0]]))), 6)  # log(1/4)
    -1.386294
    """

    logits: Float[Array, " z c"]

    def sample(self, key: PRNGKey) -> Float[Array, " z c"]:
        """Draw one-hot rows; not reparameterizable."""
        index = jax.random.categorical(key, self.logits, axis=-1)
        return jax.nn.one_hot(index, self.logits.shape[-1], dtype=self.logits.dtype)

    def log_prob(self, value: Float[Array, " z c"]) -> Float[Array, ""]:
        """The chosen log-probabilities, summed."""
        return jnp.sum(value * jax.nn.log_softmax(self.logits, axis=-1))

    def mean(self) -> Float[Array, " z c"]:
        """The probabilities."""
        return jax.nn.softmax(self.logits, axis=-1)
