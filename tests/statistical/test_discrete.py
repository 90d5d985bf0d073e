"""Discrete latents drawn and routed as in training, against sums over every latent."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import elbax
from elbax import bounds
from elbax.rules import RWS, VIMCO, ScoreFunction
from tests.enumeration import DISCRETE, discrete_model, every_latent, expectations, sleep_gradient
from tests.models import binary_data
from tests.statistical.budget import assert_mean, assert_not_mean

pytestmark = pytest.mark.statistical

NUM_BATCHES, BATCH = 300, 40
OBJECTIVES = {
    "score": elbax.iwae(2, gradient="score"),
    "vimco": elbax.iwae(2, gradient="vimco"),
    "wake-sleep": elbax.rws(2, gradient="wake-sleep:0.25"),
}


@functools.cache
def draws(kind):
    """Gradients of every objective `{name: [N, P]}`, and the exact ones of bound, wake, sleep."""
    with jax.enable_x64(True):
        model, x = discrete_model(kind), binary_data(2)

        def batch(key):
            def one(key):
                found = [
                    elbax.value_and_grad(objective)(model, x, key=key)[1]
                    for objective in OBJECTIVES.values()
                ]
                return jnp.stack([ravel_pytree(gradient)[0] for gradient in found])

            return jax.vmap(one)(jax.random.split(key, BATCH)).mean(0)

        run = jax.jit(
            lambda keys: jax.lax.map(batch, keys),
            compiler_options={"xla_backend_optimization_level": 1},
        )
        samples = np.asarray(run(jax.random.split(jax.random.key(41), NUM_BATCHES)))
        z = every_latent(kind)
        rules = [ScoreFunction(), RWS()]
        truth, (_, wake) = expectations(model, x, z, bounds.IWAE(2), 1.0, rules)
        size = ravel_pytree(model.generative)[0].size
        exact = [np.asarray(part) for part in (truth / len(x), wake / len(x))]
        sleep = np.concatenate([np.zeros(size), sleep_gradient(model, z)])
    return dict(zip(OBJECTIVES, samples.swapaxes(0, 1), strict=True)), (*exact, sleep, size)


@pytest.mark.parametrize("kind", DISCRETE)
def test_drawn_gradients_have_the_enumerated_mean(kind, record_property):
    samples, (truth, wake, sleep, size) = draws(kind)
    mixed = np.concatenate([wake[:size], 0.25 * wake[size:] + 0.75 * sleep[size:]])
    expected = {"score": truth, "vimco": truth, "wake-sleep": mixed}
    every = np.concatenate([samples[name] for name in OBJECTIVES], axis=1)
    aims = np.concatenate([expected[name] for name in OBJECTIVES])
    z = assert_mean(every, aims, num_comparisons=aims.size)
    record_property("max_z", z)
    # Power: wake-sleep is neither the gradient of the bound nor the wake phase alone.
    for other in (truth, wake):
        assert_not_mean(samples["wake-sleep"], other, num_comparisons=truth.size)


@pytest.mark.parametrize("kind", DISCRETE)
def test_a_baseline_of_the_others_lowers_the_variance(kind):
    samples, (*_, size) = draws(kind)
    spread = {name: samples[name][:, size:].var(axis=0).sum() for name in ("score", "vimco")}
    assert spread["vimco"] < 0.5 * spread["score"]


def test_mixed_layers_are_right_by_the_score_function(record_property):
    """A Bernoulli layer under a normal one: vimco has the mean of the plain score function."""
    with jax.enable_x64(True):
        binary = elbax.ModelConfig(hidden=(), latents=(2, 1), latent="bernoulli")
        normal = elbax.ModelConfig(hidden=(), latents=(2, 1), latent="normal")
        lower = elbax.hierarchical((4,), binary, key=jax.random.key(0))
        upper = elbax.hierarchical((4,), normal, key=jax.random.key(1))
        generative = type(lower.generative)(
            (lower.generative.decoders[0], lower.generative.decoders[1]),
            upper.generative.prior,
            (4,),
        )
        encoders = (lower.inference.encoders[0], upper.inference.encoders[1])
        inference = type(lower.inference)(encoders, is_reparameterized=False)
        model = jax.tree.map(lambda a: a.astype(jnp.float64), elbax.Model(generative, inference))
        x = binary_data(2)

        def difference(key):
            gradients = [
                elbax.value_and_grad(elbax.iwae(3, gradient=rule))(model, x, key=key)[1]
                for rule in (VIMCO(), ScoreFunction())
            ]
            vimco, score = (ravel_pytree(gradient.inference)[0] for gradient in gradients)
            return vimco - score

        keys = jax.random.split(jax.random.key(42), (NUM_BATCHES, BATCH))
        samples = jax.jit(jax.vmap(lambda k: jax.vmap(difference)(k).mean(0)))(keys)
    z = assert_mean(samples, 0, num_comparisons=samples.shape[1])
    record_property("max_z", z)
    with pytest.raises(elbax.InputError, match="a mix of discrete and continuous layers"):
        elbax.value_and_grad(elbax.iwae(3))(model, x, key=jax.random.key(0))
