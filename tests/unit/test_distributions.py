"""Distributions against SciPy; samples against the formulas that make them differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from elbax.distributions import Bernoulli, DiagonalNormal
from tests.statistical.budget import assert_mean

LOC, SCALE = np.array([0.5, -2.0, 0.0]), np.array([1e-3, 1.0, 40.0])
KEY = jax.random.key(51)


def test_the_normal_log_density_is_scipys(x64):
    q = DiagonalNormal(jnp.asarray(LOC), jnp.asarray(SCALE))
    for value in (LOC, LOC + SCALE, LOC - 30 * SCALE, np.array([0.5, 3.0, -1.0])):
        expected = scipy.stats.norm(LOC, SCALE).logpdf(value).sum()
        np.testing.assert_allclose(q.log_prob(jnp.asarray(value)), expected, rtol=1e-13)


def test_the_normal_in_float32_is_close_to_float64():
    q = DiagonalNormal(jnp.asarray(LOC, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    value = LOC + np.array([2.0, -1.0, 0.5]) * SCALE
    found = q.log_prob(jnp.asarray(value, jnp.float32))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, scipy.stats.norm(LOC, SCALE).logpdf(value).sum(), rtol=1e-4)


def test_normal_samples_are_differentiable_in_both_parameters():
    q = DiagonalNormal(jnp.asarray(LOC, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    noise = (q.sample(KEY) - q.loc) / q.scale
    gradient = jax.grad(lambda q: q.sample(KEY).sum())(q)
    np.testing.assert_allclose(gradient.loc, 1)
    np.testing.assert_allclose(gradient.scale, noise, rtol=1e-2)
    np.testing.assert_array_equal(q.mean(), q.loc)


@pytest.mark.statistical
def test_normal_samples_have_the_mean_and_the_standard_deviation():
    q = DiagonalNormal(jnp.asarray(LOC, jnp.float32), jnp.asarray(SCALE, jnp.float32))
    standard = (jax.vmap(q.sample)(jax.random.split(KEY, 20_000)) - q.loc) / q.scale
    # Float32 leaves 1e-7 / 1e-3 of the narrowest coordinate.
    moments = np.concatenate([standard, np.asarray(standard) ** 2], axis=1)
    assert_mean(moments, [0] * 3 + [1] * 3, num_comparisons=6, rounding=1e-4)


def test_the_bernoulli_log_probability_is_scipys(x64):
    logits = np.array([-4.0, 0.0, 0.3, 7.0])
    x = np.array([1, 0, 1, 0])
    probability = 1 / (1 + np.exp(-logits))
    found = Bernoulli(jnp.asarray(logits)).log_prob(jnp.asarray(x, float))
    expected = scipy.stats.bernoulli(probability).logpmf(x).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_bernoulli_probabilities_of_all_outcomes_sum_to_one(x64):
    p = Bernoulli(jnp.array([-1.0, 0.2, 3.0]))
    outcomes = jnp.array(np.indices((2, 2, 2)).reshape(3, 8).T, float)
    np.testing.assert_allclose(jnp.exp(jax.vmap(p.log_prob)(outcomes)).sum(), 1, rtol=1e-13)


@pytest.mark.statistical
def test_bernoulli_samples_are_zeros_and_ones_of_the_right_mean():
    p = Bernoulli(jnp.array([-3.0, 0.0, 1.0]))
    samples = np.asarray(jax.vmap(p.sample)(jax.random.split(KEY, 20_000)))
    assert samples.dtype == np.float32
    assert set(np.unique(samples)) == {0, 1}
    assert_mean(samples, 1 / (1 + np.exp(-np.array([-3.0, 0.0, 1.0]))), num_comparisons=3)
    np.testing.assert_allclose(p.mean(), 1 / (1 + np.exp([3.0, 0.0, -1.0])), rtol=1e-6)
