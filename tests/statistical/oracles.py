"""Closed forms of the linear-Gaussian model, written apart from the library."""

import jax
import jax.numpy as jnp

from elbax.models.linear_gaussian import linear_gaussian


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


def model_and_data(offset, num_data, *, num_observed=4, num_latents=2):
    """A model in the current precision, and data drawn from it."""
    model = linear_gaussian(num_observed, num_latents, key=jax.random.key(11), offset=offset)
    keys = jax.random.split(jax.random.key(12), (2, num_data))
    z = jax.vmap(model.generative.sample_prior)(keys[0])
    noise = jax.vmap(lambda key: jax.random.normal(key, (num_observed,)))(keys[1])
    x = jax.vmap(model.generative.mean)(z) + jnp.exp(model.generative.log_scale) * noise
    return model, x
