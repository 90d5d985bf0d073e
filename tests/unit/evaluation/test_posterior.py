"""Posterior means, reconstructions and prior samples on models whose answers are plain algebra."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.evaluation import posterior
from elbax.evaluation.posterior import (
    posterior_means,
    prior_samples,
    reconstructions,
)
from elbax.models._linear_gaussian import LinearGaussian, LinearInference
from tests.models import MODELS, binary_data


def model_with_means(factors, offset=0.0):
    """E_q[z_u | x] = factors_u x_u + offset, with wide posteriors."""
    size = len(factors)
    rng = np.random.default_rng(41)
    parts = (rng.normal(size=size), rng.normal(size=(size, size)), rng.normal(size=size))
    generative = LinearGaussian(*(jnp.asarray(part, jnp.float32) for part in parts), jnp.zeros(()))
    weight, log_scale = jnp.asarray(np.diag(factors), jnp.float32), jnp.full(size, 2.0)
    return elbax.Model(generative, LinearInference(weight, jnp.full(size, offset), log_scale))


@pytest.fixture(scope="module")
def x():
    """Columns of variance exactly one: `[2500, 5]`, more than two blocks."""
    columns = np.random.default_rng(42).normal(size=(2500, 5))
    columns = (columns - columns.mean(0)) / columns.std(0)
    return columns.astype(np.float32)


def test_posterior_means_are_the_encoders_in_order(x):
    model = model_with_means([1.0, 2.0, 3.0, 4.0, 5.0], offset=0.5)
    found = posterior_means(model, x)
    np.testing.assert_allclose(found, x * np.arange(1, 6) + 0.5, rtol=1e-5, atol=1e-6)


def test_reconstructions_decode_the_posterior_mean(x):
    model = model_with_means([0.1, 0.2, 0.3, 0.4, 0.5])
    weight, bias = (np.asarray(a) for a in (model.generative.weight, model.generative.bias))
    expected = (x * np.array([0.1, 0.2, 0.3, 0.4, 0.5])) @ weight.T + bias
    np.testing.assert_allclose(reconstructions(model, x), expected, rtol=1e-4, atol=1e-5)


def test_the_size_of_a_block_does_not_matter(x, monkeypatch):
    model, few = model_with_means([0.1, 0.2, 0.3, 0.4, 0.5]), x[:10]
    means, rebuilt = posterior_means(model, few), reconstructions(model, few)
    monkeypatch.setattr(posterior, "_BLOCK", 4)
    np.testing.assert_allclose(posterior_means(model, few), means, rtol=1e-5)
    np.testing.assert_allclose(reconstructions(model, few), rebuilt, rtol=1e-5)


def test_prior_samples_decode_draws_of_the_prior():
    model = model_with_means([0.0, 0.0, 0.0])
    narrow = eqx.tree_at(lambda m: m.generative.weight, model, jnp.zeros((3, 3)))
    bias = np.asarray(model.generative.bias)
    found = prior_samples(narrow, 4, key=jax.random.key(1))
    np.testing.assert_allclose(found, np.tile(bias, (4, 1)))
    keys = jax.random.split(jax.random.key(1), 4)
    z = np.stack([model.generative.sample_prior(key) for key in keys])
    expected = z @ np.asarray(model.generative.weight).T + bias
    np.testing.assert_allclose(prior_samples(model, 4, key=jax.random.key(1)), expected, rtol=1e-4)


def test_images_come_back_in_their_shape():
    config = elbax.ModelConfig(hidden=(3,), latents=2)
    model = eqx.filter_jit(elbax.one_layer)((2, 3), config, key=jax.random.key(1))
    images = np.zeros((7, 2, 3), np.float32)
    for found in (reconstructions(model, images), prior_samples(model, 7, key=jax.random.key(0))):
        assert found.shape == (7, 2, 3)
        assert ((found > 0) & (found < 1)).all()  # probabilities, not draws
    assert posterior_means(model, images).shape == (7, 2)


def test_two_layers_have_means_reconstructions_and_samples():
    model, x = jax.jit(MODELS["two-layer"])(), binary_data(5)
    assert [mean.shape for mean in posterior_means(model, x)] == [(5, 3), (5, 2)]
    assert reconstructions(model, x).shape == (5, 4)
    assert prior_samples(model, 6, key=jax.random.key(0)).shape == (6, 4)


WRONG = {
    "no data": (
        lambda model: posterior_means(model, np.zeros((0, 3), np.float32)),
        "Give at least one datum",
    ),
    "no samples": (
        lambda model: prior_samples(model, 0, key=jax.random.key(0)),
        "expected num_samples >= 1; got 0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_refused_with_a_sentence(name):
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call(model_with_means([1.0, 1.0, 1.0]))


def test_samples_of_data_follow_the_marginal_and_lie_around_the_prior_samples():
    model = elbax.linear_gaussian(3, 2, key=jax.random.key(5))
    num, key = 4000, jax.random.key(6)
    x, means = elbax.sample(model, num, key=key), elbax.prior_samples(model, num, key=key)
    generative = model.generative
    weight = np.asarray(generative.weight, np.float64)
    variance = float(np.exp(2 * generative.log_scale))
    center = weight @ np.asarray(generative.prior_mean) + np.asarray(generative.bias)
    covariance = weight @ weight.T + variance * np.eye(3)
    # Each at most 5 of its standard errors away; an entry of a sample covariance has variance
    # (s_ii s_jj + s_ij^2) / N.
    error = np.sqrt(np.diag(covariance) / num)
    assert (np.abs(x.mean(0) - center) < 5 * error).all()
    spread = np.diag(covariance)
    error = np.sqrt((np.outer(spread, spread) + covariance**2) / num)
    assert (np.abs(np.cov(x.T) - covariance) < 5 * error).all()
    noise = (x - means) / variance**0.5
    assert np.abs(noise.std() - 1) < 5 / np.sqrt(2 * noise.size)
    assert np.abs(np.mean(noise * means)) < 5 * means.std() / noise.size**0.5


def test_samples_of_binary_data_are_binary_and_a_model_without_them_says_so():
    config = elbax.ModelConfig(hidden=(), latents=2)
    x = elbax.sample(
        elbax.one_layer((2, 3), config, key=jax.random.key(0)), 40, key=jax.random.key(1)
    )
    assert x.shape == (40, 2, 3)
    assert set(np.unique(x)) == {0, 1}
    with pytest.raises(InputError, match=r"a sample of data needs draws of x .* `sample_data"):
        elbax.sample(MODELS["two-layer"](), 1, key=jax.random.key(0))
    with pytest.raises(InputError, match="num_samples >= 1; got 0"):
        elbax.sample(MODELS["two-layer"](), 0, key=jax.random.key(0))
