"""Mechanisms that read the whole row: densities, means and gradients against quadrature in NumPy.

The model has one latent and two columns, x = w z + b + s eps; rules of Gauss and Hermite in
float64 integrate over z and eps.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import elbax
from elbax.distributions import DiagonalNormal
from elbax.models import Generative, Inference, Model, pruned
from elbax.models._drawn import Drawn, DrawnGenerative, DrawnInference, with_draws
from elbax.models.cells import Row
from elbax.models.mechanisms import LinearMasking, NetworkMasking, mechanism_of
from elbax.nn import Linear
from elbax.spelling import parse
from elbax.tables.raw import from_array
from elbax.tables.schema import Column, Schema
from elbax.tables.table import Table, table_of

PAIR = Schema((Column("a", "gaussian", complete=False), Column("b", "gaussian", complete=False)))
SINGLE = Schema((Column("a", "gaussian"), Column("b", "gaussian", complete=False)))
VALUES = {
    "offset": 0.3,
    "log_scale": -0.2,
    "weight": np.array([0.8, -0.6]),
    "noise": np.array([0.7, 0.9]),
    "slopes": np.array([[1.2, 0.7], [-0.8, 1.6]]),
    "intercepts": np.array([0.2, -0.3]),
}
BIAS = np.array([0.1, -0.2])
NAN = float("nan")


class Pair(eqx.Module):
    """x = w z + b + s eps, some of it missing by a mechanism."""

    weight: jax.Array
    noise: jax.Array
    mechanism: eqx.Module
    schema: Schema = eqx.field(static=True)

    def __call__(self, z):
        loc = self.weight * z[0] + jnp.asarray(BIAS, jnp.float32)
        parameters = {"gaussian": jnp.stack([loc, self.noise], axis=1)}
        return Row(parameters, self.schema, self.mechanism)


class Guess(eqx.Module):
    """q(z), the same for all rows."""

    offset: jax.Array
    log_scale: jax.Array

    def __call__(self, x):
        return DiagonalNormal(self.offset[None], jnp.exp(self.log_scale)[None])


def linear(rows=(0, 1), kind=LinearMasking):
    raw = [VALUES["slopes"][list(rows)], VALUES["intercepts"][list(rows)]]
    raw = (jnp.asarray(one / 10, jnp.float32) for one in raw)
    return kind(*raw, 0, "linear")


def model_of(mechanism, schema=PAIR):
    of = {name: jnp.asarray(value, jnp.float32) for name, value in VALUES.items()}
    base = Generative(Pair(of["weight"], of["noise"], mechanism, schema), 1, (2,))
    inference = Inference(Guess(of["offset"], of["log_scale"]))
    if not mechanism.samples(schema):
        return Model(base, inference)
    return Model(DrawnGenerative(base, 2), DrawnInference(inference, 2))


def log_missing_linear(v, u):
    """Log p(s | u) is a sum over the columns of log Phi(+- (a . u + c))."""
    return lambda signs: sum(
        special.log_ndtr(sign * (v["slopes"][j] @ u + v["intercepts"][j]))
        for j, sign in enumerate(signs)
    )


def nodes(count, dimensions):
    """Standard normal nodes `[D, n]` and weights `[n]`."""
    points, weights = np.polynomial.hermite_e.hermegauss(count)
    grid, products = (
        np.stack([axis.ravel() for axis in np.meshgrid(*[one] * dimensions)])
        for one in (points, weights / weights.sum())
    )
    return grid, products.prod(axis=0)


def log_weight(v, x, z, eps, log_mechanism=log_missing_linear):
    """Log w of a row at z and noise eps `[2, n]`, and the whole row u there."""
    m, s = v["offset"], np.exp(v["log_scale"])
    z = m + s * z
    loc = np.outer(v["weight"], z) + BIAS[:, None]
    there = ~np.isnan(x)
    u = np.where(there[:, None], x[:, None], loc + v["noise"][:, None] * eps)
    total = stats.norm.logpdf(z) - stats.norm.logpdf(z, m, s)
    for j in np.flatnonzero(there):
        total = total + stats.norm.logpdf(x[j], loc[j], v["noise"][j])
    return total + log_mechanism(v, u)(np.where(there, -1, 1)), u


ROWS = np.array([[0.4, NAN], [NAN, -0.7], [NAN, NAN], [1.1, 0.2]])


def exact(x, log_mechanism=log_missing_linear):
    """Log p(x_o, s), and E[u | x_o, s]."""
    grid, weights = nodes(40, 3)
    log_w, u = log_weight(VALUES, x, grid[0], grid[1:], log_mechanism)
    shift = log_w.max()
    w = weights * np.exp(log_w - shift)
    return shift + np.log(w.sum()), u @ w / w.sum()


NETWORK = {
    "in": np.array([[0.9, -0.5, 0.3], [0.4, 1.1, -0.7]]),
    "out": np.array([[1.5, -0.6], [-0.9, 1.2], [0.5, 0.8]]),
}


def log_missing_network(v, u):
    hidden = np.tanh(NETWORK["in"].T @ u)
    logits = NETWORK["out"].T @ hidden + v["intercepts"][:, None]
    return lambda signs: sum(
        -np.logaddexp(0, -sign * one) for sign, one in zip(signs, logits, strict=True)
    )


def network():
    layers = [Linear(*NETWORK[name].shape, key=jax.random.key(0)) for name in ("in", "out")]
    biases = (jnp.zeros(3), jnp.asarray(VALUES["intercepts"], jnp.float32))
    layers = [
        eqx.tree_at(lambda one: (one.weight, one.bias), layer, (jnp.asarray(w, jnp.float32), bias))
        for layer, w, bias in zip(layers, NETWORK.values(), biases, strict=True)
    ]
    return NetworkMasking(*layers)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("mechanism", "truth"), [(linear, log_missing_linear), (network, log_missing_network)]
)
def test_weights_and_filled_cells_are_those_of_quadrature(mechanism, truth):
    """E[w] = p(x_o, s), whose weights of (z, eps) give E[u | x_o, s] and its draws."""
    model, x = model_of(mechanism()), ROWS.astype(np.float32)
    log_w = np.asarray(elbax.log_weights(model, x, 20_000, key=jax.random.key(1)), np.float64)
    log_p, means = zip(*(exact(row, truth) for row in ROWS), strict=True)
    ratio = np.exp(log_w - np.array(log_p))
    z = (ratio.mean(axis=0) - 1) / (ratio.std(axis=0) / len(ratio) ** 0.5)
    assert np.abs(z).max() < 4.5, z
    table = Table(x, PAIR, from_array(ROWS, ["a", "b"]))
    filled = elbax.impute(model, table, num_samples=8000)
    drawn = elbax.multiple_imputations(model, table, 1000, num_samples=8000).values
    for row, place in np.argwhere(np.isnan(ROWS)):
        error = filled.error[row, place]
        assert abs(filled.values[row, place] - means[row][place]) < 4.5 * error
        assert error < 0.02
        cells = drawn[:, row, place]
        assert abs(cells.mean() - means[row][place]) < 4.5 * cells.std() / 1000**0.5 + 0.02
        # What is filled in where cells are missing at random is far from it.
        ignoring = exact(ROWS[row], lambda v, u: lambda signs: 0.0)[1][place]
        assert abs(ignoring - means[row][place]) > 0.1


@pytest.mark.statistical
def test_one_probit_is_integrated_out_in_closed_form():
    """Of one column with holes: density, mean and draws, also where the other is missing later."""
    model = model_of(linear((1,)), SINGLE)

    def truth(v, u):
        both = log_missing_linear({**v, "slopes": v["slopes"][1:], "intercepts": [-0.3]}, u)
        return lambda signs: both(signs[1:])

    rows = ROWS[[0, 1, 2]]
    table = Table(rows.astype(np.float32), SINGLE, from_array(rows, ["a", "b"]))
    log_w = elbax.log_weights(model, table.values, 20_000, key=jax.random.key(1))
    ratio = np.exp(np.asarray(log_w, np.float64) - [exact(row, truth)[0] for row in rows])
    assert np.abs((ratio.mean(axis=0) - 1) / (ratio.std(axis=0) / 20_000**0.5)).max() < 4.5
    filled = elbax.impute(model, table, num_samples=8000)
    drawn = elbax.multiple_imputations(model, table, 1000, num_samples=8000).values
    for row, place in np.argwhere(np.isnan(rows)):
        mean = exact(rows[row], truth)[1][place]
        assert abs(filled.values[row, place] - mean) < 4.5 * filled.error[row, place]
        cells = drawn[:, row, place]
        assert abs(cells.mean() - mean) < 4.5 * cells.std() / 1000**0.5 + 0.02


def test_a_probit_of_its_own_cell_alone_is_self_masking():
    """And a mechanism that reads cells that are there needs no integral."""
    schema = Schema((Column("a", "log-normal", center=1.0, scale=0.6, complete=False),))
    own = mechanism_of("self-masking", schema, jax.random.key(0))
    wide = mechanism_of("linear", schema, jax.random.key(0))
    own, wide = (
        eqx.tree_at(
            lambda m: (m.raw, m.raw_intercept), one, (jnp.full(shape, 0.13), jnp.array([0.04]))
        )
        for one, shape in ((own, (1,)), (wide, (1, 1)))
    )
    rows = [Row({"log-normal": jnp.array([[0.3, 0.8]])}, schema, one) for one in (own, wide)]
    for x in (jnp.array([NAN]), jnp.array([0.7])):
        assert float(rows[0].log_prob(x)) == pytest.approx(float(rows[1].log_prob(x)), abs=1e-6)
    assert float(rows[0].missing_mean()[0]) == pytest.approx(float(rows[1].missing_mean()[0]))


class Loose(LinearMasking):
    """Planted: a fifth of how missing cells move with the parameters that place them is lost."""

    def log_mask(self, given):
        loc, scale = (
            0.8 * value + 0.2 * jax.lax.stop_gradient(value) for value in (given.loc, given.scale)
        )
        return super().log_mask(given._replace(loc=loc, scale=scale))


def gradients_of(v, x, num_samples):
    """Of the bound in (offset, log_scale, weight b, noise b, slope bb), by differences."""
    grid, weights = nodes(20, 2 * num_samples)

    def bound(v):
        noise = [np.stack([0 * grid[2 * k], grid[2 * k + 1]]) for k in range(num_samples)]
        log_w = [log_weight(v, x, grid[2 * k], noise[k])[0] for k in range(num_samples)]
        return weights @ (np.logaddexp.reduce(log_w, axis=0) - np.log(num_samples))

    found = []
    for name, place in (
        ("offset", ()),
        ("log_scale", ()),
        ("weight", 1),
        ("noise", 1),
        ("slopes", (1, 1)),
    ):
        ends = []
        for step in (1e-4, -1e-4):
            moved = np.array(v[name], np.float64)
            moved[place] += step
            ends.append(bound({**v, name: moved}))
        found.append((ends[0] - ends[1]) / 2e-4)
    return np.array(found)


def estimates(model, method, x, count=60, rows=500):
    """Means over rows of the rule's gradient in the same, one of each key."""
    step, data = elbax.value_and_grad(parse(method)), jnp.tile(x, (rows, 1))

    def one(key):
        gradient = step(model, data, key=key)[1]
        guess, decoder = gradient.inference.base.encoder, gradient.generative.base.decoder
        slope = decoder.mechanism.raw[1, 1] / 10  # d / d slope
        return jnp.stack(
            [guess.offset, guess.log_scale, decoder.weight[1], decoder.noise[1], slope]
        )

    return np.asarray([one(key) for key in jax.random.split(jax.random.key(2), count)], np.float64)


