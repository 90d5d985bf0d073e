"""One table, every bound, the same contract."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbax import bounds
from elbax._errors import InputError


def _log_mean_exp(values):
    largest = max(values)
    return largest + math.log(sum(math.exp(v - largest) for v in values) / len(values))


def _groups(values, m):
    k = len(values) // m
    return [values[i * k : (i + 1) * k] for i in range(m)]


def _ciwae(values, beta):
    return beta * sum(values) / len(values) + (1 - beta) * _log_mean_exp(values)


# bound, and the same in float64 with nothing but loops; all take six samples
TABLE = {
    "vae": (bounds.VAE(6), lambda v: sum(v) / 6),
    "iwae": (bounds.IWAE(6), _log_mean_exp),
    "miwae-2-3": (
        bounds.MIWAE(2, 3),
        lambda v: sum(map(_log_mean_exp, _groups(v, 2))) / 2,
    ),
    "miwae-3-2": (
        bounds.MIWAE(3, 2),
        lambda v: sum(map(_log_mean_exp, _groups(v, 3))) / 3,
    ),
    "ciwae": (bounds.CIWAE(6, beta=0.3), lambda v: _ciwae(v, 0.3)),
    "custom": (
        bounds.Custom(lambda v: jax.nn.logsumexp(v) - jnp.log(6.0), num_samples=6),
        _log_mean_exp,
    ),
}
EVERY = pytest.mark.parametrize("name", TABLE)
log_weights = st.lists(st.floats(-50, 50), min_size=6, max_size=6)


@EVERY
def test_value_is_that_of_the_loops(name, x64):
    bound, oracle = TABLE[name]
    log_w = 20 * jax.random.normal(jax.random.key(0), (6, 40))
    expected = [oracle(list(map(float, column))) for column in log_w.T]
    np.testing.assert_allclose(bound(log_w), expected, rtol=1e-13)


@EVERY
def test_derivatives_are_those_of_autodiff(name, x64):
    bound, _ = TABLE[name]
    log_w = 3 * jax.random.normal(jax.random.key(1), (6, 5))

    def one(column):
        return bound(column[:, None])[0]

    g, h = bound.derivatives(log_w)
    np.testing.assert_allclose(g, jax.vmap(jax.grad(one), 1, 1)(log_w), atol=1e-14)
    hessian = jax.vmap(jax.hessian(one), 1, 2)(log_w)
    np.testing.assert_allclose(h, jnp.diagonal(hessian).T, atol=1e-14)


@EVERY
@settings(deadline=None, max_examples=30)
@given(log_w=log_weights, shift=st.floats(-100, 100))
def test_a_shift_of_all_weights_shifts_the_value(name, log_w, shift):
    bound, _ = TABLE[name]
    column = jnp.array(log_w)[:, None]
    np.testing.assert_allclose(bound(column + shift), bound(column) + shift, atol=1e-3)


@EVERY
@settings(deadline=None, max_examples=30)
@given(log_w=log_weights, data=st.data())
def test_order_matters_only_across_groups(name, log_w, data):
    bound, _ = TABLE[name]
    k = getattr(bound, "k", 6) if isinstance(bound, bounds.MIWAE) else 6
    groups = [data.draw(st.permutations(log_w[i : i + k])) for i in range(0, 6, k)]
    moved = [value for group in groups for value in group]
    np.testing.assert_allclose(
        bound(jnp.array(moved)[:, None]), bound(jnp.array(log_w)[:, None]), rtol=1e-5, atol=1e-4
    )


@EVERY
def test_gradient_sums_to_one_even_1e4_nats_apart(name):
    bound, _ = TABLE[name]
    log_w = jnp.array([[0.0], [-1e4], [1e4], [3.0], [-1e4], [5.0]])
    g, h = bound.derivatives(log_w)
    assert jnp.isfinite(bound(log_w)).all()
    assert jnp.isfinite(g).all()
    assert jnp.isfinite(h).all()
    np.testing.assert_allclose(g.sum(0), 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["iwae", "miwae-2-3"])
def test_a_weight_of_zero_keeps_the_others_gradients(name):
    bound, oracle = TABLE[name]
    log_w = jnp.array([[0.0], [-jnp.inf], [1.0], [2.0], [-jnp.inf], [3.0]])
    g, h = bound.derivatives(log_w)
    np.testing.assert_allclose(bound(log_w)[0], oracle(log_w[:, 0].tolist()), rtol=1e-6)
    np.testing.assert_allclose(g.sum(0), 1, rtol=1e-6)
    assert jnp.isfinite(h).all()
    assert (g[jnp.array([1, 4])] == 0).all()


@pytest.mark.parametrize("name", ["vae", "iwae", "miwae-2-3", "ciwae"])
def test_all_weights_zero_is_minus_infinity_with_finite_derivatives(name):
    bound, _ = TABLE[name]
    log_w = jnp.full((6, 1), -jnp.inf)
    g, h = bound.derivatives(log_w)
    assert bound(log_w)[0] == -jnp.inf
    assert jnp.isfinite(g).all()
    assert jnp.isfinite(h).all()


def test_autodiff_of_the_values_themselves_survives_dead_data():
    log_w = jnp.array([[-jnp.inf, 0.0], [-jnp.inf, 1.0]])
    gradient = jax.grad(lambda v: bounds.IWAE(2)(v)[1])(log_w)
    assert jnp.isfinite(gradient).all()


def test_limits_are_exact():
    log_w = jax.random.normal(jax.random.key(2), (6, 4))
    assert (bounds.IWAE(1)(log_w[:1]) == bounds.VAE(1)(log_w[:1])).all()
    assert (bounds.MIWAE(1, 6)(log_w) == bounds.IWAE(6)(log_w)).all()
    assert (bounds.CIWAE(6, beta=0.0)(log_w) == bounds.IWAE(6)(log_w)).all()
    assert (bounds.CIWAE(6, beta=1.0)(log_w) == bounds.VAE(6)(log_w)).all()
    np.testing.assert_allclose(bounds.MIWAE(6, 1)(log_w), bounds.VAE(6)(log_w), rtol=1e-6)


def test_beta_zero_ignores_a_dead_sample():
    log_w = jnp.array([[0.0], [-jnp.inf]])
    assert bounds.CIWAE(2, beta=0.0)(log_w) == bounds.IWAE(2)(log_w)


WRONG = {
    "k below one": (lambda: bounds.IWAE(0), "expected k >= 1"),
    "m below one": (lambda: bounds.VAE(-3), "expected m >= 1"),
    "beta above one": (lambda: bounds.CIWAE(2, beta=1.5), r"expected beta in \[0, 1\]"),
    "no samples": (lambda: bounds.Custom(jnp.mean, num_samples=0), "expected num_samples >= 1"),
    "other number of samples": (
        lambda: bounds.IWAE(3)(jnp.zeros((2, 1))),
        r"expected log_w of shape \[3, B\] for IWAE\(k=3\); got \[2, 1\]",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused_with_a_sentence(name):
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call()
