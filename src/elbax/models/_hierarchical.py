"""Any number of stochastic layers, continuous or discrete: deep VAEs and sigmoid belief networks.

q(z1 | x) q(z2 | z1) .. and p(zL) p(zL-1 | zL) .. p(x | z1). Latents are a tuple of arrays, nearest
to the data first; a conditional sees the layer before it raveled.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._types import PRNGKey
from elbax.distributions import AbstractDistribution, Bernoulli, Categorical, DiagonalNormal
from elbax.models._drawn import with_draws
from elbax.models.checks import check_config
from elbax.models.config import SBN, ModelConfig
from elbax.models.heads import (
    Head,
    data_head,
    encoder_network,
    hidden_network,
    latent_head,
    standard_of,
)
from elbax.models.interface import AbstractGenerative, AbstractInference, Model

Latents = tuple[Float[Array, "..."], ...]


class HierarchicalGenerative(AbstractGenerative):
    """p(zL) p(zL-1 | zL) .. p(x | z1).

    Args:
        decoders: functions of a raveled layer to the distribution of what lies below it;
            the first gives the raveled datum.
        prior: a function of nothing to the distribution of the top layer.
        event_shape: the shape of one datum.

    >>> import elbax
    >>> config = elbax.ModelConfig(hidden=(8,), latents=(3, 2))
    >>> model = elbax.hierarchical((4,), config, key=jax.random.key(0))
    >>> [layer.shape for layer in model.generative.sample_prior(jax.random.key(1))]
    [(3,), (2,)]
    """

    decoders: tuple[Head, ...]
    prior: Callable[[], AbstractDistribution]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def log_prob(self, x: Float[Array, "..."], z: Latents) -> Float[Array, ""]:
        """The conditionals' log-probabilities, summed."""
        return self.log_prior(z) + self.likelihood(z).log_prob(x.reshape(-1))

    def likelihood(self, z: Latents) -> AbstractDistribution:
        """p(x | z1), of the raveled datum."""
        return self.decoders[0](z[0].reshape(-1))

    def log_prior(self, z: Latents) -> Float[Array, ""]:
        """Log p(z1 .. zL)."""
        total = self.prior().log_prob(z[-1])
        for decoder, below, above in zip(self.decoders[1:], z[:-1], z[1:], strict=True):
            total += decoder(above.reshape(-1)).log_prob(below)
        return total

    def sample_prior(self, key: PRNGKey) -> Latents:
        """An ancestral draw, from the top."""
        keys = jax.random.split(key, len(self.decoders))
        z = [self.prior().sample(keys[0])]
        for decoder, layer_key in zip(reversed(self.decoders[1:]), keys[1:], strict=True):
            z.insert(0, decoder(z[0].reshape(-1)).sample(layer_key))
        return tuple(z)

    def sample_data(self, z: Latents, key: PRNGKey) -> Float[Array, "..."]:
        """A draw from p(x | z1)."""
        return self.likelihood(z).sample(key).reshape(self.event_shape)

    def mean(self, z: Latents) -> Float[Array, "..."]:
        """E[x | z1]."""
        return self.likelihood(z).mean().reshape(self.event_shape)

    def follow_prior(self, z: Latents) -> Latents:
        """Z by the noise that gives it, from the top; normal layers only."""
        followed = [_follow(self.prior(), z[-1])]
        for decoder, value in zip(reversed(self.decoders[1:]), reversed(z[:-1]), strict=True):
            followed.insert(0, _follow(decoder(followed[0].reshape(-1)), value))
        return tuple(followed)


class HierarchicalInference(AbstractInference):
    """q(z1 | x) q(z2 | z1) .., every conditional with its own encoder.

    Args:
        encoders: functions to the distribution of the next layer; the first of the raveled
            datum, the others of the raveled layer below.
        is_reparameterized: False if any layer is discrete.

    >>> import elbax
    >>> config = elbax.ModelConfig(hidden=(8,), latents=(3, 2))
    >>> inference = elbax.hierarchical((4,), config, key=jax.random.key(0)).inference
    >>> [layer.shape for layer in inference.mean(inference.encode(jnp.ones(4)))]
    [(3,), (2,)]
    """

    encoders: tuple[Head, ...]
    is_reparameterized: bool = eqx.field(static=True, default=True)  # type: ignore[assignment]

    def encode(self, x: Float[Array, "..."]) -> AbstractDistribution:
        """q(z1 | x)."""
        return self.encoders[0](x.reshape(-1))

    def sample(self, context: AbstractDistribution, key: PRNGKey) -> Latents:
        """A draw of every layer, each given the one below."""
        keys = jax.random.split(key, len(self.encoders))
        z = [context.sample(keys[0])]
        for encoder, layer_key in zip(self.encoders[1:], keys[1:], strict=True):
            z.append(encoder(z[-1].reshape(-1)).sample(layer_key))
        return tuple(z)

    def log_prob(self, context: AbstractDistribution, z: Latents) -> Float[Array, ""]:
        """The conditionals' log-probabilities, summed; every dependence on z is kept."""
        total = context.log_prob(z[0])
        for encoder, below, above in zip(self.encoders[1:], z[:-1], z[1:], strict=True):
            total += encoder(below.reshape(-1)).log_prob(above)
        return total

    def mean(self, context: AbstractDistribution) -> Latents:
        """Each layer's mean given the means below it."""
        means = [context.mean()]
        for encoder in self.encoders[1:]:
            means.append(encoder(means[-1].reshape(-1)).mean())
        return tuple(means)


