"""From a model back to its configuration, read off its structure and checked by building it."""

import dataclasses
from typing import Any

import equinox as eqx
import jax

from elbax._arrays import layout
from elbax._errors import InputError
from elbax.models._drawn import DrawnGenerative, DrawnInference
from elbax.models._gaussian_toy import ToyGenerative, ToyInference, gaussian_toy
from elbax.models._hierarchical import HierarchicalGenerative, HierarchicalInference
from elbax.models._linear_gaussian import LinearGaussian, LinearInference, linear_gaussian
from elbax.models._one_layer import Generative, Inference
from elbax.models.build import build
from elbax.models.config import ModelConfig
from elbax.models.heads import BernoulliHead, CategoricalHead, NormalHead
from elbax.models.interface import Model
from elbax.models.pixels import ContinuousBernoulliHead, DiscretisedLogisticHead
from elbax.models.tables import Observed, TableHead
from elbax.nn.convolutions import ConvEncoder
from elbax.nn.linear import Activation, Standardized
from elbax.tables.schema import schema_from

_LATENT = {NormalHead: "normal", BernoulliHead: "bernoulli", CategoricalHead: "categorical"}

_LIKELIHOOD = {
    NormalHead: "gaussian",
    BernoulliHead: "bernoulli",
    ContinuousBernoulliHead: "continuous-bernoulli",
    DiscretisedLogisticHead: "discretised-logistic",
    TableHead: "table",
}


