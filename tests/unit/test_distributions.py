"""Distributions against SciPy; samples against the formulas that make them differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads

from elbax.distributions import Bernoulli, ContinuousBernoulli, DiagonalNormal, DiscretisedLogistic
from tests.statistical.budget import assert_mean, assert_not_mean

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


# Locations inside and outside of [0, 1], scales from far below a level to far above all of them.
PLACES = [(loc, scale) for loc in (-3.0, 0.0, 0.0013, 0.5, 1.4) for scale in (4e-4, 0.02, 1, 1e4)]
LEVELS = np.arange(256) / 255


def logistic_probabilities(loc, scale):
    """Of every level, in float64, each from the side where nothing cancels."""
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]])
    p = scipy.stats.logistic(loc, scale)
    low, high = edges[:-1], edges[1:]
    return np.where(low > loc, p.sf(low) - p.sf(high), p.cdf(high) - p.cdf(low))


def log_probs(p, values):
    """Of each coordinate by itself `[values, D]`, at the same values for all."""

    def one(p, x):
        return jax.tree.map(lambda leaf: leaf[None], p).log_prob(x[None])

    of_all = jax.vmap(jax.vmap(one, (0, None)), (None, 0))
    return np.asarray(of_all(p, jnp.asarray(values, jax.tree.leaves(p)[0].dtype)))


def log_probs_of_levels(loc, scale, dtype):
    p = DiscretisedLogistic(jnp.asarray(loc, dtype), jnp.asarray(scale, dtype))
    return log_probs(p, LEVELS)


def test_the_discretised_logistic_is_scipys_at_every_level(x64):
    loc, scale = np.array(PLACES).T
    found = log_probs_of_levels(loc, scale, jnp.float64)
    expected = np.stack([logistic_probabilities(*place) for place in PLACES], axis=1)
    normal = expected > 1e-290  # below, float64 has lost digits of the probability itself
    assert normal.mean() > 0.6
    np.testing.assert_allclose(found[normal], np.log(expected[normal]), rtol=1e-9, atol=1e-12)
    assert np.isfinite(found).all()
    assert (found[~normal] < np.log(1e-289)).all()


def test_probabilities_of_all_levels_sum_to_one_in_float32():
    loc, scale = np.array(PLACES).T
    found = log_probs_of_levels(loc, scale, jnp.float32).astype(np.float64)
    np.testing.assert_allclose(np.exp(found).sum(axis=0), 1, rtol=0, atol=1e-6)


def test_gradients_of_the_discretised_logistic_are_finite_everywhere():
    loc, scale = np.array([*PLACES, (0.5, 1e30), (1e4, 1e-3)], np.float32).T
    x = jnp.asarray(LEVELS[[0, 1, 128, 254, 255]], jnp.float32)

    def total(p):
        return sum(p.log_prob(jnp.full(len(loc), value)) for value in x)

    p = DiscretisedLogistic(jnp.asarray(loc), jnp.asarray(scale))
    gradient = jax.grad(total)(p)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_the_gradient_of_the_discretised_logistic_is_that_of_differences(x64):
    loc, scale = (jnp.asarray(part) for part in np.array(PLACES[4:8]).T)
    scale = jnp.maximum(scale, 0.3)  # finite differences need a smooth place

    def log_p(loc, scale):
        p = DiscretisedLogistic(jnp.asarray(loc), jnp.asarray(scale))
        return sum(p.log_prob(jnp.full(4, value)) for value in (0.0, 100 / 255, 1.0))

    check_grads(log_p, (loc, scale), order=1, modes=["rev"])


def test_the_mean_of_the_discretised_logistic_is_the_sum_over_its_levels(x64):
    loc, scale = np.array(PLACES).T
    expected = [LEVELS @ logistic_probabilities(*place) for place in PLACES]
    found = DiscretisedLogistic(jnp.asarray(loc), jnp.asarray(scale)).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.statistical
def test_draws_of_the_discretised_logistic_have_its_probabilities():
    p = DiscretisedLogistic(jnp.array([0.1, 0.5]), jnp.array([0.2, 0.05]), levels=4)
    draws = np.asarray(jax.vmap(p.sample)(jax.random.split(KEY, 20_000)))
    levels = np.arange(5, dtype=np.float32) / 4
    assert set(np.unique(draws)) == set(levels)
    seen = (draws[..., None] == levels).reshape(len(draws), -1)
    expected = np.exp(log_probs(p, levels)).T.ravel()
    assert_mean(seen, expected, num_comparisons=10, rounding=1e-6)
    assert_not_mean(seen, np.roll(expected, 1), num_comparisons=10)


# Of a falling density lambda < 1/2; SciPy knows it as an exponential cut off at 1.
SLOPES = np.array([1e-7, 1e-3, 0.3, 0.999, 1.001, 4.0, 60.0, 800.0])


def test_the_continuous_bernoulli_is_scipys_truncated_exponential(x64):
    for x in (0.0, 0.2, 0.5, 1.0):
        expected = scipy.stats.truncexpon(SLOPES, scale=1 / SLOPES).logpdf(x)
        falling, rising = (ContinuousBernoulli(jnp.asarray(sign * SLOPES)) for sign in (-1, 1))
        found = log_probs(falling, [x])[0], log_probs(rising, [1 - x])[0]
        np.testing.assert_allclose(found, [expected] * 2, rtol=2e-8, atol=1e-9)


def test_the_continuous_bernoulli_integrates_to_one_with_its_mean(x64):
    p = ContinuousBernoulli(jnp.array([-40.0, -1.0001, -0.9999, 0.0, 1e-9, 2.0]))
    x, weight = np.polynomial.legendre.leggauss(200)
    x, weight = (x + 1) / 2, weight / 2
    density = np.exp(log_probs(p, x))
    np.testing.assert_allclose(weight @ density, 1, rtol=1e-10)
    np.testing.assert_allclose(p.mean(), (weight * x) @ density, rtol=1e-9)


def test_the_continuous_bernoulli_is_smooth_where_its_constant_is_a_series():
    """In float32: the derivative of log p is x less the mean, on both sides and at 0."""
    logits = jnp.array([-2000.0, -100, -1.01, -0.99, -1e-5, 0, 1e-5, 0.99, 1.01, 100, 2000])
    slope = jax.grad(lambda q: ContinuousBernoulli(q).log_prob(jnp.full(11, 0.25)))(logits)
    exact = np.asarray(logits, np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.where(np.abs(exact) < 1e-4, 0.5 + exact / 12, 1 / -np.expm1(-exact) - 1 / exact)
    np.testing.assert_allclose(slope, 0.25 - mean, rtol=0, atol=3e-7)


@pytest.mark.statistical
def test_draws_of_the_continuous_bernoulli_have_its_moments():
    logits = np.array([-30.0, -1e-7, 0.0, 0.5, 200.0])
    p = ContinuousBernoulli(jnp.asarray(logits, jnp.float32))
    draws = np.asarray(jax.vmap(p.sample)(jax.random.split(KEY, 20_000)))
    assert draws.min() >= 0
    assert draws.max() <= 1
    x, weight = np.polynomial.legendre.leggauss(400)
    x, weight = (x + 1) / 2, weight / 2
    density = weight[:, None] * np.exp(logits * (x[:, None] - (logits > 0)))
    density /= density.sum(axis=0)
    moments = np.concatenate([x @ density, x**2 @ density])
    assert_mean(np.concatenate([draws, draws**2], axis=1), moments, num_comparisons=10)
