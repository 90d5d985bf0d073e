"""Manifold, interpolation, posterior samples and weights on models that are plain algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import elbax
from elbax._errors import InputError
from elbax.evaluation import looks
from elbax.evaluation.posterior import reconstructions
from tests.models import MODELS, binary_data


@pytest.fixture(scope="module")
def linear():
    return elbax.linear_gaussian(4, 2, key=jax.random.key(2), offset=0.3)


def test_the_manifold_is_even_in_probability(linear):
    quantiles = scipy.stats.norm.ppf([1 / 6, 1 / 2, 5 / 6])
    expected = [
        np.asarray(linear.generative.weight) @ [first, second] + np.asarray(linear.generative.bias)
        for second in quantiles[::-1]
        for first in quantiles
    ]
    np.testing.assert_allclose(looks.manifold(linear, 3), expected, rtol=1e-4, atol=1e-5)


def test_lines_begin_and_end_at_reconstructions_and_are_straight_in_z(linear):
    x = np.asarray(binary_data(6), np.float32)
    found = looks.interpolation(linear, x[:3], x[3:], num=5)
    assert found.shape == (3, 5, 4)
    np.testing.assert_allclose(found[:, 0], reconstructions(linear, x[:3]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, -1], reconstructions(linear, x[3:]), rtol=1e-4, atol=1e-5)
    # The decoder is linear here, so the images are on a line too.
    np.testing.assert_allclose(found[:, 2], (found[:, 0] + found[:, -1]) / 2, rtol=1e-4, atol=1e-5)


def test_resampled_latents_follow_the_true_posterior(linear):
    """E[x | z] over resampled z against the closed form: plain draws are far from it."""
    x = np.asarray(binary_data(1), np.float32)
    plain, resampled = looks.posterior_samples(linear, x, key=jax.random.key(1), num=400, k=300)
    weight, bias = (
        np.asarray(a, np.float64) for a in (linear.generative.weight, linear.generative.bias)
    )
    noise = np.exp(2 * np.asarray(linear.generative.log_scale, np.float64))
    precision = np.eye(2) + weight.T @ weight / noise
    mean = np.linalg.solve(precision, weight.T @ (x[0] - bias) / noise)
    exact = weight @ mean + bias
    spread = np.sqrt(np.diag(weight @ np.linalg.inv(precision) @ weight.T))
    z_resampled = (resampled[0].mean(axis=0) - exact) / (spread / 20)
    z_plain = (plain[0].mean(axis=0) - exact) / (spread / 20)
    assert np.abs(z_resampled).max() < 6  # 4 values; the bias of 300 draws is below the error
    assert np.abs(z_plain).max() > 10


@pytest.mark.parametrize("name", ["hierarchical", "sbn"])
def test_layers_have_lines_and_posterior_samples(name):
    model, x = MODELS[name](), binary_data(4)
    assert looks.interpolation(model, x[:2], x[2:], num=3).shape == (2, 3, 4)
    plain, resampled = looks.posterior_samples(model, x, key=jax.random.key(0), num=2, k=3)
    assert plain.shape == resampled.shape == (4, 2, 4)


def test_weights_are_those_next_to_the_data_largest_first():
    config = elbax.ModelConfig(hidden=(5, 3), latents=2)
    model = elbax.one_layer((2, 2), config, key=jax.random.key(0))
    first, last = looks.weight_images(model, num=4)
    reads = np.asarray(model.inference.encoder.network.layers[0].weight).T
    writes = np.asarray(model.generative.decoder.logits.weight)
    assert first.shape == last.shape == (4, 2, 2)
    for found, weights in ((first, reads), (last, writes)):
        order = np.argsort(-np.linalg.norm(weights, axis=1))[:4]
        np.testing.assert_array_equal(found.reshape(4, 4), weights[order])


def test_models_and_numbers_that_do_not_fit_are_refused(linear):
    conv = elbax.ModelConfig(channels=(2,), hidden=(3,), latents=3)
    images = elbax.one_layer((4, 4), conv, key=jax.random.key(0))
    x = jnp.zeros((2, 4))
    for call, message in (
        (lambda: looks.manifold(images), "one layer of two latents"),
        (lambda: looks.manifold(linear, 0), "at least 1 x 1"),
        (lambda: looks.interpolation(linear, x, x, num=1), "at least two points"),
        (lambda: looks.posterior_samples(linear, x, key=jax.random.key(0), k=0), "k >= 1"),
        (lambda: looks.weight_images(images), "fully connected"),
    ):
        with pytest.raises(InputError, match=message):
            call()