def config_of(model: Model) -> tuple[ModelConfig, tuple[int, ...]]:
    """The configuration and event shape of a model that elbax builds.

    Building them again gives a model of the same structure, whose arrays alone differ.
    `output_bias` and `initialization`, which only say where arrays start, come back as defaults,
    and so does `scale` where it is the usual one.

    Raises:
        InputError: a network of it is not what `elbax.one_layer` or `elbax.hierarchical` builds.

    >>> from elbax.models import one_layer
    >>> config_of(one_layer((4,), ModelConfig(hidden=(8,), latents=2), key=jax.random.key(0)))[1]
    (4,)
    """
    config, event_shape = ModelConfig(), ()
    try:
        config, event_shape = _read(model)
        same = alike(model, structure(lambda key: build(event_shape, config, key=key)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise _not_ours(model)
    return config, event_shape


def described(model: Model) -> dict[str, Any] | None:
    """What rebuilds a model, as JSON can hold it; None for a model of the user's own."""
    generative: Any = model.generative
    inference: Any = model.inference
    # Of these very types: a subclass may compute something else.
    types = (type(generative), type(inference))
    if types == (LinearGaussian, LinearInference):
        sizes = dict(zip(("num_observed", "num_latents"), generative.weight.shape, strict=True))
        return {"kind": "linear-gaussian", **sizes}
    if types == (ToyGenerative, ToyInference):
        size = {"num_dimensions": generative.mu.size, "covariance": float(inference.covariance)}
        return {"kind": "gaussian-toy", **size}
    try:
        config, event_shape = config_of(model)
    except InputError:
        return None
    fields = {"config": dataclasses.asdict(config.explicit), "event_shape": event_shape}
    return {"kind": "layers", **fields}


def rebuilt(description: dict[str, Any]) -> Model:
    """The model of a description, as abstract shapes: no array is made.

    Raises:
        InputError, TypeError, KeyError, ValueError, OverflowError: it describes no model.
    """
    fields = dict(description)
    kind = fields.pop("kind")
    if kind == "layers":
        shape = tuple(map(_count, fields["event_shape"]))
        config = config_from(fields["config"])
        return structure(lambda key: build(shape, config, key=key))
    if kind == "linear-gaussian":
        sizes = [_count(fields[name]) for name in ("num_observed", "num_latents")]
        return structure(lambda key: linear_gaussian(*sizes, key=key))
    if kind == "gaussian-toy":
        size, covariance = _count(fields["num_dimensions"]), float(fields["covariance"])
        return structure(lambda key: gaussian_toy(size, 1, key=key, covariance=covariance)[0])
    raise InputError(f"expected a kind of model that this elbax knows; got {kind!r}.")


def config_from(fields: dict[str, Any]) -> ModelConfig:
    """A configuration from what JSON holds of it.

    Raises:
        KeyError, TypeError: a field that is unknown, or of another type.
    """
    default = dataclasses.asdict(ModelConfig().explicit)
    known: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "table":
            known[name] = schema_from(value)
        elif isinstance(value, list | tuple):
            known[name] = tuple(map(_count, value))
        elif name == "scale_floor":
            known[name] = float(value)
        elif type(value) is type(default[name]):
            known[name] = _count(value) if type(value) is int else value
        else:
            raise TypeError(f"{name} is {value!r}")
    return ModelConfig(**known)


def structure(make) -> Model:
    """What a function of a key builds, without building it."""
    return eqx.filter_eval_shape(make, jax.random.key(0))


def alike(first: Model, second: Model) -> bool:
    """Whether two models, real or abstract, differ in the values of their arrays alone."""
    if jax.tree.structure(first) != jax.tree.structure(second):
        return False
    shapes = [[shape for shape, _ in layout(one).values()] for one in (first, second)]
    return shapes[0] == shapes[1]


def _read(model: Model) -> tuple[ModelConfig, tuple[int, ...]]:
    """Fields read off where `one_layer` and `hierarchical` put them; what is elsewhere raises."""
    generative: Any = model.generative
    inference: Any = model.inference
    if isinstance(generative, DrawnGenerative):
        _require(inference, DrawnInference)
        generative, inference = generative.base, inference.base
    if isinstance(generative, HierarchicalGenerative):
        _require(inference, HierarchicalInference)
        encoders, decoders = inference.encoders, generative.decoders
    else:
        _require(generative, Generative)
        _require(inference, Inference)
        encoders, decoders = [inference.encoder], [generative.decoder]
    first: Any = encoders[0]
    standardize = isinstance(first.network, Standardized)
    wrapped = standardize or isinstance(first.network, Observed)
    network: Any = first.network.network if wrapped else first.network
    channels: tuple[int, ...] = ()
    if isinstance(network, ConvEncoder):
        channels = tuple(c.out_channels for c in network.convolutions)
        network = network.dense
    _require(network.activation, Activation)
    categories = {"categories": first.categories} if isinstance(first, CategoricalHead) else {}
    latents = tuple(_size(head) // getattr(head, "categories", 1) for head in encoders)
    kinds = (NormalHead, DiscretisedLogisticHead)
    scaled = next((h for h in (first, decoders[0]) if isinstance(h, kinds)), None)
    scales = (
        {} if scaled is None else {"scale": scaled.positive, "scale_floor": float(scaled.floor)}
    )
    unstandardized = {"standardize": False}
    config = ModelConfig(
        hidden=_widths(network),
        channels=channels,
        activation=network.activation.name,
        latents=latents if isinstance(generative, HierarchicalGenerative) else latents[0],
        latent=_LATENT[type(first)],
        hidden_above=_widths(encoders[1].network) if len(encoders) > 1 else (),
        likelihood=_LIKELIHOOD[type(decoders[0])],
        **(_of_table(decoders[0]) if isinstance(decoders[0], TableHead) else {}),
        **categories,
        **_of_levels(decoders[0]),
        **({} if standardize or not isinstance(decoders[0], NormalHead) else unstandardized),
        **scales,
    )
    usual = dataclasses.replace(config, scale=None)
    config = usual if usual.positive == config.positive else config
    return config, tuple(int(size) for size in generative.event_shape)


def _of_levels(head: Any) -> dict[str, Any]:
    return {"levels": head.levels} if isinstance(head, DiscretisedLogisticHead) else {}


def _of_table(head: TableHead) -> dict[str, Any]:
    missing = "random" if head.mechanism is None else head.mechanism.kind
    return {"table": head.schema, "missing": missing, "homoscedastic": head.shapes is not None}


def _size(head: NormalHead | BernoulliHead | CategoricalHead) -> int:
    return (head.loc if isinstance(head, NormalHead) else head.logits).bias.size


def _widths(network) -> tuple[int, ...]:
    return tuple(layer.bias.size for layer in network.layers)


def _require(part: Any, kind: type) -> None:
    """Raise a TypeError unless `part` is of this very type."""
    if type(part) is not kind:
        raise TypeError(f"expected {kind.__name__}; got {type(part).__name__}")


def _count(value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise TypeError(f"expected a count; got {value!r}")
    return value


def _not_ours(model: Model) -> InputError:
    parts = [type(getattr(model, part, None)).__name__ for part in ("generative", "inference")]
    return InputError(
        "expected a model that `elbax.one_layer` or `elbax.hierarchical` builds, to tell its "
        f"configuration; got {' and '.join(parts)} with networks of another kind."
    )
