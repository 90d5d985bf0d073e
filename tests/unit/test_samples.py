"""Samples in chunks: the gradient of all samples at once, whatever the objective and the cut."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax import _log_weights as waist
from elbax import _samples, bounds
from elbax.gradients import Plan, routed, set_aside
from elbax.objectives import Needs
from elbax.rules import RWS, Context
from tests import models
from tests.unit.training.runs import build

T = 12
CONTEXT = Context(0.7, jnp.asarray(-3.0), jnp.asarray(2.0))
CONTINUOUS = {
    "vae": elbax.vae(T),
    "iwae": elbax.iwae(T),
    "iwae stl": elbax.iwae(T, gradient="stl"),
    "iwae dreg": elbax.iwae(T, gradient="dreg"),
    "iwae gdreg": elbax.iwae(T, gradient="gdreg"),
    "miwae": elbax.miwae(3, 4),
    "piwae dreg": elbax.piwae(3, 4, gradient="dreg"),
    "ciwae": elbax.ciwae(T, 0.3),
    "renyi": elbax.renyi(T, 0.4),
    "jvi": elbax.jvi(T),
    "tvo": elbax.tvo(T),
    "wake-dreg": elbax.iwae(T, gradient="wake-dreg"),
    "custom dreg": elbax.Objective(*[bounds.Custom(jnp.max, num_samples=T)] * 2, gradient="dreg"),
}
DISCRETE = {
    "score": elbax.iwae(T, gradient="score"),
    "vimco": elbax.iwae(T, gradient="vimco"),
    "nvil": elbax.miwae(3, 4, gradient="nvil"),
    "ovis": elbax.iwae(T, gradient="ovis:0.5"),
    "wake-sleep": elbax.Objective(*[bounds.IWAE(T)] * 2, gradient=RWS(0.5, 0.5)),
}


def gradients(table, needs, model, x, chunk):
    """Value, log-weights and gradients of every objective of a table, compiled once."""
    x64 = jax.tree.map(
        lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, model
    )
    branches = [
        lambda log_w, annealed, o=objective: o.channels(log_w, annealed, CONTEXT)
        for objective in table.values()
    ]

    @jax.jit
    def of(index):
        channels = functools.partial(jax.lax.switch, index, branches)
        plan = Plan(T, channels, needs, CONTEXT.kl_weight, sample_chunk=chunk)
        dead = jnp.isnan(x[:, 0])
        (value, info), found = routed(plan, x64, set_aside(x, dead), jax.random.key(5), dead)
        return value, info.log_w, found

    return {name: of(index) for index, name in enumerate(table)}


CONTINUOUS_NEEDS = Needs(path=True, prior_path=True, annealed=True)
DISCRETE_NEEDS = Needs(sleep=True, baseline=True)


def assert_chunks_are_all(table, needs, name):
    """5 does not divide 12, and one datum is dead."""
    model, x = models.MODELS[name](), models.binary_data().astype(float).at[1].set(jnp.nan)
    whole, cut = (gradients(table, needs, model, x, chunk) for chunk in (T, 5))
    for name in table:
        for one, other in zip(
            jax.tree.leaves(cut[name]), jax.tree.leaves(whole[name]), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)
    norms = {name: float(jnp.abs(jax.tree.leaves(found)[-1]).max()) for name, found in cut.items()}
    assert min(norms.values()) > 0, norms


def test_chunks_give_the_gradient_of_all_samples_at_once(x64):
    """In float64, where rounding hides nothing; an objective is nothing but its weights."""
    some = {name: CONTINUOUS[name] for name in ("iwae", "piwae dreg", "iwae gdreg")}
    assert_chunks_are_all(some, CONTINUOUS_NEEDS, "linear-gaussian")


@pytest.mark.slow
def test_chunks_give_the_gradient_of_every_objective(x64):
    assert_chunks_are_all(CONTINUOUS, CONTINUOUS_NEEDS, "two-layer")
    assert_chunks_are_all(DISCRETE, DISCRETE_NEEDS, "sbn")


def by_hand(model, x, keys):
    """Of IWAE, float64 NumPy: d / d b of the decoder; and by DReG, d / d c of the encoder.

    With r = (x - W z - b) / s^2, and w the self-normalized weights, these are the means over data
    of `sum_k w_k r_k` and `sum_k w_k^2 (W^T r_k - (z_k - mu) + noise_k / scale)`.
    """
    drawn = jax.jit(lambda q, x: waist.draw(q, waist.encode(q, x), keys))(model.inference, x)
    z = np.asarray(drawn, np.float64)  # [K, B, Z]
    mu, weight, b, log_s, a, c, log_scale = (
        np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(model)
    )
    x, scale, variance = np.asarray(x, np.float64), np.exp(log_scale), np.exp(2 * log_s)
    residual = (x - z @ weight.T - b) / variance
    noise = (z - x @ a.T - c) / scale
    log_w = -0.5 * (variance * residual**2).sum(-1) - 0.5 * ((z - mu) ** 2).sum(-1)
    log_w += 0.5 * (noise**2).sum(-1)
    w = np.exp(log_w - log_w.max(0))
    w = (w / w.sum(0))[..., None]
    path = residual @ weight - (z - mu) + noise / scale
    return (w * residual).sum(0).mean(0), (w**2 * path).sum(0).mean(0)


def test_a_chunked_gradient_is_that_of_the_linear_gaussian_model_by_hand():
    model = elbax.linear_gaussian(4, 2, key=jax.random.key(2), offset=0.3)
    x, key, k = jax.random.normal(jax.random.key(3), (3, 4)), jax.random.key(4), 1000
    step = elbax.value_and_grad(elbax.iwae(k, gradient="dreg"), sample_chunk=64)
    _, found = step(model, x, key=key)
    of_b, of_c = by_hand(model, x, jax.random.split(key, (k, len(x))))
    np.testing.assert_allclose(found.generative.bias, of_b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.inference.bias, of_c, rtol=1e-4, atol=1e-5)


def test_memory_decides_where_nobody_does(monkeypatch):
    """The draws of a step are cut into as many chunks as keep it below the limit, in any fleet."""
    model, x = elbax.linear_gaussian(4, 2, key=jax.random.key(2)), jnp.zeros((2, 4))
    seen = []
    run_forward = _samples.run_forward

    def watched(forward, keys, chunk):
        samples = run_forward(forward, keys, chunk)
        seen.append(getattr(samples, "_num_chunks", 1))
        return samples

    monkeypatch.setattr("elbax.gradients.run_forward", watched)
    monkeypatch.setattr(_samples, "_ALWAYS_WHOLE", 100)
    steps = elbax.value_and_grad(elbax.iwae(64))
    for most in (2**30, 2**13, 2**11):
        monkeypatch.setattr(_samples, "_MOST_BYTES", most)
        jax.clear_caches()
        eqx.filter_eval_shape(steps, model, x, key=jax.random.key(0))
    assert seen[0] == 1 < seen[1] < seen[2] <= 64
    assert set(seen[1:]) == {seen[1], seen[2]}


def test_a_chunked_step_takes_memory_by_chunks():
    model, x = elbax.linear_gaussian(100, 5, key=jax.random.key(0)), jnp.zeros((5, 100))

    def peak(chunk: int) -> int:
        step = elbax.value_and_grad(elbax.iwae(4000), sample_chunk=chunk)
        compiled = jax.jit(lambda model, x: step(model, x, key=jax.random.key(0))).lower(model, x)
        return compiled.compile().memory_analysis().temp_size_in_bytes

    assert peak(250) < peak(4000) / 3


@pytest.mark.parametrize("chunk", [0, -3, True])
def test_a_chunk_of_no_samples_is_refused(chunk):
    with pytest.raises(elbax.InputError, match="expected sample_chunk"):
        elbax.value_and_grad(elbax.iwae(4), sample_chunk=chunk)


def test_how_samples_are_cut_is_no_part_of_a_run():
    (_, plain, identity), (_, cut, same) = build(), build(sample_chunk=3)
    assert identity == same
    assert plain.program != cut.program
    assert cut.program.sample_chunk == 3
    with pytest.raises(elbax.InputError, match="expected sample_chunk >= 1; got 0"):
        build(sample_chunk=0)
