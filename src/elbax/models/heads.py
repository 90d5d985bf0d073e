"""Heads: a network's features made into a distribution."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from elbax._errors import InputError, unknown
from elbax.distributions import AbstractDistribution, Bernoulli, Categorical, DiagonalNormal
from elbax.models.config import LATENTS, ModelConfig
from elbax.models.networks import MLP, Linear

Head = Callable[[Array], AbstractDistribution]


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


class CategoricalHead(eqx.Module):
    """A network's features, then one linear map to the logits of categorical variables."""

    network: Callable[[Array], Array]
    logits: Linear
    categories: int = eqx.field(static=True)

    def __call__(self, z: Float[Array, " z"]) -> Categorical:
        """Independent categorical variables."""
        return Categorical(self.logits(self.network(z)).reshape(-1, self.categories))


def latent_head(sizes: Sequence[int], config: ModelConfig, keys: Key[Array, " 3"]) -> Head:
    """A head over a layer of latents, `sizes[-1]` of them, from `sizes[0]` inputs."""
    if config.latent == "normal":
        return normal_head(sizes, config, keys)
    network = MLP(sizes[:-1], key=keys[0])
    if config.latent == "bernoulli":
        return BernoulliHead(network, Linear(*sizes[-2:], key=keys[1]))
    out = Linear(sizes[-2], sizes[-1] * config.categories, key=keys[1])
    return CategoricalHead(network, out, config.categories)


def data_head(
    sizes: Sequence[int],
    config: ModelConfig,
    keys: Key[Array, " 3"],
    data_mean: Float[np.ndarray, " d"] | None,
) -> Head:
    """The head over the raveled datum, its bias at the mean of the data where asked for."""
    if config.likelihood == "bernoulli":
        decoder = BernoulliHead(MLP(sizes[:-1], key=keys[0]), Linear(*sizes[-2:], key=keys[1]))
        where = lambda head: head.logits.bias  # noqa: E731
    else:
        decoder = normal_head(sizes, config, keys)
        where = lambda head: head.loc.bias  # noqa: E731
    if config.output_bias and data_mean is not None:
        decoder = eqx.tree_at(where, decoder, _output_bias(data_mean, config.likelihood))
    return decoder


def normal_head(sizes: Sequence[int], config: ModelConfig, keys: Key[Array, " 3"]) -> NormalHead:
    """A head to a diagonal normal."""
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


def check_config(config: ModelConfig, data_mean: np.ndarray | None, size: int) -> None:
    """Refuse sizes, names, floors or a data mean that make no model."""
    names = {"scale": ("exp", "softplus"), "likelihood": ("bernoulli", "gaussian")}
    for name, known in {**names, "latent": LATENTS}.items():
        if getattr(config, name) not in known:
            raise InputError(unknown(name, getattr(config, name), known))
    if not config.layers or min(*config.hidden, *config.hidden_above, *config.layers, 1) < 1:
        raise InputError(
            "expected one or more layers with sizes >= 1; got hidden "
            f"{config.hidden} and {config.hidden_above}, latents {config.latents}."
        )
    if config.categories < 2:
        raise InputError(f"expected categories >= 2; got {config.categories}.")
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
