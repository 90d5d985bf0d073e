"""Log-weights, bounds and the evaluation against log p(x) of the linear-Gaussian model."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import elbax
from elbax import bounds
from elbax._log_weights import log_weights
from tests.statistical import oracles
from tests.statistical.budget import assert_mean, assert_not_above, assert_not_mean

pytestmark = pytest.mark.statistical

K_MAX = 16
KS = (1, 2, 4, 8, 16)
NUM_DRAWS, NUM_DATA = 20_000, 3


@jax.jit
def weights_of(model, x, key):
    return log_weights(model, x, K_MAX, key=key)


@jax.jit
def log_marginals(model, x):
    return jax.vmap(model.generative.log_marginal)(x)


@functools.cache
def draws():
    """The model, its data, log p(x) `[B]`, and log-weights `[K_MAX, N, B]`, N draws."""
    with jax.enable_x64(True):
        model, x = oracles.model_and_data(0.0, NUM_DATA)
        # Off the posterior, but wider than it, so that weights have a variance.
        model = eqx.tree_at(
            lambda m: (m.inference.bias, m.inference.log_scale),
            model,
            (model.inference.bias + 0.2, model.inference.log_scale + 0.2),
        )
        log_w = weights_of(model, jnp.tile(x, (NUM_DRAWS, 1)), jax.random.key(21))
        log_p = log_marginals(model, x)
    return model, x, np.asarray(log_p), np.asarray(log_w).reshape(K_MAX, NUM_DRAWS, NUM_DATA)


def bound_values(bound):
    """The bound of each draw `[N, B]`, from the first `num_samples` log-weights."""
    *_, log_w = draws()
    with jax.enable_x64(True):
        flat = jnp.asarray(log_w[: bound.num_samples]).reshape(bound.num_samples, -1)
        return np.asarray(jax.jit(bound)(flat)).reshape(NUM_DRAWS, NUM_DATA)


@functools.cache
def iwae(k):
    return bound_values(bounds.IWAE(k))


@pytest.mark.parametrize("k", [1, 3, K_MAX])
def test_the_mean_weight_estimates_the_marginal_without_bias(k, record_property):
    _, _, log_p, _ = draws()
    ratio = np.exp(bound_values(bounds.IWAE(k)) - log_p)
    record_property("max_z", assert_mean(ratio, 1, num_comparisons=NUM_DATA))


def test_forgetting_log_k_is_found(record_property):
    _, _, log_p, _ = draws()
    forgetful = bounds.Custom(jax.nn.logsumexp, num_samples=2)
    ratio = np.exp(bound_values(forgetful) - log_p)
    record_property("max_z", assert_not_mean(ratio, 1, num_comparisons=NUM_DATA))


def test_iwae_bounds_log_p_from_below_and_tightens_with_k(record_property):
    _, _, log_p, _ = draws()
    excess = np.stack([iwae(k) - log_p for k in KS], axis=1)
    record_property("max_z", assert_not_above(excess, 0, num_comparisons=len(KS) * NUM_DATA))
    pairs = list(itertools.pairwise(KS))
    loss = np.stack([iwae(small) - iwae(large) for small, large in pairs], axis=1)
    assert_not_above(loss, 0, num_comparisons=len(pairs) * NUM_DATA)
    # Power: the encoder is off the posterior, so that each step is a real one.
    assert_not_mean(loss, 0, num_comparisons=len(pairs) * NUM_DATA)


def test_overlapping_groups_keep_the_mean_and_take_off_variance(record_property):
    """Burroni et al. 2023: the U-statistic beside disjoint groups of the same samples."""
    disjoint, overlapping = bound_values(bounds.MIWAE(8, 2)), bound_values(bounds.UIWAE(8, 2))
    z = assert_mean(overlapping - disjoint, 0, num_comparisons=NUM_DATA)
    record_property("max_z", z)
    variances = [(found - found.mean(axis=0)) ** 2 for found in (overlapping, disjoint)]
    assert_not_above(variances[0] - variances[1], 0, num_comparisons=NUM_DATA)
    # Power, twice: there is variance to take off, and groups of another size have another mean.
    assert_not_mean(variances[0] - variances[1], 0, num_comparisons=NUM_DATA)
    other = bound_values(bounds.UIWAE(2, 8))
    assert_not_mean(other - disjoint, 0, num_comparisons=NUM_DATA)


def test_one_sample_has_the_closed_form_elbo(record_property):
    model, x, log_p, log_w = draws()
    with jax.enable_x64(True):
        exact = [float(oracles.elbo(model, datum)) for datum in x]
    record_property("max_z", assert_mean(log_w[0], exact, num_comparisons=NUM_DATA))
    assert_not_mean(log_w[0], log_p, num_comparisons=NUM_DATA)


def test_log_p_hat_is_log_p_within_its_standard_error(x64, record_property):
    """Data from the model, so that the mean of log p(x) is minus the entropy of p."""
    model, x = oracles.model_and_data(0.02, 2000)
    result = elbax.evaluate(model, x, key=jax.random.key(22), ks=(1, 200), block_rows=400_000)
    weight = np.asarray(model.generative.weight)
    covariance = weight @ weight.T + np.exp(2 * oracles.LOG_SCALE) * np.eye(len(weight))
    entropy = scipy.stats.multivariate_normal(cov=covariance).entropy()
    found = result.log_p_hat
    per_datum = np.asarray(log_marginals(model, x))
    np.testing.assert_allclose(found.standard_error, per_datum.std() / 2000**0.5, rtol=0.01)
    assert_mean(result.per_datum("log_p_hat"), -entropy, num_comparisons=1)
    # Datum by datum, where only the Monte Carlo error is left.
    error = result.per_datum("log_p_hat") - per_datum
    record_property("max_z", assert_mean(error, 0, num_comparisons=1))
    assert error.std() < 0.05 * per_datum.std()
    assert_not_mean(result.per_datum("iwae_1") - per_datum, 0, num_comparisons=1)


def orthogonal_model():
    """W with orthogonal columns, hence independent latents a posteriori; q is that posterior."""
    rng = np.random.default_rng(4)
    columns, _ = np.linalg.qr(rng.normal(size=(5, 3)))
    weight = columns * np.array([0.5, 1.0, 3.0])
    generative = oracles.linear_gaussian_of(rng.normal(size=3), weight, rng.normal(size=5), -0.4)
    return elbax.Model(generative, oracles.best_inference(generative))


def test_every_weight_is_p_of_x_under_the_exact_posterior(x64):
    model = orthogonal_model()
    x = jnp.asarray(2 * np.random.default_rng(5).normal(size=(6, 5)))
    log_w = weights_of(model, x, jax.random.key(6))
    log_p = log_marginals(model, x)
    np.testing.assert_allclose(log_w, np.tile(log_p, (K_MAX, 1)), rtol=1e-12)
    mean, covariance = model.generative.posterior(x[0])
    q = model.inference.encode(x[0])
    np.testing.assert_allclose(q.loc, mean, rtol=1e-12)
    np.testing.assert_allclose(covariance, np.diag(np.asarray(q.scale) ** 2), atol=1e-14)


def test_the_best_encoder_is_stationary(x64):
    """Where the posterior is correlated no diagonal q is exact, yet one is best."""
    model, x = oracles.model_and_data(0.0, 4)
    _, covariance = model.generative.posterior(x[0])
    assert abs(covariance[0, 1]) > 0.05
    gradient = jax.jit(jax.grad(oracles.mean_elbo))
    for leaf in jax.tree.leaves(gradient(model, x).inference):
        np.testing.assert_allclose(leaf, 0, atol=1e-12)
    # Power: nearby encoders, and the tempting one with the posterior's own variances, are not.
    moved = jax.tree.map(lambda leaf: leaf + 0.01, model)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(gradient(moved, x).inference))
    tempting = eqx.tree_at(
        lambda m: m.inference.log_scale, model, 0.5 * jnp.log(jnp.diag(covariance))
    )
    assert np.abs(gradient(tempting, x).inference.log_scale).max() > 1e-3


def test_log_marginal_is_scipys(x64):
    rng = np.random.default_rng(7)
    mean, weight, bias = rng.normal(size=3), rng.normal(size=(4, 3)), rng.normal(size=4)
    x = 3 * rng.normal(size=(5, 4))
    covariance = weight @ weight.T + np.exp(-1.4) * np.eye(4)
    expected = scipy.stats.multivariate_normal(weight @ mean + bias, covariance).logpdf(x)
    p = oracles.linear_gaussian_of(mean, weight, bias, -0.7)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda datum: p.log_marginal(datum)))(x), expected, rtol=1e-12
    )


def test_log_marginal_is_the_integral_over_a_latent(x64):
    rng = np.random.default_rng(9)
    p = oracles.linear_gaussian_of(
        rng.normal(size=1), rng.normal(size=(3, 1)), rng.normal(size=3), -0.2
    )
    x = jnp.array([0.3, -1.0, 2.0])
    # The trapezoid rule on an analytic integrand that vanishes at both ends: exact to rounding.
    z = np.linspace(-30, 30, 4001)
    log_joint = jax.jit(jax.vmap(lambda z: p.log_prob(x, z)))(z[:, None])
    integral = np.exp(np.asarray(log_joint)).sum() * (z[1] - z[0])
    np.testing.assert_allclose(p.log_marginal(x), np.log(integral), rtol=1e-12)
    mean, covariance = p.posterior(x)
    density = np.exp(np.asarray(log_joint)) * (z[1] - z[0]) / integral
    np.testing.assert_allclose(mean[0], (density * z).sum(), rtol=1e-10)
    np.testing.assert_allclose(
        covariance[0, 0], (density * (z - float(mean[0])) ** 2).sum(), rtol=1e-10
    )
