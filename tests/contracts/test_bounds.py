"""One table, every bound, the same contract."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbax import bounds
from elbax._errors import InputError
from elbax.courses import Ramp


def _log_mean_exp(values):
    largest = max(values)
    return largest + math.log(sum(math.exp(v - largest) for v in values) / len(values))


def _groups(values, m):
    k = len(values) // m
    return [values[i * k : (i + 1) * k] for i in range(m)]


def _ciwae(values, beta):
    return beta * sum(values) / len(values) + (1 - beta) * _log_mean_exp(values)


def _renyi(values, alpha):
    return _log_mean_exp([(1 - alpha) * v for v in values]) / (1 - alpha)


def _tempered_ciwae(values, alpha, beta):
    return beta * sum(values) / len(values) + (1 - beta) * _renyi(values, alpha)


def _jackknife(values):
    k = len(values)
    without = [_log_mean_exp(values[:j] + values[j + 1 :]) for j in range(k)]
    return k * _log_mean_exp(values) - (k - 1) * sum(without) / k


def _thermodynamic(values, knots):
    total = 0.0
    for left, right in zip(knots, (*knots[1:], 1.0), strict=True):
        shares = [math.exp(left * (v - max(values))) for v in values]
        mean = sum(s * v for s, v in zip(shares, values, strict=True)) / sum(shares)
        total += (right - left) * mean
    return total


def _overlapping(values, m, permutations):
    """Every order of the samples in turn, cut into m groups."""
    rng, total = np.random.RandomState(0), 0.0
    for place in range(permutations):
        order = rng.permutation(len(values)) if place else range(len(values))
        total += sum(map(_log_mean_exp, _groups([values[i] for i in order], m))) / m
    return total / permutations


def _complete(values, k):
    """The mean over all groups of k among the samples."""
    groups = list(itertools.combinations(values, k))
    return sum(map(_log_mean_exp, groups)) / len(groups)


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
    "first": (bounds.First(bounds.IWAE(4), 6), lambda v: _log_mean_exp(v[:4])),
    "ciwae": (bounds.CIWAE(6, beta=0.3), lambda v: _ciwae(v, 0.3)),
    "renyi": (bounds.Renyi(6, alpha=0.4), lambda v: _renyi(v, 0.4)),
    "tempered-miwae": (
        bounds.Tempered(bounds.MIWAE(2, 3), alpha=0.7),
        lambda v: sum(_renyi(group, 0.7) for group in _groups(v, 2)) / 2,
    ),
    "tempered-ciwae": (
        bounds.Tempered(bounds.CIWAE(6, beta=0.3), alpha=0.2),
        lambda v: _tempered_ciwae(v, 0.2, 0.3),
    ),
    "uiwae": (bounds.UIWAE(3, 2, permutations=5), lambda v: _overlapping(v, 3, 5)),
    "jvi": (bounds.JVI(6), _jackknife),
    "tvo": (bounds.TVO(6, (0.0, 0.1, 0.5)), lambda v: _thermodynamic(v, (0.0, 0.1, 0.5))),
    "custom": (
        bounds.Custom(lambda v: jax.nn.logsumexp(v) - jnp.log(6.0), num_samples=6),
        _log_mean_exp,
    ),
}
COMPILED = {name: jax.jit(lambda v, b=bound: b(v)) for name, (bound, _) in TABLE.items()}
EVERY = pytest.mark.parametrize("name", TABLE)
log_weights = st.lists(st.floats(-50, 50), min_size=6, max_size=6)


@EVERY
def test_value_is_that_of_the_loops(name, x64):
    bound, oracle = TABLE[name]
    for spread in (20, 0.02):
        log_w = spread * jax.random.normal(jax.random.key(0), (6, 40))
        expected = [oracle(list(map(float, column))) for column in log_w.T]
        np.testing.assert_allclose(bound(log_w), expected, rtol=1e-13, atol=1e-13)


@EVERY
def test_derivatives_are_those_of_autodiff(name, x64):
    bound, _ = TABLE[name]
    log_w = 3 * jax.random.normal(jax.random.key(1), (6, 5))

    def one(column):
        return bound(column[:, None])[0]

    @jax.jit
    def both_ways(log_w):
        gradient = jax.vmap(jax.grad(one), 1, 1)(log_w)
        hessian = jax.vmap(jax.hessian(one), 1, 2)(log_w)
        return bound.derivatives(log_w), (gradient, jnp.diagonal(hessian).T)

    (g, h), (gradient, diagonal) = both_ways(log_w)
    np.testing.assert_allclose(g, gradient, atol=1e-13)
    np.testing.assert_allclose(h, diagonal, atol=1e-13)


@EVERY
@settings(deadline=None, max_examples=30)
@given(log_w=log_weights, shift=st.floats(-100, 100))
def test_a_shift_of_all_weights_shifts_the_value(name, log_w, shift):
    bound = COMPILED[name]
    column = jnp.array(log_w)[:, None]
    np.testing.assert_allclose(bound(column + shift), bound(column) + shift, atol=1e-3)


@EVERY
@settings(deadline=None, max_examples=30)
@given(log_w=log_weights, data=st.data())
def test_order_matters_only_across_groups(name, log_w, data):
    bound, _ = TABLE[name]
    if name == "uiwae":
        pytest.skip("its groups overlap: every order of the samples is another number")
    grouped = bound.bound if isinstance(bound, bounds.Tempered) else bound
    k = grouped.k if isinstance(grouped, bounds.MIWAE) else 4 if name == "first" else 6
    groups = [data.draw(st.permutations(log_w[i : i + k])) for i in range(0, 6, k)]
    moved = [value for group in groups for value in group]
    bound = COMPILED[name]
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


@EVERY
def test_replacing_one_weight_is_the_bound_of_the_replaced(name, x64):
    bound, oracle = TABLE[name]
    log_w, other = 3 * jax.random.normal(jax.random.key(2), (2, 6, 4))
    found = jax.jit(bound.replaced)(log_w, other)
    for i in range(6):
        expected = [oracle(list(map(float, c))) for c in log_w.at[i].set(other[i]).T]
        np.testing.assert_allclose(found[i], expected, rtol=1e-12, atol=1e-12)


FINITE_AT = {
    "equal weights": [0.0] * 6,
    "one weight is all": [0.0, -200.0, -300.0, -200.0, -1e4, -200.0],
    "no spread but for rounding": [0.0, 1e-7, 0.0, -1e-7, 0.0, 1e-7],
    "far below zero": [-1e4, -1e4 + 1, -1e4 + 2, -1e4, -1e4, -1e4],
}
EXTREMES = {
    "alpha 0": bounds.Renyi(6, 0.0),
    "alpha 1": bounds.Renyi(6, 1.0),
    "alpha nearly 1": bounds.Renyi(6, 1 - 1e-7),
    "alpha nearly 0": bounds.Renyi(6, 1e-7),
    "beta 0": bounds.CIWAE(6, 0.0),
    "beta 1": bounds.CIWAE(6, 1.0),
} | {name: bound for name, (bound, _) in TABLE.items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", EXTREMES)
def test_values_and_derivatives_are_finite_at_the_extremes(name, precision):
    bound = EXTREMES[name]
    with jax.enable_x64(precision == "float64"):
        log_w = jnp.array(list(FINITE_AT.values()), precision).T
        found = jax.jit(lambda v: (bound(v), *bound.derivatives(v), bound.replaced(v, v)))(log_w)
    log_w = np.asarray(log_w)
    value, g, h, replaced = map(np.asarray, found)
    for array in (value, g, h, replaced):
        assert np.isfinite(array).all()
        assert array.dtype == precision
    np.testing.assert_allclose(g.sum(0), 1, rtol=1e-4 if precision == "float32" else 1e-12)
    if name != "jvi":  # no bound
        assert (value <= log_w.max(0)).all()


@pytest.mark.parametrize("name", ["iwae", "miwae-2-3", "renyi", "uiwae", "jvi"])
def test_a_weight_of_zero_keeps_the_others_gradients(name):
    bound, oracle = TABLE[name]
    log_w = jnp.array([[0.0], [-jnp.inf], [1.0], [2.0], [-jnp.inf], [3.0]])
    g, h = bound.derivatives(log_w)
    if name != "jvi":  # its loops take log(0)
        np.testing.assert_allclose(bound(log_w)[0], oracle(log_w[:, 0].tolist()), rtol=1e-6)
    assert jnp.isfinite(bound(log_w)[0])
    np.testing.assert_allclose(g.sum(0), 1, rtol=1e-6)
    assert jnp.isfinite(h).all()
    assert (g[jnp.array([1, 4])] == 0).all()


@pytest.mark.parametrize("name", ["vae", "iwae", "miwae-2-3", "uiwae", "ciwae", "renyi", "tvo"])
def test_all_weights_zero_is_minus_infinity_with_finite_derivatives(name):
    bound, _ = TABLE[name]
    log_w = jnp.full((6, 1), -jnp.inf)
    g, h = bound.derivatives(log_w)
    assert bound(log_w)[0] == -jnp.inf
    assert jnp.isfinite(g).all()
    assert jnp.isfinite(h).all()


def test_the_first_of_fewer_samples_than_its_bound_has_is_refused():
    with pytest.raises(
        InputError, match=r"at least the 4 samples of IWAE\(k=4\) for First; got t=3"
    ):
        bounds.First(bounds.IWAE(4), 3)


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
    assert (bounds.Renyi(6, alpha=0.0)(log_w) == bounds.IWAE(6)(log_w)).all()
    assert (bounds.Renyi(6, alpha=1.0)(log_w) == bounds.VAE(6)(log_w)).all()
    for alpha in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(bounds.Renyi(1, alpha)(log_w[:1]), log_w[0], rtol=1e-6)
    tempered = bounds.Tempered(bounds.CIWAE(6, 0.3), 0.0)
    assert (tempered(log_w) == bounds.CIWAE(6, 0.3)(log_w)).all()
    np.testing.assert_allclose(bounds.TVO(6, (0.0,))(log_w), bounds.VAE(6)(log_w), rtol=1e-6)
    np.testing.assert_allclose(bounds.TVO(1)(log_w[:1]), log_w[0], rtol=1e-6)


def test_alpha_goes_to_the_elbo_without_cancellation():
    """In float32 the plain quotient is off by whole nats here; ours by rounding."""
    log_w = 5 * jax.random.normal(jax.random.key(3), (6, 4)) - 90
    elbo, variance = log_w.mean(0), log_w.var(0)
    for rest in (1e-3, 1e-5, 1e-7):
        found = bounds.Renyi(6, alpha=jnp.asarray(1 - rest))(log_w)
        rest = 1 - float(jnp.asarray(1 - rest, "float32"))
        np.testing.assert_allclose(found, elbo + rest / 2 * variance, rtol=1e-5)


@settings(deadline=None, max_examples=30)
@given(log_w=log_weights)
def test_the_thermodynamic_objective_lies_below_iwae_and_rises_with_knots(log_w):
    column = jnp.array(log_w)[:, None]
    coarse = bounds.TVO(6, (0.0, 0.5))(column)
    fine = bounds.TVO(6, (0.0, 0.1, 0.5, 0.8))(column)
    slack = 1e-4 * (1 + jnp.abs(column).max())
    assert bounds.VAE(6)(column) <= coarse + slack
    assert coarse <= fine + slack
    assert fine <= bounds.IWAE(6)(column) + slack


def test_beta_zero_ignores_a_dead_sample():
    log_w = jnp.array([[0.0], [-jnp.inf]])
    assert bounds.CIWAE(2, beta=0.0)(log_w) == bounds.IWAE(2)(log_w)


WRONG = {
    "k below one": (lambda: bounds.IWAE(0), "expected k >= 1"),
    "m below one": (lambda: bounds.VAE(-3), "expected m >= 1"),
    "beta above one": (lambda: bounds.CIWAE(2, beta=1.5), r"expected beta in \[0, 1\]"),
    "alpha above one": (lambda: bounds.Renyi(2, alpha=1.5), r"expected alpha in \[0, 1\]"),
    "a ramp out of range": (
        lambda: bounds.Renyi(2, alpha=Ramp(2.0, 0.0, 5)),
        r"expected alpha in \[0, 1\]",
    ),
    "a NumPy scalar out of range": (
        lambda: bounds.CIWAE(2, np.float32(1.5)),
        r"in \[0, 1\].*got 1.5",
    ),
    "a JAX scalar out of range": (lambda: bounds.Renyi(2, jnp.asarray(2.0)), r"in \[0, 1\].*got 2"),
    "not a number": (lambda: bounds.CIWAE(2, math.nan), r"in \[0, 1\].*got nan"),
    "a ramp of NumPy scalars": (
        lambda: bounds.CIWAE(2, Ramp(np.float32(0), np.float32(3), 5)),
        r"expected beta in \[0, 1\]",
    ),
    "jackknife of one": (lambda: bounds.JVI(1), "expected k >= 2 for JVI"),
    "no order": (lambda: bounds.UIWAE(2, 2, 0), "expected permutations >= 1"),
    "knots without 0": (lambda: bounds.TVO(2, (0.1, 0.5)), "expected knots 0 = b_0"),
    "knots that fall": (lambda: bounds.TVO(2, (0.0, 0.5, 0.2)), "expected knots 0 = b_0"),
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


@pytest.mark.parametrize(("k", "level"), [(5000, -90.0), (50, -1e4), (16, 0.0)])
def test_the_jackknife_keeps_its_digits_in_float32(k, level):
    """As written it is the difference of two numbers K times as large as the bound."""
    log_w = np.float32(level) + 3 * np.random.default_rng(0).normal(size=k).astype(np.float32)
    exact = log_w.astype(np.float64)
    shares = np.exp(exact - exact.max())
    without = np.log((shares.sum() - shares) / (k - 1)) + exact.max()
    expected = k * (np.log(shares.mean()) + exact.max()) - (k - 1) * without.mean()
    found = bounds.JVI(k)(jnp.asarray(log_w)[:, None])[0]
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-6)


def test_one_order_is_miwae_and_many_are_the_complete_u_statistic(x64):
    log_w = 2 * jax.random.normal(jax.random.key(4), (6, 5))
    miwae = bounds.MIWAE(3, 2)(log_w)
    np.testing.assert_allclose(bounds.UIWAE(3, 2, 1)(log_w), miwae, rtol=1e-14)
    complete = np.array([_complete(list(map(float, column)), 2) for column in log_w.T])
    orders, _ = bounds.UIWAE(3, 2, 2000)._orders()
    found = jax.vmap(bounds.MIWAE(3, 2))(log_w[orders])
    np.testing.assert_allclose(bounds.UIWAE(3, 2, 2000)(log_w), found.mean(0), rtol=1e-12)
    z = (found.mean(0) - complete) / (found.std(0) / len(orders) ** 0.5)
    assert np.abs(z).max() < 5
    assert np.abs((miwae - complete) / complete).min() > 1e-4  # one order is another number
