"""A pruned model beside the same model built without the units: equal log-weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.models.build import build
from elbax.models.pruning import pruned
from tests.models import MODELS, binary_data

CONFIGS = {
    "one layer": elbax.ModelConfig(hidden=(5,), latents=3),
    "one linear layer, softplus": elbax.ModelConfig(
        hidden=(), latents=3, scale="softplus", likelihood="gaussian"
    ),
    "two layers": elbax.ModelConfig(hidden=(5,), hidden_above=(4,), latents=(3, 2)),
    "three linear layers": elbax.ModelConfig(hidden=(), latents=(3, 2, 2)),
}
DROP = ([False, True, False], [True, False], [False, True])
MEANS = ([0.0, 0.7, 0.0], [-0.4, 0.0], [0.0, 0.2])


def make(name):
    model = build((4,), CONFIGS[name], key=jax.random.key(3))
    # Biases away from zero, so that forgetting one shows.
    leaves, structure = jax.tree.flatten(eqx.filter(model, eqx.is_inexact_array))
    keys = jax.random.split(jax.random.key(4), len(leaves))
    moved = [
        leaf + 0.3 * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    static = eqx.filter(model, eqx.is_inexact_array, inverse=True)
    num = len(CONFIGS[name].layers)
    return eqx.combine(jax.tree.unflatten(structure, moved), static), DROP[:num], MEANS[:num]


def as_tuple(z):
    return z if isinstance(z, tuple) else (z,)


@pytest.mark.parametrize("name", CONFIGS)
def test_log_weights_are_those_of_the_reduced_model_by_hand(name):
    """Densities of the kept units given the means of the dropped ones, in plain algebra."""
    model, drop, means = make(name)
    without = pruned(model, [np.array(mask) for mask in drop], [np.array(m) for m in means])
    x = binary_data(1)[0]
    context = without.inference.encode(x)
    z = without.inference.sample(context, jax.random.key(5))
    found = without.generative.log_prob(x, z) - without.inference.log_prob(context, z)

    # The original conditionals, read at the means, with the dropped units' densities left out.
    one = name.startswith("one")
    encoders = (model.inference.encoder,) if one else model.inference.encoders
    decoders = (model.generative.decoder,) if one else model.generative.decoders
    seen = [
        jnp.where(jnp.array(mask), jnp.array(mean), value)
        for mask, mean, value in zip(drop, means, as_tuple(z), strict=True)
    ]
    expected = decoders[0](seen[0]).log_prob(x)
    for layer, mask in enumerate(drop):
        kept, value = ~np.array(mask), as_tuple(z)[layer]
        q = encoders[layer](x if layer == 0 else seen[layer - 1])
        expected -= jax.scipy.stats.norm.logpdf(value, q.loc, q.scale)[kept].sum()
        if layer + 1 < len(drop):
            p = decoders[layer + 1](seen[layer + 1])
            expected += jax.scipy.stats.norm.logpdf(value, p.loc, p.scale)[kept].sum()
        else:
            expected += jax.scipy.stats.norm.logpdf(value)[kept].sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_nothing_dropped_changes_nothing():
    model, drop, means = make("two layers")
    same = pruned(model, [np.zeros_like(mask, bool) for mask in drop], [np.array(m) for m in means])
    assert eqx.tree_equal(same, model)


def test_other_models_and_masks_are_refused():
    model, _, _ = make("one layer")
    with pytest.raises(InputError, match="expected one mask per layer"):
        pruned(model, [np.zeros(2, bool)], [np.zeros(2)])
    for name in ("two-layer", "sbn", "own-networks"):
        with pytest.raises(InputError, match="expected a model of normal latents"):
            pruned(jax.jit(MODELS[name])() if name == "two-layer" else MODELS[name](), [], [])
