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

from elbax._numerics import (
    bernoulli_log_prob,
    log_one_minus_exp,
    log_sinh_ratio,
    sinh_ratio_slope,
)
from elbax._types import PRNGKey

__all__ = [
    "AbstractDistribution",
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "DiagonalNormal",
    "DiscretisedLogistic",
]


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


class DiscretisedLogistic(AbstractDistribution):
    r"""Levels of intensity under a logistic distribution, rounded: a probability of each level.

    A value is a vector `[D]` of levels 0, 1/L, .., 1. With a logistic distribution function
    F(t) = 1 / (1 + exp(-(t - loc) / scale)) and half a level h = 1 / (2 L),

        P(x) = F(x + h) - F(x - h),  of 0 F(h) and of 1 the rest, 1 - F(1 - h),

    so that the L + 1 probabilities sum to one. Far from the location they are as exact as near it:
    the difference is `sigmoid(a) sigmoid(-b) (1 - exp(b - a))` with a and b the two ends.

    Args:
        loc: of the logistic, in intensities, `[D]`.
        scale: of the logistic, in intensities, `[D]`, positive; not checked, because it is traced.
        levels: L, the stored value that means intensity 1: 255 for bytes.

    References: Salimans, Karpathy, Chen & Kingma 2017, PixelCNN++, eq. 2, with one component.

    >>> p = DiscretisedLogistic(jnp.array([0.5]), jnp.array([0.1]), levels=2)
    >>> [round(float(jnp.exp(p.log_prob(jnp.array([x])))), 4) for x in (0.0, 0.5, 1.0)]
    [0.0759, 0.8483, 0.0759]
    """

    loc: Float[Array, " d"]
    scale: Float[Array, " d"]
    levels: int = eqx.field(static=True, default=255)

    def sample(self, key: PRNGKey) -> Float[Array, " d"]:
        """A logistic draw, rounded to a level and cut at 0 and 1; not reparameterizable."""
        noise = jax.random.logistic(key, self.loc.shape, self.loc.dtype)
        level = jnp.round(self.levels * (self.loc + self.scale * noise))
        return jnp.clip(level, 0, self.levels) / self.levels

    def log_prob(self, value: Float[Array, " d"]) -> Float[Array, ""]:
        """The log-probability of the levels nearest to `value`, summed: at most 0."""
        # In whole levels, which floats hold exactly: rounding errors then cancel between neighbors.
        level = jax.lax.stop_gradient(jnp.round(self.levels * value))
        width = 1 / (self.levels * self.scale)
        center = (level - self.levels * self.loc) * width
        lowest, highest = level <= 0, level >= self.levels
        below = jnp.where(lowest, 0, jax.nn.softplus(center - width / 2))
        above = jnp.where(highest, 0, jax.nn.softplus(-center - width / 2))
        between = jnp.where(lowest | highest, 0, log_one_minus_exp(width))
        return jnp.sum(between - below - above)

    def mean(self) -> Float[Array, " d"]:
        """The expectation over the levels, by `E[x] = sum over levels of P(more than it) / L`."""

        def add(level: Array, total: Array) -> Array:
            edge = (level + 0.5) / self.levels
            return total + jax.nn.sigmoid((self.loc - edge) / self.scale)

        total = jax.lax.fori_loop(0, self.levels, add, jnp.zeros_like(self.loc))
        return total / self.levels


class ContinuousBernoulli(AbstractDistribution):
    r"""Independent intensities in [0, 1] with a density that falls or rises as an exponential.

    A value is a vector `[D]`. With the logits l of the parameter lambda = sigmoid(l),

        p(x) = C(lambda) lambda^x (1 - lambda)^(1 - x) = exp(l x) / integral_0^1 exp(l t) dt.

    The constant C, which a Bernoulli log-probability of grey levels lacks, makes it a density; the
    logarithm of C has a removable singularity at lambda = 1/2, near which it is a series.

    Args:
        logits: l, `[D]`: 0 is the uniform density, the mean lies below 1/2 where l is negative.

    References: Loaiza-Ganem & Cunningham 2019, The continuous Bernoulli, section 3.

    >>> p = ContinuousBernoulli(jnp.array([2.0]))
    >>> round(float(p.log_prob(jnp.array([1.0]))), 6)  # log(2 e^2 / (e^2 - 1))
    0.838561
    >>> round(float(p.mean()[0]), 6)  # not sigmoid(2)
    0.656518
    """

    logits: Float[Array, " d"]

    def sample(self, key: PRNGKey) -> Float[Array, " d"]:
        """By the inverse distribution function, `log(1 + u (exp(l) - 1)) / l`."""
        u = jax.random.uniform(key, self.logits.shape, self.logits.dtype)
        steep = jnp.abs(self.logits) > 1e-6
        size = jnp.where(steep, jnp.abs(self.logits), 1)
        # Of the falling density, whose exponential does not overflow; the rising one mirrors it.
        drawn = jnp.where(steep, -jnp.log1p(u * jnp.expm1(-size)) / size, u)
        return jnp.clip(jnp.where(self.logits > 0, 1 - drawn, drawn), 0, 1)

    def log_prob(self, value: Float[Array, " d"]) -> Float[Array, ""]:
        """`l (value - 1/2) - log(sinh(l / 2) / (l / 2))`, summed."""
        return jnp.sum(self.logits * (value - 0.5) - log_sinh_ratio(self.logits))

    def mean(self) -> Float[Array, " d"]:
        """`1 / (1 - exp(-l)) - 1 / l`, not lambda."""
        return 0.5 + sinh_ratio_slope(self.logits)
