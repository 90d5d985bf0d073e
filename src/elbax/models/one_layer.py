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

from elbax._errors import InputError, unknown
from elbax._types import PRNGKey
from elbax.distributions import AbstractDistribution, Bernoulli, DiagonalNormal
from elbax.models.config import ModelConfig
from elbax.models.interface import AbstractGenerative, AbstractInference, Model
from elbax.models.networks import MLP, Linear


class Generative(AbstractGenerative):
    """p(z) = N(0, I), p(x | z) from a decoder.

    Args:
        decoder: a function of one latent vector `[Z]` to a distribution over the raveled datum,
            or any Equinox module that is one.
        num_latents: Z.
        event_shape: the shape of one datum.
    """

    decoder: Callable[[Float[Array, " z"]], AbstractDistribution]
    num_latents: int = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def log_prob(self, x: Float[Array, "..."], z: Float[Array, " z"]) -> Float[Array, ""]:
        """Log N(z; 0, I) + log p(x | z)."""
        return self._prior().log_prob(z) + self.decoder(z).log_prob(x.reshape(-1))

    def sample_prior(self, key: PRNGKey) -> Float[Array, " z"]:
        """A standard-normal draw."""
        return self._prior().sample(key)

    def mean(self, z: Float[Array, " z"]) -> Float[Array, "..."]:
        """E[x | z]."""
        return self.decoder(z).mean().reshape(self.event_shape)

    def _prior(self) -> DiagonalNormal:
        return DiagonalNormal(jnp.zeros(self.num_latents), jnp.ones(self.num_latents))


class Inference(AbstractInference):
    """q(z | x) from an encoder, a function of the raveled datum to a `DiagonalNormal`."""

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


class NormalHead(eqx.Module):
    """A network's features, then one linear map to a location and one to a scale.

    `scale = floor + exp(linear)` (as Burda et al.) or `floor + softplus(linear)`.
    """

    network: Callable[[Array], Array]
    loc: Linear
    scale: Linear
    positive: str = eqx.field(static=True)
    floor: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " i"]) -> DiagonalNormal:
        """A diagonal normal over the outputs."""
        features = self.network(x)
        raw = self.scale(features)
        positive = jnp.exp(raw) if self.positive == "exp" else jax.nn.softplus(raw)
        return DiagonalNormal(self.loc(features), self.floor + positive)


class BernoulliHead(eqx.Module):
    """A network's features, then one linear map to logits."""

    network: Callable[[Array], Array]
    logits: Linear

    def __call__(self, z: Float[Array, " z"]) -> Bernoulli:
        """Independent Bernoulli variables, one per output."""
        return Bernoulli(self.logits(self.network(z)))


def one_layer(
    event_shape: tuple[int, ...],
    config: ModelConfig | None = None,
    *,
    key: PRNGKey,
    data_mean: Float[np.ndarray, " d"] | None = None,
) -> Model:
    """Build a model with one stochastic layer.

    Args:
        event_shape: shape of one datum; its size is D.
        config: sizes, likelihood and scales; the reference network if omitted.
        key: a random key, consumed here.
        data_mean: mean of the training data `[D]`, in [0, 1] for a Bernoulli likelihood. With
            `config.output_bias` the output starts there: at logit(mean clipped to [0.001,
            0.999]) for Bernoulli, at the mean for Gaussian.

    Raises:
        InputError: sizes, names, floors or a data mean that make no model.

    >>> model = one_layer((28, 28), key=jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
    425284
    """
    config = config or ModelConfig()
    size = int(np.prod(event_shape))
    _check(config, data_mean, size)
    keys = jax.random.split(key, 6)
    encoder = _normal_head([size, *config.hidden, config.latents], config, keys[:3])
    sizes = [config.latents, *reversed(config.hidden), size]
    if config.likelihood == "bernoulli":
        decoder = BernoulliHead(MLP(sizes[:-1], key=keys[3]), Linear(*sizes[-2:], key=keys[4]))
        where = lambda head: head.logits.bias  # noqa: E731
    else:
        decoder = _normal_head(sizes, config, keys[3:])
        where = lambda head: head.loc.bias  # noqa: E731
    if config.output_bias and data_mean is not None:
        decoder = eqx.tree_at(where, decoder, _output_bias(data_mean, config.likelihood))
    return Model(Generative(decoder, config.latents, event_shape), Inference(encoder))


def _normal_head(sizes: list[int], config: ModelConfig, keys) -> NormalHead:
    return NormalHead(
        network=MLP(sizes[:-1], key=keys[0]),
        loc=Linear(*sizes[-2:], key=keys[1]),
        scale=Linear(*sizes[-2:], key=keys[2]),
        positive=config.scale,
        floor=config.scale_floor,
    )


def _output_bias(data_mean, likelihood: str) -> Float[Array, " d"]:
    mean = np.asarray(data_mean, np.float64).reshape(-1)
    if likelihood == "bernoulli":
        mean = np.clip(mean, 0.001, 0.999)
        mean = np.log(mean) - np.log1p(-mean)
    return jnp.asarray(mean, jnp.zeros(0).dtype)


def _check(config: ModelConfig, data_mean: np.ndarray | None, size: int) -> None:
    for name, known in (("scale", ("exp", "softplus")), ("likelihood", ("bernoulli", "gaussian"))):
        if getattr(config, name) not in known:
            raise InputError(unknown(name, getattr(config, name), known))
    if min((*config.hidden, config.latents)) < 1:
        raise InputError(f"expected layer sizes >= 1; got {config.hidden} and {config.latents}.")
    if not config.scale_floor >= 0:
        raise InputError(f"expected scale_floor >= 0; got {config.scale_floor}.")
    if data_mean is None:
        return
    low, high = (0, 1) if config.likelihood == "bernoulli" else (-np.inf, np.inf)
    # NaN fails the comparison too.
    if np.size(data_mean) != size or not np.all((data_mean >= low) & (data_mean <= high)):
        raise InputError(
            f"expected data_mean with {size} values, for Bernoulli in [0, 1]; got shape "
            f"{np.shape(data_mean)}, from {np.min(data_mean):g} to {np.max(data_mean):g}."
        )
