"""Steps of Adam against Optax's own, and a step that is to be taken again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import elbax
from elbax.training.adam import adam_step

CONFIG = elbax.TrainConfig(adam_b1=0.8, adam_b2=0.95, adam_eps=1e-3)
RATES = (0.1, 0.05, 0.2, 0.01)
GRADIENTS = np.random.default_rng(0).normal(size=(len(RATES), 2, 3)) ** 3
STEP = jax.jit(adam_step, static_argnames="config")


def start(dtype):
    params = {"weight": jnp.ones((2, 3), dtype), "bias": jnp.zeros(3, dtype)}
    return optax.scale_by_adam().init(params), params


def gradient(step, dtype):
    return {
        "weight": jnp.asarray(GRADIENTS[step], dtype),
        "bias": jnp.asarray(GRADIENTS[step, 0], dtype),
    }


def walk(dtype, repeated=()):
    """Parameters after every step; those of `repeated` find data to set aside first."""
    (state, params), seen = start(dtype), []
    for step, rate in enumerate(RATES):
        if step in repeated:
            before = state, params
            broken = jax.tree.map(jnp.zeros_like, params)
            state, params = STEP(state, params, broken, jnp.float32(0), jnp.array(True), CONFIG)
            jax.tree.map(np.testing.assert_array_equal, (state, params), before)
        state, params = STEP(
            state, params, gradient(step, dtype), jnp.float32(rate), jnp.array(False), CONFIG
        )
        seen.append(params)
    return state, seen


def by_optax():
    optimizer = optax.scale_by_adam(CONFIG.adam_b1, CONFIG.adam_b2, CONFIG.adam_eps)
    (state, params), seen = start(jnp.float64), []
    for step, rate in enumerate(RATES):
        change, state = optimizer.update(gradient(step, jnp.float64), state)
        change = optax.tree.scale(np.float32(rate), change)
        params = optax.apply_updates(params, change)
        seen.append(params)
    return seen


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("dtype", "digits"), [("float64", 1e-13), ("float32", 2e-6)])
def test_steps_are_those_of_optax(dtype, digits):
    state, seen = walk(jnp.dtype(dtype))
    assert int(state.count) == len(RATES)
    for ours, theirs in zip(seen, by_optax(), strict=True):
        for name in ours:
            assert ours[name].dtype == dtype  # also beside wider numbers
            np.testing.assert_allclose(ours[name], theirs[name], rtol=digits, atol=digits)


def test_a_step_taken_again_leaves_no_trace_not_even_the_first():
    _, expected = walk(jnp.float32)
    _, found = walk(jnp.float32, repeated=(0, 2))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