class StandardNormal(eqx.Module):
    """A prior without parameters.

    Args:
        size: of the top layer.

    >>> StandardNormal(3)().mean().tolist()
    [0.0, 0.0, 0.0]
    """

    size: int = eqx.field(static=True)

    def __call__(self) -> DiagonalNormal:
        """N(0, I)."""
        return DiagonalNormal(jnp.zeros(self.size), jnp.ones(self.size))


class LearnedPrior(eqx.Module):
    """A discrete prior with learned logits, uniform at the start.

    Args:
        logits: `[Z]` for Bernoulli variables, `[Z, C]` for categorical ones.

    >>> LearnedPrior(jnp.zeros(2))().mean().tolist()
    [0.5, 0.5]
    """

    logits: Float[Array, "..."]

    def __call__(self) -> Bernoulli | Categorical:
        """Bernoulli for a vector of logits, categorical for a matrix."""
        return Bernoulli(self.logits) if self.logits.ndim == 1 else Categorical(self.logits)


def hierarchical(
    event_shape: tuple[int, ...],
    config: ModelConfig = SBN,
    *,
    key: PRNGKey,
    data_mean: Float[np.ndarray, " d"] | None = None,
    data_sd: Float[np.ndarray, " d"] | None = None,
) -> Model:
    """Build a model with `config.layers` stochastic layers of one kind of latents.

    Args:
        event_shape: shape of one datum; its size is D.
        config: sizes, distributions and scales; a sigmoid belief network of 200 units if omitted.
        key: a random key, consumed here.
        data_mean: as for `elbax.one_layer`.
        data_sd: likewise.

    Raises:
        InputError: sizes, names, floors or a data mean that make no model.

    >>> model = hierarchical((28, 28), key=jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    314784
    """
    check_config(config, data_mean, event_shape, data_sd)
    width = config.categories if config.latent == "categorical" else 1
    # How wide each layer is, raveled.
    inputs = [width * latents for latents in config.layers]
    keys = jax.random.split(key, (2, len(config.layers), 3))
    standard = standard_of(event_shape, config, data_mean, data_sd)
    encoders, decoders = [], []
    for layer, latents in enumerate(config.layers):
        up, down = keys[:, layer]
        if layer == 0:
            network = encoder_network(event_shape, config, up[0], standard)
            sizes = [inputs[0], *reversed(config.hidden)]
            statistics = data_mean, data_sd, standard
            decoders.append(data_head(sizes, event_shape, config, down, *statistics))
        else:
            network = hidden_network([inputs[layer - 1], *config.hidden_above], config, up[0])
            sizes = [inputs[layer], *reversed(config.hidden_above)]
            above = hidden_network(sizes, config, down[0])
            decoders.append(latent_head(*above, config.layers[layer - 1], config, down[1:]))
        encoders.append(latent_head(*network, latents, config, up[1:]))
    prior = _prior(config)
    generative = HierarchicalGenerative(tuple(decoders), prior, event_shape)
    inference = HierarchicalInference(tuple(encoders), config.latent == "normal")
    return with_draws(Model(generative, inference), decoders[0])


def _prior(config: ModelConfig) -> StandardNormal | LearnedPrior:
    top = config.layers[-1]
    if config.latent == "normal":
        return StandardNormal(top)
    shape = (top,) if config.latent == "bernoulli" else (top, config.categories)
    return LearnedPrior(jnp.zeros(shape))


def _follow(distribution: AbstractDistribution, value: Array) -> Array:
    if not isinstance(distribution, DiagonalNormal):
        raise InputError(
            "gdreg needs normal latents, whose prior can be followed; got "
            f"{type(distribution).__name__}."
        )
    return distribution.follow(jax.lax.stop_gradient(value))
