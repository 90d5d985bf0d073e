"""A model without some of its latent units, of the same structure and with an exact likelihood."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from elbax._errors import InputError
from elbax.models._drawn import DrawnGenerative, DrawnInference
from elbax.models._hierarchical import HierarchicalGenerative, HierarchicalInference
from elbax.models._one_layer import Generative, Inference
from elbax.models.heads import NormalHead
from elbax.models.interface import Model
from elbax.models.pixels import DiscretisedLogisticHead
from elbax.nn.convolutions import ConvDecoder, ConvOutput
from elbax.nn.linear import Linear


def pruned(model: Model, drop: Sequence[np.ndarray], means: Sequence[np.ndarray]) -> Model:
    """The model with the units in `drop` taken out.

    What reads a dropped unit sees its mean instead, folded into a bias; the unit itself is a
    standard normal both under p and under q, so that it cancels in every log-weight.

    Args:
        model: of normal latents, as `elbax.one_layer` or `elbax.hierarchical` builds it.
        drop: one mask `[Z]` per stochastic layer, nearest to the data first.
        means: E_x E_q[z | x], `[Z]` per layer.

    Raises:
        InputError: another kind of model, or masks that do not fit.

    References: Burda, Grosse & Salakhutdinov 2015, section 5.2, where inactive units are pruned.

    >>> import jax
    >>> import elbax
    >>> config = elbax.ModelConfig(hidden=(8,), latents=3)
    >>> model = elbax.one_layer((4,), config, key=jax.random.key(0))
    >>> smaller = pruned(model, [np.array([True, False, False])], [np.zeros(3)])
    >>> smaller.inference.mean(smaller.inference.encode(jnp.ones(4)))[0].item()
    0.0
    """
    if isinstance(model.generative, DrawnGenerative):
        inference = model.inference
        assert isinstance(inference, DrawnInference)
        within = pruned(Model(model.generative.base, inference.base), drop, means)
        where = lambda m: (m.generative.base, m.inference.base)  # noqa: E731
        return eqx.tree_at(where, model, (within.generative, within.inference))
    encoders, decoders = _heads(model)
    masks = [np.asarray(mask, bool) for mask in drop]
    sizes = [head.loc.bias.shape for head in encoders]
    if [mask.shape for mask in masks] != sizes:
        raise InputError(
            f"expected one mask per layer, {sizes}; got {[mask.shape for mask in masks]}."
        )
    for layer, (mask, mean) in enumerate(zip(masks, means, strict=True)):
        encoders[layer] = _standard(encoders[layer], mask)
        decoders[layer] = _blind(decoders[layer], mask, mean)
        if layer + 1 < len(masks):
            encoders[layer + 1] = _blind(encoders[layer + 1], mask, mean)
            decoders[layer + 1] = _standard(decoders[layer + 1], mask)
    return _with_heads(model, encoders, decoders)


def _heads(model: Model) -> tuple[list, list]:
    generative, inference = model.generative, model.inference
    encoders, decoders = [], []
    if isinstance(generative, Generative) and isinstance(inference, Inference):
        encoders, decoders = [inference.encoder], [generative.decoder]
    elif isinstance(generative, HierarchicalGenerative) and isinstance(
        inference, HierarchicalInference
    ):
        encoders, decoders = list(inference.encoders), list(generative.decoders)
    if not encoders or not all(isinstance(head, NormalHead) for head in encoders):
        raise InputError(
            "expected a model of normal latents that elbax builds, to prune it; got "
            f"{type(generative).__name__} and {type(inference).__name__}."
        )
    return encoders, decoders


def _with_heads(model: Model, encoders: list, decoders: list) -> Model:
    if isinstance(model.inference, Inference):
        where = lambda m: (m.inference.encoder, m.generative.decoder)  # noqa: E731
        return eqx.tree_at(where, model, (encoders[0], decoders[0]))
    where = lambda m: (m.inference.encoders, m.generative.decoders)  # noqa: E731
    return eqx.tree_at(where, model, (tuple(encoders), tuple(decoders)))


def _standard(head: NormalHead, mask: np.ndarray) -> NormalHead:
    """The head with N(0, 1) for the units in `mask`, whatever it reads."""
    one = 1 - head.floor
    raw = np.log(one) if head.positive == "exp" else np.log(np.expm1(one))
    where = lambda h: (h.loc, h.scale)  # noqa: E731
    fixed = [_constant(head.loc, mask, 0.0), _constant(head.scale, mask, float(raw))]
    return eqx.tree_at(where, head, fixed)


def _constant(linear: Linear | ConvOutput, mask: np.ndarray, value: float) -> Linear:
    assert isinstance(linear, Linear)  # latents have no other map
    weight = jnp.where(mask, 0, linear.weight)
    bias = jnp.where(mask, value, linear.bias)
    return eqx.tree_at(lambda one: (one.weight, one.bias), linear, (weight, bias))


def _blind(head, mask: np.ndarray, mean: np.ndarray):
    """The head that reads the mean of the inputs in `mask` instead of themselves."""
    readers = _readers(head)
    return eqx.tree_at(readers, head, [_fold(reader, mask, mean) for reader in readers(head)])


def _readers(head) -> Callable:
    """Where a head holds the linear maps that read its input."""
    if isinstance(head.network, ConvDecoder):
        return lambda h: [h.network.dense.layers[0]]
    if head.network.layers:
        return lambda h: [h.network.layers[0]]
    if isinstance(head, NormalHead | DiscretisedLogisticHead):
        return lambda h: [h.loc, h.scale]
    return lambda h: [h.logits]


def _fold(linear: Linear, mask: np.ndarray, mean: np.ndarray) -> Linear:
    bias = linear.bias + jnp.where(mask, jnp.asarray(mean, linear.bias.dtype), 0) @ linear.weight
    weight = jnp.where(mask[:, None], 0, linear.weight)
    return eqx.tree_at(lambda one: (one.weight, one.bias), linear, (weight, bias))
