"""Heads: a network's features made into a distribution."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from elbax._types import PRNGKey
from elbax.distributions import AbstractDistribution, Bernoulli, Categorical, DiagonalNormal
from elbax.models.config import ModelConfig
from elbax.models.mechanisms import mechanism_of
from elbax.models.outputs import first_outputs, first_shapes, num_outputs
from elbax.models.pixels import (
    ContinuousBernoulliHead,
    DiscretisedLogisticHead,
    first_logits,
    first_scales,
)
from elbax.models.tables import Observed, TableHead, num_inputs
from elbax.nn.convolutions import ConvDecoder, ConvEncoder, ConvOutput
from elbax.nn.linear import MLP, Activation, Linear, Standard, Standardized

Network = Callable[[Array], Array]
Head = Callable[[Array], AbstractDistribution]


class NormalHead(eqx.Module):
    """A network's features, then one linear map to a location and one to a scale.

    `scale = floor + exp(linear)` (as Burda et al.) or `floor + softplus(linear)`; both in units of
    `standard` where there is one. Of a vector `[in]` it makes a `DiagonalNormal` over `[out]`.

    Args:
        network: a function of one vector to the features that the two maps read.
        loc: the map of features to the location.
        scale: the map of features to the scale, before it is made positive.
        positive: "exp" or "softplus".
        floor: the smallest standard deviation, added; >= 0.
        standard: the constants of standardized data, or None.

    >>> from elbax.nn import MLP, Linear
    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> maps = (Linear(8, 2, key=key) for key in keys[1:])
    >>> head = NormalHead(MLP([4, 8], key=keys[0]), *maps, positive="exp", floor=1e-6)
    >>> head(jnp.ones(4)).scale.shape
    (2,)
    """

    network: Network
    loc: Linear | ConvOutput
    scale: Linear | ConvOutput
    positive: str = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    standard: Standard | None = None

    def __call__(self, x: Float[Array, " i"]) -> DiagonalNormal:
        """A diagonal normal over the outputs."""
        features = self.network(x)
        raw = self.scale(features)
        positive = jnp.exp(raw) if self.positive == "exp" else jax.nn.softplus(raw)
        loc, scale = self.loc(features), self.floor + positive
        if self.standard is not None:
            loc, scale = self.standard.location(loc), self.standard.spread(scale)
        return DiagonalNormal(loc, scale)


class BernoulliHead(eqx.Module):
    """A network's features, then one linear map to logits.

    Of a vector `[in]` it makes a `Bernoulli` over `[out]`.

    Args:
        network: a function of one vector to features.
        logits: the map of features to logits.

    >>> from elbax.nn import MLP, Linear
    >>> network, logits = MLP([2, 8], key=jax.random.key(0)), Linear(8, 4, key=jax.random.key(1))
    >>> BernoulliHead(network, logits)(jnp.ones(2)).mean().shape
    (4,)
    """

    network: Network
    logits: Linear | ConvOutput

    def __call__(self, z: Float[Array, " z"]) -> Bernoulli:
        """Independent Bernoulli variables, one per output."""
        return Bernoulli(self.logits(self.network(z)))


class CategoricalHead(eqx.Module):
    """A network's features, then one linear map to the logits of categorical variables.

    Of a vector `[in]` it makes a `Categorical` over `[out / categories, categories]`.

    Args:
        network: a function of one vector to features.
        logits: the map of features to logits, a multiple of `categories` many.
        categories: of every variable.

    >>> from elbax.nn import MLP, Linear
    >>> network, logits = MLP([2, 8], key=jax.random.key(0)), Linear(8, 6, key=jax.random.key(1))
    >>> CategoricalHead(network, logits, categories=3)(jnp.ones(2)).mean().shape
    (2, 3)
    """

    network: Network
    logits: Linear
    categories: int = eqx.field(static=True)

    def __call__(self, z: Float[Array, " z"]) -> Categorical:
        """Independent categorical variables."""
        return Categorical(self.logits(self.network(z)).reshape(-1, self.categories))


def standard_of(
    event_shape: tuple[int, ...],
    config: ModelConfig,
    data_mean: Float[np.ndarray, " d"] | None,
    data_sd: Float[np.ndarray, " d"] | None,
) -> Standard | None:
    """The constants of a standardized model: 0 and 1 where the data are not known (yet).

    The pixels of an image have one unit, the root of their mean variance; columns of a table have
    one each. What never changes is left in its own unit.
    """
    if not config.is_standardized:
        return None
    size = math.prod(event_shape)
    center, scale = np.zeros(size), np.ones(size)
    if data_mean is not None and data_sd is not None:
        center, scale = np.asarray(data_mean, np.float64), np.asarray(data_sd, np.float64)
        if len(event_shape) > 1:
            scale = np.full(size, np.sqrt(np.mean(scale**2)))
    dtype = jnp.zeros(0).dtype
    scale = np.where(scale > 0, scale, 1)
    return Standard(jnp.asarray(center.reshape(-1), dtype), jnp.asarray(scale.reshape(-1), dtype))


def encoder_network(
    event_shape: tuple[int, ...], config: ModelConfig, key: PRNGKey, standard: Standard | None
) -> tuple[Network, int]:
    """The network that reads the raveled datum, and how many features it gives."""
    if config.table is not None:
        sizes = [num_inputs(config.table), *config.hidden]
        network, width = hidden_network(sizes, config, key)
        return Observed(network, config.table), width
    if config.channels:
        activation = Activation(config.activation)
        network = ConvEncoder(
            event_shape, config.channels, config.hidden, key=key, activation=activation
        )
        width = network.num_features
    else:
        network, width = hidden_network([math.prod(event_shape), *config.hidden], config, key)
    if standard is None:
        return network, width
    # A copy, because training gives every buffer of a model away, each once.
    return Standardized(network, jax.tree.map(jnp.copy, standard)), width


def hidden_network(sizes: Sequence[int], config: ModelConfig, key: PRNGKey) -> tuple[Network, int]:
    """Fully connected layers, and how many features they give."""
    activation = Activation(config.activation)
    network = MLP(sizes, key=key, activation=activation, initialization=config.initialization)
    return network, sizes[-1]


def _linear(num_in: int, num_out: int, config: ModelConfig, key: PRNGKey) -> Linear:
    return Linear(num_in, num_out, key=key, initialization=config.initialization)


def latent_head(
    network: Network, width: int, size: int, config: ModelConfig, keys: Key[Array, " 2"]
) -> Head:
    """A head over a layer of `size` latents, on a network of `width` features."""
    if config.latent == "normal":
        loc, scale = (_linear(width, size, config, key) for key in keys)
        return NormalHead(network, loc, scale, config.positive, config.scale_floor)
    if config.latent == "bernoulli":
        return BernoulliHead(network, _linear(width, size, config, keys[0]))
    out = _linear(width, size * config.categories, config, keys[0])
    return CategoricalHead(network, out, config.categories)


def data_head(
    sizes: Sequence[int],
    event_shape: tuple[int, ...],
    config: ModelConfig,
    keys: Key[Array, " 3"],
    data_mean: Float[np.ndarray, " d"] | None,
    data_sd: Float[np.ndarray, " d"] | None,
    standard: Standard | None,
) -> Head:
    """The head over the raveled datum, its bias at the mean of the data where asked for.

    `sizes` are those of its input and of its hidden layers. A standardized head starts at the mean
    and standard deviation that `standard` holds, one over levels at those of the data.
    """
    if config.table is not None:
        return _table_head(sizes, config, keys, data_mean)
    if config.channels:
        activation = Activation(config.activation)
        network = ConvDecoder(
            event_shape, config.channels, sizes, key=keys[0], activation=activation
        )
        outputs = [ConvOutput(event_shape, config.channels[0], key=key) for key in keys[1:]]
    else:
        network, width = hidden_network(sizes, config, keys[0])
        outputs = [_linear(width, math.prod(event_shape), config, key) for key in keys[1:]]
    if config.output_bias and data_mean is not None:
        outputs[0] = _with_bias(outputs[0], _output_bias(data_mean, config.likelihood, standard))
    if config.likelihood == "bernoulli":
        return BernoulliHead(network, outputs[0])
    if config.likelihood == "continuous-bernoulli":
        return ContinuousBernoulliHead(network, outputs[0])
    if config.likelihood == "discretised-logistic":
        if config.output_bias:
            first = first_scales(data_sd, math.prod(event_shape), config.levels, config.positive)
            outputs[1] = _with_bias(outputs[1], jnp.asarray(first, jnp.zeros(0).dtype))
        positive, floor, levels = config.positive, config.scale_floor, config.levels
        loc, scale = outputs
        return DiscretisedLogisticHead(network, loc, scale, positive, floor, levels)
    if standard is not None and config.positive == "softplus":
        one = jnp.full(math.prod(event_shape), math.log(math.expm1(1)))  # softplus gives 1 there
        outputs[1] = _with_bias(outputs[1], one)
    return NormalHead(
        network, outputs[0], outputs[1], config.positive, config.scale_floor, standard
    )


def _table_head(sizes, config: ModelConfig, keys, data_mean) -> TableHead:
    assert config.table is not None
    network, width = hidden_network(sizes, config, keys[0])
    alone = config.homoscedastic
    outputs = _linear(width, num_outputs(config.table, alone), config, keys[1])
    means = None if not config.output_bias or data_mean is None else np.asarray(data_mean)
    start = jnp.asarray(first_outputs(config.table, means, alone), jnp.zeros(0).dtype)
    mechanism = mechanism_of(config.missing, config.table, keys[2])
    outputs = _with_bias(outputs, start)
    shapes = first_shapes(config.table) if alone else None
    return TableHead(network, outputs, config.table, mechanism, shapes)


def _output_bias(data_mean, likelihood: str, standard: Standard | None) -> Float[Array, " d"]:
    mean = np.asarray(data_mean, np.float64).reshape(-1)
    if likelihood == "bernoulli":
        mean = np.clip(mean, 0.001, 0.999)
        mean = np.log(mean) - np.log1p(-mean)
    if likelihood == "continuous-bernoulli":
        mean = first_logits(mean)
    bias = jnp.asarray(mean, jnp.zeros(0).dtype)
    return bias if standard is None else standard.standardized(bias)


def _with_bias(output, bias: Float[Array, " d"]):
    return eqx.tree_at(lambda one: one.bias, output, bias)
