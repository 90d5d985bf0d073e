"""Cells that mask themselves: closed forms against quadrature, and the oracle of a linear model."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import elbax
from elbax._errors import InputError
from elbax.distributions import DiagonalNormal
from elbax.models import Generative, Inference, Model
from elbax.models.cells import Row
from elbax.models.mechanisms import mechanism_of
from elbax.models.missing import SelfMasking
from elbax.tables.raw import Cells, Raw
from elbax.tables.schema import Column, Schema
from elbax.tables.table import Table, table_of

SCHEMA = Schema(
    (
        Column("a", "gaussian", center=3.0, scale=2.0, complete=False),
        Column("b", "log-normal", center=1.0, scale=0.6, complete=False),
        Column("c", "gaussian"),
        Column("d", "poisson", "int", complete=False),
    )
)
SLOPE, INTERCEPT = np.array([1.7, -0.8, 3.0, 2.0]), np.array([0.4, 0.9, 1.0, -1.0])
LOC, SCALE = np.array([0.3, -0.5]), np.array([0.8, 1.3])


@pytest.fixture(scope="module")
def row():
    raw, intercept = jnp.asarray(np.stack([SLOPE, INTERCEPT]) / 10, jnp.float32)
    masking = SelfMasking(raw, intercept, 0, "self-masking")
    parameters = {
        "gaussian": jnp.array([[LOC[0], SCALE[0]], [0.1, 0.9]]),
        "poisson": jnp.array([[1.2]]),
        "log-normal": jnp.array([[LOC[1], SCALE[1]]]),
    }
    return Row(parameters, SCHEMA, masking)


def expected(j, function):
    """E[function(u) p(missing | u)] by quadrature."""

    def value(u):
        density = stats.norm.pdf(u, LOC[j], SCALE[j])
        return function(u) * density * stats.norm.cdf(SLOPE[j] * u + INTERCEPT[j])

    return integrate.quad(value, LOC[j] - 12 * SCALE[j], LOC[j] + 12 * SCALE[j], epsabs=1e-12)[0]


def test_what_is_integrated_out_is_quadratures(row):
    """Columns without holes, and of other kinds, know of no mechanism."""
    whole = dataclasses.replace(row, mechanism=None)
    x = jnp.array([0.2, jnp.nan, 1.1, 3.0])
    seen = stats.norm.logcdf(-(SLOPE[0] * 0.2 + INTERCEPT[0]))
    gone = np.log(expected(1, lambda u: 1.0))
    assert float(row.log_prob(x) - whole.log_prob(x)) == pytest.approx(seen + gone, abs=1e-5)


def test_means_of_what_is_missing_are_quadratures(row):
    found = row.missing_mean()
    gauss = expected(0, lambda u: u) / expected(0, lambda u: 1.0)
    logs = expected(1, lambda u: np.exp(0.6 * u)) / expected(1, lambda u: 1.0)
    assert float(found[0]) == pytest.approx(gauss, abs=1e-5)
    assert float(found[1]) == pytest.approx(logs, rel=1e-5)
    assert found[2:].tolist() == row.relative_mean()[2:].tolist()


@pytest.mark.statistical
def test_draws_of_what_is_missing_have_those_moments(row):
    keys = jax.random.split(jax.random.key(0), 20_000)
    masking = row.mechanism
    loc, scale = jnp.array([*LOC, 0, 0]), jnp.array([*SCALE, 1, 1])
    drawn = np.asarray(
        jax.jit(jax.vmap(lambda key: masking.sample_missing(key, loc, scale)))(keys), float
    )
    for j in range(2):
        total = expected(j, lambda u: 1.0)
        for function in (lambda u: u, lambda u: u**2):
            values = function(drawn[:, j])
            truth = expected(j, function) / total
            assert abs(values.mean() - truth) < 4.5 * values.std() / len(values) ** 0.5
    # The planted bias: draws that know of no mechanism.
    assert abs(drawn[:, 0].mean() - LOC[0]) > 20 * drawn[:, 0].std() / len(drawn) ** 0.5


class Line(eqx.Module):
    """x = z + sigma eps, missing with probability Phi(5 x)."""

    sigma: float
    schema: Schema = eqx.field(static=True)

    def __call__(self, z):
        masking = SelfMasking(jnp.array([0.5]), jnp.zeros(1), 0, "self-masking")
        return Row({"gaussian": jnp.array([[z[0], self.sigma]])}, self.schema, masking)


@pytest.mark.statistical
def test_the_conditional_mean_of_a_cell_that_masked_itself():
    """E[x | missing] = (1 + s^2) (a / d) sqrt(2 / pi), d^2 = 1 + a^2 (1 + s^2): 1.117 at s = 1.

    The formula without the integral over x given z gives 0.559, half of it.
    """
    schema = Schema((Column("x", "gaussian", complete=False),))
    model = Model(
        Generative(Line(1.0, schema), 1, (1,)),
        Inference(lambda x: DiagonalNormal(jnp.array([0.5]), jnp.array([1.2]))),
    )
    nothing = np.full((1, 1), np.nan, np.float32)
    raw = Raw((Cells("x", np.array([1.0]), None, np.array([False]), "float"),))
    table = Table(nothing, schema, raw)
    truth = 2 * 5 / np.sqrt(1 + 25 * 2) * np.sqrt(2 / np.pi)
    assert truth == pytest.approx(1.117, abs=5e-4)
    found = elbax.impute(model, table, num_samples=16_000)
    assert abs(found.values[0, 0] - truth) < 4.5 * found.error[0, 0]
    assert found.error[0, 0] < 0.01
    drawn = elbax.multiple_imputations(model, table, 4000, num_samples=16_000).values[:, 0, 0]
    assert abs(drawn.mean() - truth) < 4.5 * drawn.std() / 4000**0.5 + 0.01
    score = elbax.score(model, nothing, num_samples=4000)
    assert abs(score.log_p_hat[0] - np.log(0.5)) < 4.5 * score.error[0]


def test_a_known_sign_is_kept_and_gradients_are_finite_far_out():
    for kind, sign in (("self-masking-above", 1), ("self-masking-below", -1)):
        masking = mechanism_of(kind, SCHEMA, jax.random.key(0))
        moved = eqx.tree_at(lambda m: m.raw, masking, jnp.array([-0.3, 0.0, 0.3, 0.9]))
        assert (sign * moved.slope > 0).all()
    assert mechanism_of("random", SCHEMA, jax.random.key(0)) is None
    masking = SelfMasking(jnp.full(1, 0.5), jnp.zeros(1), 0, "self-masking")

    def total(loc):
        scale = jnp.full(1, 0.1)
        mean = masking.missing_mean(loc, scale)
        return jnp.sum(masking.log_missing(loc, scale) + masking.log_observed(loc) + mean)

    for loc in (-50.0, 50.0):
        assert np.isfinite(jax.value_and_grad(total)(jnp.full(1, loc))[1]).all()
    far = masking.sample_missing(jax.random.key(0), jnp.full(1, -50.0), jnp.full(1, 0.1))
    assert np.isfinite(far).all()


def test_a_mechanism_is_told_saved_and_refused(tmp_path):
    config = elbax.ModelConfig(hidden=(4,), latents=1, missing="self-masking-above")
    config = config.of_table(SCHEMA)
    model = elbax.one_layer((4,), config, key=jax.random.key(0))
    assert elbax.config_of(model)[0].missing == "self-masking-above"
    elbax.save(model, tmp_path / "m.safetensors")
    again = elbax.load(tmp_path / "m.safetensors")
    assert elbax.config_of(again)[0].missing == "self-masking-above"
    wrong = dataclasses.replace(config, missing="always")
    with pytest.raises(InputError, match="unknown missing 'always'"):
        elbax.one_layer((4,), wrong, key=jax.random.key(0))


@pytest.mark.slow
def test_a_model_that_knows_that_large_values_go_missing_fills_in_larger_ones():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 1))
    x = z + 0.5 * rng.normal(size=(1000, 3))
    holes = rng.random(x.shape) < stats.norm.cdf(4 * (x - 0.5))
    holes[:, 0] = False
    table = table_of(np.where(holes, np.nan, x), types={f"x{i}": "gaussian" for i in range(3)})
    error = {}
    for missing in ("random", "self-masking-above"):
        model = elbax.ModelConfig(hidden=(16,), latents=1, missing=missing)
        config = elbax.TrainConfig(epochs=60, batch_size=50)
        fitted = elbax.fit("iwae(k=10, gradient=dreg)", table, model=model, config=config)
        filled = np.stack(list(elbax.impute(fitted.models[0], table).columns().values()), axis=1)
        error[missing] = np.mean((filled - x)[holes])
    assert error["random"] < -0.25  # too small
    assert abs(error["self-masking-above"]) < 0.2
