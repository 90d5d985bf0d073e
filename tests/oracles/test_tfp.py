"""VIMCO's leave-one-out bounds and likelihoods of images beside TensorFlow Probability's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elbax import bounds
from elbax._numerics import mean_of_others
from elbax.distributions import ContinuousBernoulli, DiscretisedLogistic
from elbax.rules import VIMCO


@pytest.fixture(scope="module")
def csiszar():
    import jax._src.core
    import jax.interpreters.xla

    # Its release of 2025 looks for a table that JAX has moved since.
    moved = jax._src.core.pytype_aval_mappings
    jax.interpreters.xla.pytype_aval_mappings = moved  # type: ignore[attr-defined]
    try:
        from tensorflow_probability.substrates.jax.vi import csiszar_divergence
    except (ImportError, AttributeError) as error:
        pytest.skip(f"TensorFlow Probability cannot be used here ({error}; extra `oracles`)")
    return csiszar_divergence


@pytest.mark.filterwarnings("ignore")
def test_geometric_leave_one_out_is_tfps(csiszar, x64):
    log_w = 3 * jax.random.normal(jax.random.key(1), (7, 5))
    replaced, value = csiszar.log_soomean_exp(log_w, axis=0)
    bound = bounds.IWAE(7)
    np.testing.assert_allclose(bound(log_w), value, rtol=1e-12)
    ours = bound.replaced(log_w, mean_of_others(log_w))
    np.testing.assert_allclose(ours, replaced, rtol=1e-11)
    w, _ = bound.derivatives(log_w)
    score = VIMCO("geometric")(bound, log_w).score
    np.testing.assert_allclose(score, value - replaced - w, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_gradient_is_tfps_vimco(csiszar, x64):
    """The gradient of its VIMCO for a Bernoulli q, on the samples that it drew."""
    logits, k = jnp.array([0.3, -0.8]), 6
    target = jnp.array([[0.5, -1.0], [0.2, 0.9]])

    def log_p(z):
        return jnp.einsum("...i,ij,...j->...", z, target, z)

    drawn = []

    class Bernoulli:
        """What tfp asks of a surrogate posterior."""

        reparameterization_type = None

        def __init__(self, logits):
            self.logits = logits

        def sample(self, sample_shape, seed=None):
            z = jax.random.bernoulli(jax.random.key(3), 0.5, (*sample_shape, 2)).astype(float)
            drawn.append(z)
            return z

        def log_prob(self, z):
            return jnp.sum(z * self.logits - jnp.logaddexp(0, self.logits), axis=-1)

    def theirs(logits):
        return csiszar.csiszar_vimco(
            f=csiszar.kl_reverse,
            p_log_prob=log_p,
            q=Bernoulli(logits),
            num_draws=k,
            num_batch_draws=1,
            seed=jax.random.PRNGKey(0),
        )

    expected = jax.grad(theirs)(logits)
    z = drawn[0].reshape(k, 2)
    log_q = Bernoulli(logits).log_prob(z)
    log_w = (log_p(z) - log_q)[:, None]
    score = VIMCO("geometric")(bounds.IWAE(k), log_w).score[:, 0]
    ours = jax.grad(lambda moved: jnp.sum(score * Bernoulli(moved).log_prob(z)))(logits)
    np.testing.assert_allclose(-ours, expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_likelihoods_of_images_are_tfps(csiszar, x64):
    from tensorflow_probability.substrates.jax import distributions as tfd

    loc, scale = jnp.array([0.3, 0.98, 0.5]), jnp.array([0.1, 0.003, 2.0])
    theirs = tfd.QuantizedDistribution(
        tfd.Logistic(255 * loc - 0.5, 255 * scale), low=0.0, high=255.0
    )
    for level in (jnp.array([0.0, 250, 255]), jnp.array([80.0, 254, 0])):
        ours = DiscretisedLogistic(loc, scale).log_prob(level / 255)
        np.testing.assert_allclose(ours, theirs.log_prob(level).sum(), rtol=1e-9)
    logits, x = jnp.array([-3.0, 0.4, 12.0]), jnp.array([0.1, 0.9, 1.0])
    ours, theirs = ContinuousBernoulli(logits), tfd.ContinuousBernoulli(logits=logits)
    np.testing.assert_allclose(ours.log_prob(x), theirs.log_prob(x).sum(), rtol=1e-9)
    np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=1e-9)
