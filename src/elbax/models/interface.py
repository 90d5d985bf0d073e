"""What a model is: a generative and an inference network, each written for one datum.

The library batches with `jax.vmap`; no method here sees a batch axis. Latents may be any pytree
of arrays (one array for one stochastic layer, a tuple for several).
"""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from elbax._types import PRNGKey, PyTree


class AbstractGenerative(eqx.Module):
    """p_theta(x, z) for one datum."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "..."], z: PyTree) -> Float[Array, ""]:
        """Log p(x, z) in nats."""

    @abc.abstractmethod
    def sample_prior(self, key: PRNGKey) -> PyTree:
        """Draw z from p(z)."""

    @abc.abstractmethod
    def mean(self, z: PyTree) -> Float[Array, "..."]:
        """E[x | z], shaped like x."""


class AbstractInference(eqx.Module):
    """q_phi(z | x) for one datum: the encoder runs once, then many samples are drawn from it."""

    @abc.abstractmethod
    def encode(self, x: Float[Array, "..."]) -> PyTree:
        """All that sampling and densities need of x: a pytree of arrays, such as a location."""

    @abc.abstractmethod
    def sample(self, context: PyTree, key: PRNGKey) -> PyTree:
        """Draw z given what `encode` returned, differentiable in the context (reparameterized)."""

    @abc.abstractmethod
    def log_prob(self, context: PyTree, z: PyTree) -> Float[Array, ""]:
        """Log q(z | x) in nats."""

    @abc.abstractmethod
    def mean(self, context: PyTree) -> PyTree:
        """The posterior mean of z given x, shaped like a sample of z.

        Where there are several layers: each layer's mean given the means below it.
        """


class Model(eqx.Module):
    """A generative and an inference network, trained together."""

    generative: AbstractGenerative
    inference: AbstractInference
