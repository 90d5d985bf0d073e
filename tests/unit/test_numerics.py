"""The hard numerics at their bad points, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from elbax._numerics import (
    bernoulli_log_prob,
    effective_sample_size,
    log_mean_exp,
    normalize_weights,
)

INF = float("inf")
# columns of three log-weights
POINTS = {
    "equal": [2.0, 2.0, 2.0],
    "plain": [0.3, -1.0, 2.0],
    "far apart": [0.0, -1e4, 1e4],
    "far below zero": [-3e4, -3e4 - 1, -3e4 + 1],
    "one is zero": [-INF, 0.0, 1.0],
    "only one is not": [-INF, -INF, -7.0],
}
EVERY = pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
gradient_of_log_mean_exp = jax.jit(jax.grad(lambda v: log_mean_exp(v)[0]))
gradient_of_sample_size = jax.jit(jax.grad(lambda v: effective_sample_size(v)[0]))
jacobian_of_weights = jax.jit(jax.jacobian(lambda v: normalize_weights(v)[:, 0]))


def column(values):
    return jnp.asarray(values)[:, None]


@EVERY
def test_log_mean_exp_is_scipys(point):
    expected = scipy.special.logsumexp(np.asarray(point)) - np.log(3)
    np.testing.assert_allclose(log_mean_exp(column(point))[0], expected, rtol=1e-6)


@EVERY
def test_normalized_weights_are_the_softmax(point):
    expected = scipy.special.softmax(np.asarray(point))
    np.testing.assert_allclose(normalize_weights(column(point))[:, 0], expected, rtol=1e-6)


@EVERY
def test_effective_sample_size_is_that_of_the_weights(point):
    w = scipy.special.softmax(np.asarray(point))
    np.testing.assert_allclose(
        effective_sample_size(column(point))[0], w.sum() ** 2 / (w**2).sum(), rtol=1e-6
    )


@EVERY
def test_the_derivative_of_log_mean_exp_is_the_weights(point):
    gradient = gradient_of_log_mean_exp(column(point))[:, 0]
    np.testing.assert_allclose(gradient, scipy.special.softmax(np.asarray(point)), rtol=1e-6)


@EVERY
def test_the_derivatives_of_weights_and_of_sample_size_are_finite(point):
    w = scipy.special.softmax(np.asarray(point))
    jacobian = jacobian_of_weights(column(point))[:, :, 0]
    np.testing.assert_allclose(jacobian, np.diag(w) - np.outer(w, w), atol=1e-6)
    assert jnp.isfinite(gradient_of_sample_size(column(point))).all()


def test_without_any_weight_all_is_defined():
    dead = jnp.full((3, 1), -INF)
    assert log_mean_exp(dead)[0] == -INF
    assert not normalize_weights(dead).any()
    assert effective_sample_size(dead)[0] == 0
    np.testing.assert_array_equal(gradient_of_log_mean_exp(dead), 0)
    np.testing.assert_array_equal(jacobian_of_weights(dead), 0)


@pytest.mark.parametrize("bad", [INF, float("nan")])
def test_what_is_not_finite_is_not_hidden(bad):
    assert not jnp.isfinite(log_mean_exp(column([0.0, bad, 1.0]))).any()


def test_a_dead_datum_does_not_touch_its_neighbor():
    log_w = jnp.array([[-INF, 0.0], [-INF, 1.0]])
    gradient = jax.grad(lambda v: log_mean_exp(v)[1])(log_w)
    np.testing.assert_allclose(gradient, [[0, 1 / (1 + np.e)], [0, np.e / (1 + np.e)]], rtol=1e-6)


def test_the_axis_is_the_callers():
    log_w = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4)), jnp.float32)
    functions = (log_mean_exp, normalize_weights, effective_sample_size)
    for axis in (0, 1, -1):
        found = jax.jit(lambda v, axis=axis: [f(v, axis=axis) for f in functions])(log_w)
        w = scipy.special.softmax(log_w, axis=axis)
        expected = scipy.special.logsumexp(log_w, axis=axis) - np.log(log_w.shape[axis])
        np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[1], w, rtol=1e-5)
        np.testing.assert_allclose(found[2], 1 / (w**2).sum(axis), rtol=1e-5)


@settings(deadline=None, max_examples=50)
@given(values=st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3))
def test_sample_size_is_between_one_and_all_of_them(values):
    assert 1 - 1e-5 <= effective_sample_size(column(values))[0] <= 3 + 1e-5


# ------------------------------------------------------------------ Bernoulli


def cases(size):
    """Logits with the extremes among them, and data of zeros, ones and grey levels; NumPy's."""
    rng = np.random.default_rng(size)
    logits = 5 * rng.normal(size=size)
    logits[::3] = rng.choice([-100.0, 0.0, 100.0], size=len(logits[::3]))
    x = np.where(rng.random(size) < 0.8, rng.integers(0, 2, size), rng.random(size))
    return logits, x


def by_numpy(logits, x):
    return np.sum(x * logits - np.logaddexp(0, logits))


# Eight factors share a logarithm: sizes around a multiple of eight, and below it.
@pytest.mark.parametrize("size", [1, 7, 9, 783, 784, 785])
def test_bernoulli_is_numpys_for_any_size(size, x64):
    logits, x = cases(size)
    found = jax.jit(bernoulli_log_prob)(logits, x)
    np.testing.assert_allclose(found, by_numpy(logits, x), rtol=1e-13)


@pytest.mark.parametrize("size", [9, 784])
def test_bernoulli_in_float32_keeps_seven_digits_of_its_terms(size):
    logits, x = cases(size)
    found = jax.jit(bernoulli_log_prob)(logits.astype(np.float32), x.astype(np.float32))
    size_of_terms = np.sum(np.abs(x * logits) + np.logaddexp(0, logits))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, by_numpy(logits, x), atol=1e-6 * size_of_terms)


@pytest.mark.parametrize(
    ("logit", "x", "expected"),
    [(100.0, 1.0, 0.0), (-100.0, 0.0, 0.0), (100.0, 0.0, -100.0), (-100.0, 1.0, -100.0)],
)
def test_bernoulli_neither_overflows_nor_cancels_at_a_hundred(logit, x, expected):
    many = np.full((2, 784), [[logit], [x]], np.float32)
    found = jax.jit(bernoulli_log_prob)(*many)
    np.testing.assert_allclose(found, 784 * expected, rtol=1e-6, atol=1e-30)


def test_a_small_probability_keeps_its_digits():
    """log p(x = 0) at logit -10 is -4.54e-5, of which 1 + exp(-10) keeps three digits."""
    found = bernoulli_log_prob(jnp.array([-10.0]), jnp.array([0.0]))
    np.testing.assert_allclose(found, -np.log1p(np.exp(-10)), atol=1.2e-7)


@pytest.mark.parametrize("size", [9, 16])
def test_bernoulli_gradients_are_those_of_the_plain_formula(size, x64):
    logits, x = cases(size)

    def plain(logits, x):
        return 3 * jnp.sum(x * logits - jax.nn.softplus(logits))

    def ours(logits, x):
        return 3 * bernoulli_log_prob(logits, x)

    found, expected = (jax.jit(jax.grad(f, argnums=(0, 1)))(logits, x) for f in (ours, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert np.isfinite(found).all()


def test_bernoulli_gradients_batch():
    logits, x = (np.stack(parts) for parts in zip(*(cases(9) for _ in range(3)), strict=True))
    found = jax.jit(jax.vmap(jax.grad(bernoulli_log_prob)))(logits, x)
    np.testing.assert_allclose(found, x - scipy.special.expit(logits), atol=1e-6)
