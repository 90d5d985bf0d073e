"""One stochastic layer: a standard-normal prior, a decoder, and an encoder to a diagonal normal.

`reference` is the network of Burda et al. 2015 (784-200-200-50, tanh, mirrored); `larger` has
400 hidden units and 20 latents. Both parts take networks of the user's own.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._types import PRNGKey
from elbax.distributions import AbstractDistribution, DiagonalNormal
from elbax.models._drawn import with_draws
from elbax.models.checks import check_config
from elbax.models.config import ModelConfig
from elbax.models.heads import (
    data_head,
    encoder_network,
    latent_head,
    standard_of,
)
from elbax.models.interface import AbstractGenerative, AbstractInference, Model


class Generative(AbstractGenerative):
    """p(z) = N(0, I), p(x | z) from a decoder.

    Args:
        decoder: a function of one latent vector `[Z]` to a distribution over the raveled datum,
            or any Equinox module that is one.
        num_latents: how many latents, Z.
        event_shape: the shape of one datum.

    >>> from elbax.distributions import Bernoulli
    >>> generative = Generative(lambda z: Bernoulli(jnp.tile(z, 2)), 2, (2, 2))
    >>> generative.mean(jnp.zeros(2)).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    decoder: Callable[[Float[Array, " z"]], AbstractDistribution]
    num_latents: int = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def log_prob(self, x: Float[Array, "..."], z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log N(z; 0, I) + log p(x | z)."""
        return self._prior().log_prob(z) + self.likelihood(z).log_prob(x.reshape(-1))

    def likelihood(self, z: Float[Array, " z"]) -> AbstractDistribution:
        """p(x | z), of the raveled datum."""
        return self.decoder(z)

    def sample_prior(self, key: PRNGKey) -> Float[Array, " z"]:
        """A standard-normal draw."""
        return self._prior().sample(key)

    def mean(self, z: Float[Array, " z"]) -> Float[Array, "..."]:
        """E[x | z]."""
        return self.likelihood(z).mean().reshape(self.event_shape)

    def log_prior(self, z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log N(z; 0, I)."""
        return self._prior().log_prob(z)

    def sample_data(self, z: Float[Array, " z"], key: PRNGKey) -> Float[Array, "..."]:
        """A draw from p(x | z)."""
        return self.likelihood(z).sample(key).reshape(self.event_shape)

    def follow_prior(self, z: Float[Array, " z"]) -> Float[Array, " z"]:
        """Z: this prior has no parameters."""
        return jax.lax.stop_gradient(z)

    def _prior(self) -> DiagonalNormal:
        return DiagonalNormal(jnp.zeros(self.num_latents), jnp.ones(self.num_latents))


class Inference(AbstractInference):
    """q(z | x) from an encoder, a function of the raveled datum to a `DiagonalNormal`.

    Args:
        encoder: a function of the raveled datum `[D]` to a distribution that is reparameterized,
            such as `elbax.distributions.DiagonalNormal` over `[Z]`, or a module that is one.

    >>> inference = Inference(lambda x: DiagonalNormal(x[:2], jnp.ones(2)))
    >>> inference.mean(inference.encode(jnp.arange(4.0))).tolist()
    [0.0, 1.0]
    """

    encoder: Callable[[Float[Array, " d"]], AbstractDistribution]

    def encode(self, x: Float[Array, "..."]) -> AbstractDistribution:
        """The distribution itself."""
        return self.encoder(x.reshape(-1))

    def sample(self, context: AbstractDistribution, key: PRNGKey) -> Float[Array, " z"]:
        """A reparameterized draw."""
        return context.sample(key)

    def log_prob(self, context: AbstractDistribution, z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log q(z | x)."""
        return context.log_prob(z)

    def mean(self, context: AbstractDistribution) -> Float[Array, " z"]:
        """The location of q(z | x)."""
        return context.mean()


def one_layer(
    event_shape: tuple[int, ...],
    config: ModelConfig | None = None,
    *,
    key: PRNGKey,
    data_mean: Float[np.ndarray, " d"] | None = None,
    data_sd: Float[np.ndarray, " d"] | None = None,
) -> Model:
    """Build a model with one stochastic layer.

    Args:
        event_shape: shape of one datum; its size is D.
        config: sizes, likelihood and scales; the reference network if omitted.
        key: a random key, consumed here.
        data_mean: mean of the training data `[D]`, in [0, 1] unless the likelihood is Gaussian.
            With `config.output_bias` the output starts there: at logit(mean clipped to [0.001,
            0.999]) for Bernoulli, at the mean for the others.
        data_sd: standard deviation of the training data `[D]`. With a Gaussian likelihood and
            `config.standardize` the networks work in these units, around `data_mean`; the scales
            of a discretised logistic start there.

    Raises:
        InputError: sizes, names, floors or a data mean that make no model.

    >>> model = one_layer((28, 28), key=jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    425284
    """
    config = config or ModelConfig()
    check_config(config, data_mean, event_shape, data_sd)
    if config.latent != "normal" or len(config.layers) != 1:
        raise InputError(
            "expected one layer of normal latents for one_layer; got "
            f"{config.layers} of {config.latent}. Take `elbax.hierarchical`."
        )
    keys = jax.random.split(key, 6)
    (latents,) = config.layers
    standard = standard_of(event_shape, config, data_mean, data_sd)
    network, width = encoder_network(event_shape, config, keys[0], standard)
    encoder = latent_head(network, width, latents, config, keys[1:3])
    sizes = [latents, *reversed(config.hidden)]
    decoder = data_head(sizes, event_shape, config, keys[3:], data_mean, data_sd, standard)
    model = Model(Generative(decoder, latents, event_shape), Inference(encoder))
    return with_draws(model, decoder)
