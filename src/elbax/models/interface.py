"""What a model is: a generative and an inference network, each written for one datum.

The library batches with `jax.vmap`; no method here sees a batch axis. Latents may be any pytree
of arrays (one array for one stochastic layer, a tuple for several).
"""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._types import PRNGKey, PyTree
from elbax.distributions import AbstractDistribution


class AbstractGenerative(eqx.Module):
    """p_theta(x, z) for one datum.

    A subclass needs `log_prob`, `sample_prior` and `mean`; the other methods are needed by some
    objectives only, and a model without one is refused there with an `InputError` that names it.
    Latents z may be any pytree of arrays. `elbax.models.Generative` is one behind a decoder.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from elbax.distributions import DiagonalNormal
    >>> class Line(AbstractGenerative):
    ...     slope: jax.Array
    ...
    ...     def _prior(self):
    ...         return DiagonalNormal(jnp.zeros(1), jnp.ones(1))
    ...
    ...     def log_prob(self, x, z):
    ...         noise = DiagonalNormal(self.slope * z, jnp.ones(1))
    ...         return self._prior().log_prob(z) + noise.log_prob(x)
    ...
    ...     def sample_prior(self, key):
    ...         return self._prior().sample(key)
    ...
    ...     def mean(self, z):
    ...         return self.slope * z
    >>> round(float(Line(jnp.array(2.0)).log_prob(jnp.zeros(1), jnp.zeros(1))), 6)  # -log(2 pi)
    -1.837877
    """

    @abc.abstractmethod
    def log_prob(self, x: Float[Array, "..."], z: PyTree) -> Float[Array, ""]:
        """Log p(x, z) in nats."""

    @abc.abstractmethod
    def sample_prior(self, key: PRNGKey) -> PyTree:
        """Draw z from p(z)."""

    @abc.abstractmethod
    def mean(self, z: PyTree) -> Float[Array, "..."]:
        """E[x | z], shaped like x."""

    def likelihood(self, z: PyTree) -> AbstractDistribution | None:
        """p(x | z) over the raveled datum, to check data by; None where it is not told."""
        return None

    # What follows only some methods need; a model without it is refused there, with the reason.

    def log_prior(self, z: PyTree) -> Float[Array, ""]:
        """Log p(z) in nats, for a KL warm-up."""
        raise self._lacks("log_prior(z)", "a KL warm-up or gdreg", "log p(z) by itself")

    def sample_data(self, z: PyTree, key: PRNGKey) -> Float[Array, "..."]:
        """Draw x from p(x | z), for the sleep phase and samples of data."""
        raise self._lacks(
            "sample_data(z, key)", "the sleep phase or a sample of data", "draws of x from p(x | z)"
        )

    def follow_prior(self, z: PyTree) -> PyTree:
        """Z itself, as T(noise; theta) at the noise that gives z: differentiable in theta only.

        The noise is T^{-1}(z) at the present theta, a constant; for gdreg.
        """
        raise self._lacks("follow_prior(z)", "gdreg", "z as a function of the prior's parameters")

    def _lacks(self, method: str, what: str, why: str) -> InputError:
        return InputError(
            f"{what} needs {why}; give {type(self).__name__} a method `{method}` "
            "(see elbax.models.AbstractGenerative)."
        )


class AbstractInference(eqx.Module):
    """q_phi(z | x) for one datum: the encoder runs once, then many samples are drawn from it.

    A subclass needs `encode`, `sample`, `log_prob` and `mean`; `is_reparameterized` is False where
    any latent is discrete. `elbax.models.Inference` is one behind an encoder.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from elbax.distributions import DiagonalNormal
    >>> class Halfway(AbstractInference):
    ...     share: jax.Array
    ...
    ...     def encode(self, x):
    ...         return DiagonalNormal(self.share * x, jnp.ones(1))
    ...
    ...     def sample(self, context, key):
    ...         return context.sample(key)
    ...
    ...     def log_prob(self, context, z):
    ...         return context.log_prob(z)
    ...
    ...     def mean(self, context):
    ...         return context.mean()
    >>> inference = Halfway(jnp.array(0.5))
    >>> inference.mean(inference.encode(jnp.ones(1))).tolist()
    [0.5]
    """

    @property
    def is_reparameterized(self) -> bool:
        """Whether samples are differentiable in the context: False if any latent is discrete."""
        return True

    @abc.abstractmethod
    def encode(self, x: Float[Array, "..."]) -> PyTree:
        """All that sampling and densities need of x: a pytree of arrays, such as a location."""

    @abc.abstractmethod
    def sample(self, context: PyTree, key: PRNGKey) -> PyTree:
        """Draw z given what `encode` returned, differentiable in the context where it can be."""

    @abc.abstractmethod
    def log_prob(self, context: PyTree, z: PyTree) -> Float[Array, ""]:
        """Log q(z | x) in nats."""

    @abc.abstractmethod
    def mean(self, context: PyTree) -> PyTree:
        """The posterior mean of z given x, shaped like a sample of z.

        Where there are several layers: each layer's mean given the means below it.
        """


class Model(eqx.Module):
    """A generative and an inference network, trained together.

    Args:
        generative: p(x, z), an `AbstractGenerative`.
        inference: q(z | x) over the same latents, an `AbstractInference`.

    >>> import jax
    >>> import elbax
    >>> model = elbax.linear_gaussian(3, 2, key=jax.random.key(0))
    >>> Model(model.generative, model.inference).inference is model.inference
    True
    """

    generative: AbstractGenerative
    inference: AbstractInference
