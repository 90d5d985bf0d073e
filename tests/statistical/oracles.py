"""Closed forms of the linear-Gaussian model, written apart from the library."""

import jax
import jax.numpy as jnp
import numpy as np

from elbax import Model
from elbax.models._linear_gaussian import LinearGaussian

LOG_SCALE = -0.1


def elbo(model, x):
    """The ELBO of one datum: expected log-likelihood less the KL divergence of two normals."""
    p, q = model.generative, model.inference
    mean, variance = q.weight @ x + q.bias, jnp.exp(2 * q.log_scale)
    noise = jnp.exp(2 * p.log_scale)
    residual = x - p.weight @ mean - p.bias
    spread = jnp.sum(variance * jnp.sum(p.weight**2, axis=0))
    expected = -0.5 * (
        x.shape[0] * jnp.log(2 * jnp.pi * noise) + (residual @ residual + spread) / noise
    )
    kl = 0.5 * jnp.sum(variance + (mean - p.prior_mean) ** 2 - 1 - jnp.log(variance))
    return expected - kl


def mean_elbo(model, x):
    """The mean over data `[B, D]`."""
    return jnp.mean(jax.vmap(lambda datum: elbo(model, datum))(x))


@jax.jit
def best_inference(generative):
    return generative.best_inference()


def linear_gaussian_of(mean, weight, bias, log_scale):
    """A generative network of NumPy's numbers, in the current precision."""
    parts = (mean, weight, bias, np.array(log_scale))
    return LinearGaussian(*(jnp.asarray(part, jnp.zeros(0).dtype) for part in parts))


def model_and_data(offset, num_data):
    """A model whose encoder is `offset` off the best one, and data `[num_data, 4]` drawn from it.

    NumPy draws them: no program to compile.
    """
    rng = np.random.default_rng(11)
    mean, weight, bias = rng.normal(size=2), rng.normal(size=(4, 2)) / 2**0.5, rng.normal(size=4)
    generative = linear_gaussian_of(mean, weight, bias, LOG_SCALE)
    inference = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(offset * rng.normal(size=leaf.shape), leaf.dtype),
        best_inference(generative),
    )
    z = mean + rng.normal(size=(num_data, 2))
    x = z @ weight.T + bias + np.exp(LOG_SCALE) * rng.normal(size=(num_data, 4))
    return Model(generative, inference), jnp.asarray(x, generative.bias.dtype)
