"""The leapfrog of annealed chains beside NumPyro's velocity Verlet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.evaluation.hamiltonian import point_at, trajectory

hmc_util = pytest.importorskip("numpyro.infer.hmc_util", reason="NumPyro is not installed")


def test_trajectories_are_numpyros(x64):
    model = elbax.linear_gaussian(4, 3, key=jax.random.key(0), offset=0.3)
    x, b, size = jnp.array([0.3, -1.0, 2.0, 0.5]), jnp.array(0.3), 0.2
    context, scale = model.inference.encode(x), jnp.array([0.5, 1.0, 2.0])

    def log_p(z):
        return model.generative.log_prob(x, z)

    def log_q(z):
        return model.inference.log_prob(context, z)

    def potential(z):
        return -(1 - b) * log_q(z) - b * log_p(z)

    z, momentum = jax.random.normal(jax.random.key(1), (2, 3))

    def at(z):
        return point_at(log_p, log_q, z)

    start = at(z)
    end, turned = jax.jit(trajectory, static_argnums=(0, 5))(
        at, start, momentum, b, size * scale, 7
    )
    # A diagonal mass matrix: their momentum is ours over the scale.
    begin, advance = hmc_util.velocity_verlet(potential, hmc_util.euclidean_kinetic_energy)
    state = begin(z, momentum / scale)
    advance = jax.jit(advance)
    for _ in range(7):
        state = advance(size, scale**2, state)
    np.testing.assert_allclose(end.z, state.z, rtol=1e-12)
    np.testing.assert_allclose(turned / scale, state.r, rtol=1e-12)
    assert np.abs(end.z - z).max() > 0.1
