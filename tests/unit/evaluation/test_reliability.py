"""k-hat and the Monte Carlo error, against tails that are known and repeated estimates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.evaluation.reliability import khat_threshold, pareto_khat, tail_size


def khat_of(log_w: np.ndarray) -> np.ndarray:
    return pareto_khat(-np.sort(-log_w, axis=0)[: tail_size(len(log_w)) + 1])


@pytest.mark.parametrize("scale", [0.5, 0.7, 0.9])
def test_a_normal_too_narrow_has_the_tail_that_theory_says(scale):
    """w = N(0, 1) / N(0, s^2) at z from N(0, s^2): P(w > t) falls as t^(-1 / (1 - s^2))."""
    z = scale * np.random.default_rng(0).standard_normal((200_000, 30))
    log_w = -0.5 * z**2 * (1 - 1 / scale**2)
    found = khat_of(log_w)
    error = found.std(ddof=1) / len(found) ** 0.5
    # A logarithm in the tail's own law leaves a bias that dies off slowly with the samples.
    assert abs(found.mean() - (1 - scale**2)) < 4 * error + 0.06


def test_the_exact_posterior_is_reliable_and_a_poor_one_is_not():
    model = elbax.linear_gaussian(4, 2, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (40, 4))
    poor = elbax.evaluate(model, 6 * x, key=jax.random.key(2), ks=(1, 200))
    assert not poor.is_reliable.all()
    exact = elbax.Evaluation((200,), np.zeros((1, 3)), np.full(3, 200.0), np.ones((1, 3), bool))
    assert not exact.is_reliable.any()  # nothing is known
    equal = khat_of(np.full((200, 3), -91.25))
    assert (equal == -np.inf).all()


def test_blocks_do_not_matter():
    model = elbax.linear_gaussian(4, 2, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (17, 4))
    options = {"key": jax.random.key(2), "ks": (1, 150)}
    whole = elbax.evaluate(model, x, **options)
    cut = elbax.evaluate(model, x, **options, block_rows=100)
    assert whole.khat.shape == (17,)
    np.testing.assert_allclose(whole.khat, cut.khat, rtol=1e-3)


@pytest.mark.statistical
def test_the_monte_carlo_error_is_the_spread_of_repeated_estimates():
    model = elbax.linear_gaussian(3, 2, key=jax.random.key(3))
    x = jax.random.normal(jax.random.key(4), (30, 3)) / 2
    found = [elbax.evaluate(model, x, key=jax.random.key(seed), ks=(1, 400)) for seed in range(100)]
    trusted = np.all([one.is_reliable for one in found], axis=0)
    assert trusted.sum() >= 10
    spread = np.std([one.bounds[-1] for one in found], axis=0, ddof=1)[trusted]
    said = np.sqrt(np.mean([one.mc_errors**2 for one in found], axis=0))[trusted]
    # An sd of 100 draws has an error of 7 %; over the data less.
    assert np.mean(spread / said) == pytest.approx(1, abs=0.07)


def test_dead_and_few_weights_are_not_reliable():
    dead = np.full((100, 2), -np.inf)
    assert np.isnan(khat_of(dead)).all()
    some = np.where(np.arange(100)[:, None] < 3, 0.0, dead)  # three alive
    assert not (khat_of(some) <= khat_threshold(100)).any()
    assert np.isnan(khat_of(np.zeros((10, 2)))).all()


def test_one_sample_is_never_reliable():
    model = elbax.linear_gaussian(3, 2, key=jax.random.key(0))
    found = elbax.evaluate(model, jnp.zeros((5, 3)), key=jax.random.key(1), ks=(1,))
    assert not found.is_reliable.any()
    assert np.isnan(found.khat).all()