HOLED = np.array([0.4, NAN])


@pytest.fixture(scope="module")
def truths():
    return {count: gradients_of(VALUES, HOLED, count) for count in (1, 2)}


def z_of(model, method, truth):
    found = estimates(model, method, jnp.asarray(HOLED, jnp.float32))
    return (found.mean(axis=0) - truth) / (found.std(axis=0) / len(found) ** 0.5)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "method",
    [
        "iwae(k=2, gradient=dreg)",
        pytest.param("vae(m=1, gradient=stl)", marks=pytest.mark.slow),
        pytest.param("iwae(k=2, gradient=reparam)", marks=pytest.mark.slow),
        pytest.param("iwae(k=2, gradient=vimco)", marks=pytest.mark.slow),
    ],
)
def test_rules_keep_their_expectation_where_missing_cells_are_drawn(method, truths):
    """The noise is a latent of which q and p agree, so nothing of a rule's argument changes."""
    truth = truths[parse(method).num_samples]
    assert np.abs(z_of(model_of(linear()), method, truth)).max() < 4.5


@pytest.mark.statistical
@pytest.mark.slow
def test_what_is_biased_is_seen():
    """A path that is partly lost, and STL of several samples, biased here as everywhere."""
    truth = gradients_of(VALUES, HOLED, 2)
    planted = z_of(model_of(linear(kind=Loose)), "iwae(k=2, gradient=dreg)", truth)
    assert np.abs(planted[2:4]).min() > 6
    assert np.abs(z_of(model_of(linear()), "iwae(k=2, gradient=stl)", truth)[:2]).min() > 6


