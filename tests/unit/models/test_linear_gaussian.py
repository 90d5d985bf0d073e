"""The linear-Gaussian model as a model; its closed forms are held to SciPy in tests/statistical."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from elbax import linear_gaussian

KEY = jax.random.key(91)


def built(offset):
    return linear_gaussian(4, 2, key=KEY, offset=offset)


def test_densities_are_scipys(x64):
    model = built(0.1)
    p, q = model.generative, model.inference
    p = jax.tree.map(lambda leaf: leaf + 0.3, p)  # a log_scale that is not zero
    x, z = np.array([1.0, -2.0, 0.5, 3.0]), np.array([0.2, -1.0])
    weight, bias, mean = (np.asarray(a) for a in (p.weight, p.bias, p.prior_mean))
    expected = scipy.stats.norm(mean, 1).logpdf(z).sum()
    expected += scipy.stats.norm(weight @ z + bias, np.exp(0.3)).logpdf(x).sum()
    np.testing.assert_allclose(p.log_prob(jnp.asarray(x), jnp.asarray(z)), expected, rtol=1e-13)
    loc = np.asarray(q.weight) @ x + np.asarray(q.bias)
    context = q.encode(jnp.asarray(x))
    np.testing.assert_allclose(
        q.log_prob(context, jnp.asarray(z)),
        scipy.stats.norm(loc, np.exp(q.log_scale)).logpdf(z).sum(),
        rtol=1e-13,
    )
    np.testing.assert_allclose(q.mean(context), loc, rtol=1e-13)


def test_offset_moves_the_encoder_and_nothing_else():
    best, moved = built(0.0), built(0.5)
    best_leaves, moved_leaves = (jax.tree.leaves(m.generative) for m in (best, moved))
    for a, b in zip(best_leaves, moved_leaves, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    steps = jax.tree.map(lambda a, b: np.abs(a - b), best.inference, moved.inference)
    assert all((leaf > 0).all() for leaf in jax.tree.leaves(steps))
    exact = best.generative.best_inference()
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(best.inference), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_prior_samples_lie_around_the_prior_mean():
    p = built(0.1).generative
    z = np.asarray(jax.vmap(p.sample_prior)(jax.random.split(KEY, 5000))) - p.prior_mean
    assert scipy.stats.kstest(np.asarray(z).ravel(), "norm").pvalue > 1e-6
