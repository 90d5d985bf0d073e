"""IWAE and Renyi bounds beside NumPyro's RenyiELBO on a shared model: values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import elbax
from tests.statistical.budget import assert_mean, assert_not_mean

numpyro = pytest.importorskip("numpyro", reason="NumPyro is not installed (extra `oracles`)")
infer = pytest.importorskip("numpyro.infer")

pytestmark = pytest.mark.statistical

K, NUM_BATCHES, BATCH = 5, 200, 50


def numpyro_model(p, x):
    one = jnp.ones_like(p.prior_mean)
    z = numpyro.sample("z", numpyro.distributions.Normal(p.prior_mean, one).to_event(1))
    scale = jnp.exp(p.log_scale) * jnp.ones_like(p.bias)
    likelihood = numpyro.distributions.Normal(p.weight @ z + p.bias, scale)
    numpyro.sample("x", likelihood.to_event(1), obs=x)


def numpyro_guide(q, x):
    normal = numpyro.distributions.Normal(q.weight @ x + q.bias, jnp.exp(q.log_scale))
    numpyro.sample("z", normal.to_event(1))


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_value_and_gradient_have_the_same_mean(alpha, record_property):
    with jax.enable_x64(True):
        model = elbax.linear_gaussian(3, 2, key=jax.random.key(2), offset=0.3)
        x = jnp.array([0.3, -1.0, 0.8])
        objective = elbax.iwae(K) if alpha == 0 else elbax.renyi(K, alpha)
        theirs = infer.RenyiELBO(alpha=alpha, num_particles=K)

        def of_numpyro(model, key):
            def guide():
                numpyro_guide(model.inference, x)

            def joint():
                numpyro_model(model.generative, x)

            return -theirs.loss(key, {}, joint, guide)

        def both(key):
            first, second = jax.random.split(key)
            (value, _), gradient = elbax.value_and_grad(objective)(model, x[None], key=first)
            ours = jnp.append(ravel_pytree(gradient)[0], value)
            value, gradient = jax.value_and_grad(of_numpyro)(model, second)
            return ours, jnp.append(ravel_pytree(gradient)[0], value)

        keys = jax.random.split(jax.random.key(51), (NUM_BATCHES, BATCH))
        run = jax.jit(lambda k: jax.lax.map(jax.vmap(both), k))
        ours, numpyros = (np.asarray(part).mean(axis=1) for part in run(keys))
    z = assert_mean(ours - numpyros, 0, num_comparisons=ours.shape[1])
    record_property("max_z", z)
    # Power: it is neither the sum over particles nor the ELBO.
    assert_not_mean(ours, 0, num_comparisons=ours.shape[1])