@pytest.mark.slow
def test_a_probit_of_another_column_is_learned_where_self_masking_misleads():
    """Column 2 is missing where column 1 is large, which is missing there too."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 1)) + 0.5 * rng.normal(size=(1000, 3))
    large = stats.norm.cdf(4 * (x[:, 1] - 0.5))
    holes = np.zeros(x.shape, bool)
    holes[:, 1:] = rng.random((1000, 2)) < large[:, None]
    table = table_of(np.where(holes, np.nan, x), types={f"x{i}": "gaussian" for i in range(3)})
    bias = {}
    for missing in ("random", "self-masking-above", "linear-above"):
        model = elbax.ModelConfig(hidden=(16,), latents=1, missing=missing)
        config = elbax.TrainConfig(epochs=60, batch_size=50)
        fitted = elbax.fit("iwae(k=10, gradient=dreg)", table, model=model, config=config)
        filled = np.stack(list(elbax.impute(fitted.models[0], table).columns().values()), axis=1)
        bias[missing] = [np.mean((filled - x)[holes[:, j], j]) for j in (1, 2)]
    assert min(np.abs(bias["random"])) > 0.25
    assert max(np.abs(bias["self-masking-above"])) > 0.4
    assert max(np.abs(bias["linear-above"])) < 0.2


MIXED = {
    "a": np.array([1.5, NAN, 2.5, 0.5, 3.5, NAN]),
    "b": np.array([NAN, 5.5, 4.5, 7.5, NAN, 3.25]),
    "c": np.array(["x", "y", "z", "x", "y", "z"], dtype=object),
    "d": np.array([0, 3, NAN, 2, 1, 5.0]),
}
TYPES = {"a": "gaussian", "b": "log-normal", "d": "poisson"}


@pytest.mark.parametrize(
    ("kind", "latents"),
    [("linear-above", 1), pytest.param("nonlinear", (2, 1), marks=pytest.mark.slow)],
)
def test_such_a_model_trains_is_told_saved_and_fills_holes(kind, latents, tmp_path):
    table = table_of(MIXED, types=TYPES)
    model = elbax.ModelConfig(hidden=(4,), latents=latents, missing=kind)
    config = elbax.TrainConfig(epochs=2, batch_size=3)
    fitted = elbax.fit("iwae(k=3, gradient=dreg)", table, model=model, config=config).models[0]
    told, shape = elbax.config_of(fitted)
    assert (told.missing, shape) == (kind, (4,))
    elbax.save(fitted, tmp_path / "m.safetensors")
    again = elbax.load(tmp_path / "m.safetensors")
    assert jax.tree.structure(again) == jax.tree.structure(fitted)
    filled = elbax.impute(again, table, num_samples=50)
    assert np.isfinite(filled.values).all()
    assert (filled.columns()["d"] % 1 == 0).all()
    zeros = [np.zeros(size) for size in told.layers]
    smaller = pruned(fitted, [one.astype(bool) for one in zeros], zeros)
    assert jax.tree.structure(smaller) == jax.tree.structure(fitted)
    if latents == 1:
        scores = elbax.score(fitted, table, num_samples=50, most_samples=50, p_draws=3)
        assert np.isfinite(scores.p_value).all()
        return
    units = elbax.active_units(fitted, table.values, key=jax.random.key(0), threshold=0.5)
    assert len(units) == 2  # the noise is no layer
    assert isinstance(fitted.generative.sample_prior(jax.random.key(0)), Drawn)


def test_no_holes_need_no_mechanism_and_draws_come_with_the_latents():
    whole = Schema(tuple(dataclasses.replace(column, complete=True) for column in PAIR.columns))
    assert mechanism_of("linear", whole, jax.random.key(0)) is None
    config = elbax.ModelConfig(hidden=(4,), latents=1, missing="linear").of_table(SINGLE)
    model = elbax.one_layer((2,), config, key=jax.random.key(0))
    assert isinstance(model.generative, Generative)  # one probit: integrated out
    assert with_draws(model, model.generative.decoder) is model
    pair = model_of(linear())
    with pytest.raises(elbax.InputError, match="needs; take the latents"):
        pair.generative.likelihood(jnp.zeros(1)).log_prob(jnp.array([0.1, NAN]))


@pytest.mark.parametrize("kind", ["linear-above", "linear-below"])
def test_a_known_sign_is_that_of_each_columns_own_slope(kind):
    masking = mechanism_of(kind, PAIR, jax.random.key(0))
    masking = eqx.tree_at(lambda m: m.raw, masking, jnp.array([[-0.3, 0.2], [-0.1, -0.2]]))
    slopes = np.asarray(masking._slopes(PAIR))
    sign = 1 if kind == "linear-above" else -1
    assert (sign * np.diag(slopes) > 0).all()
    np.testing.assert_allclose([slopes[0, 1], slopes[1, 0]], [2, -1], rtol=1e-6)


def test_simulations_that_need_exact_posteriors_are_refused():
    with pytest.raises(elbax.InputError, match="under the mechanism 'linear'"):
        elbax.bdmc(model_of(linear()), 4, key=jax.random.key(0), steps=4, chains=2)
