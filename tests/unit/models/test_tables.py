"""The missing-data IWAE against closed forms and SciPy, and what its models refuse."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import elbax
from elbax._errors import InputError
from elbax.models import Observed
from elbax.models.cells import _negative_binomial_log_prob
from elbax.models.outputs import first_outputs, first_shapes, num_outputs, row_of
from elbax.models.tables import num_inputs
from elbax.tables.schema import KINDS, Column, Schema, schema_from
from elbax.tables.table import table_of
from tests.unit.tables.oracle import linear_table, masked

SCHEMA = Schema(
    (
        Column("a", "gaussian", center=3.0, scale=2.0),
        Column("b", "categorical", "text", ("x", "y", "z")),
        Column("c", "student", center=-1.0, scale=0.5),
        Column("d", "poisson", "int", center=1.0, scale=0.4),
        Column("e", "binary", "text", ("no", "yes")),
        Column("f", "log-normal", center=2.0, scale=0.7),
        Column("g", "negative-binomial", "int", center=2.0, scale=1.3),
        Column("h", "categorical", "int", ("1", "2")),
    )
)


@pytest.fixture(scope="module")
def row():
    """A row's distribution under some outputs of a decoder."""
    outputs = np.random.default_rng(0).normal(size=num_outputs(SCHEMA))
    with jax.enable_x64(True):
        return row_of(jnp.asarray(outputs), SCHEMA), outputs


def user_density(row, cells):
    """Log p of each cell in the user's units, by SciPy, from the parameters of a row."""
    p = {kind: np.asarray(value, float) for kind, value in row.parameters.items()}
    (la, sa), (lc, sc, df), (lf, sf) = p["gaussian"][0], p["student"][0], p["log-normal"][0]
    mean, size = np.exp(p["negative-binomial"][0])
    stats = scipy.stats
    return {
        "a": stats.norm(3 + 2 * la, 2 * sa).logpdf(cells["a"]),
        "b": p["categorical"][0, cells["b"]],
        "c": stats.t(df, -1 + 0.5 * lc, 0.5 * sc).logpdf(cells["c"]),
        "d": stats.poisson(np.exp(p["poisson"][0, 0])).logpmf(cells["d"]),
        "e": stats.bernoulli(1 / (1 + np.exp(-p["binary"][0, 0]))).logpmf(cells["e"]),
        "f": stats.lognorm(0.7 * sf, scale=np.exp(2 + 0.7 * lf)).logpdf(cells["f"]),
        "g": stats.nbinom(size, size / (size + mean)).logpmf(cells["g"]),
        "h": p["categorical"][1, cells["h"]],
    }


CELLS = {"a": 1.5, "b": 2, "c": -2.0, "d": 4, "e": 1, "f": 11.0, "g": 17, "h": 0}
SEEN = np.array(
    [(1.5 - 3) / 2, 2, (-2 + 1) / 0.5, 4, 1, (np.log(11.0) - 2) / 0.7, 17, 0], np.float64
)


def test_densities_are_scipys_in_the_users_own_units(row):
    with jax.enable_x64(True):
        found = np.asarray(row[0].cell_log_probs(jnp.asarray(SEEN)))
    np.testing.assert_allclose(found, list(user_density(row[0], CELLS).values()), rtol=1e-6)


def test_a_hole_leaves_its_own_term_out(row):
    expected = user_density(row[0], CELLS)
    with jax.enable_x64(True):
        for hole, name in enumerate(expected):
            x = jnp.asarray(np.where(np.arange(8) == hole, np.nan, SEEN))
            total = sum(value for other, value in expected.items() if other != name)
            np.testing.assert_allclose(row[0].log_prob(x), total, rtol=1e-6)
        assert row[0].log_prob(jnp.full(8, jnp.nan)) == 0


def test_gradients_never_meet_a_hole(row):
    """Those of the outputs of a missing column are zero, the others those of a whole row."""
    outputs = jnp.asarray(row[1], jnp.float32)
    gradient = jax.jit(jax.grad(lambda o, x: row_of(o, SCHEMA).log_prob(x)))
    whole = gradient(outputs, jnp.asarray(SEEN, jnp.float32))
    at = {kind: index for index, kind in enumerate(k for k in KINDS if SCHEMA.places(k))}
    assert len(at) == 7
    for hole in range(8):
        x = jnp.asarray(np.where(np.arange(8) == hole, np.nan, SEEN), jnp.float32)
        found = gradient(outputs, x)
        assert np.isfinite(found).all()
        own = found != whole
        assert 1 <= own.sum() <= 3
        assert (np.asarray(found)[np.asarray(own)] == 0).all()


@pytest.mark.slow
@pytest.mark.statistical
def test_draws_have_the_moments_of_their_kind(row):
    keys = jax.random.split(jax.random.key(0), 20_000)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), row[0])
    drawn = np.asarray(jax.jit(jax.vmap(single.sample))(keys), np.float64)
    p = single.parameters
    expected = np.asarray(single.mean(), np.float64)
    probabilities = np.exp(np.asarray(p["categorical"], np.float64))
    expected[1] = probabilities[0] @ [0, 1, 2]
    expected[7] = probabilities[1, :2] @ [0, 1]
    z = (drawn.mean(axis=0) - expected) / (drawn.std(axis=0) / len(drawn) ** 0.5)
    assert np.abs(z).max() < 4.5, z
    relative = np.exp(0.7 * drawn[:, 5])
    error = relative.std() / len(drawn) ** 0.5
    assert abs(relative.mean() - float(single.relative_mean()[5])) < 4.5 * error
    assert not np.any(drawn[:, [1, 3, 4, 6, 7]] % 1)


def test_scales_and_freedom_have_a_floor():
    outputs = jnp.full(num_outputs(SCHEMA), -200.0)
    parameters = row_of(outputs, SCHEMA).parameters
    assert float(parameters["gaussian"][0, 1]) == pytest.approx(1e-3)
    assert float(parameters["log-normal"][0, 1]) == pytest.approx(1e-3)
    assert float(parameters["student"][0, 2]) == 3
    assert np.isfinite(row_of(outputs, SCHEMA).log_prob(jnp.asarray(SEEN, jnp.float32)))


def test_a_decoder_starts_at_the_shares_of_the_data():
    start = first_outputs(SCHEMA, np.array([0, 0, 0, 0, 0.2, 0, 0, 0.0]))
    found = row_of(jnp.asarray(start, jnp.float32), SCHEMA)
    assert float(found.mean()[4]) == pytest.approx(0.2)
    assert float(found.parameters["gaussian"][0, 1]) == pytest.approx(1.001)


def test_homoscedastic_scales_are_the_same_for_all_rows():
    """And learned: the decoder's own numbers of a real column are its location alone."""
    model = elbax.one_layer((8,), small(homoscedastic=True), key=jax.random.key(0))
    decoder = model.generative.decoder
    assert decoder.outputs.bias.size == num_outputs(SCHEMA, homoscedastic=True)
    rows = jax.vmap(decoder)(jax.random.normal(jax.random.key(1), (5, 2))).parameters
    for kind in ("gaussian", "log-normal", "student"):
        assert np.ptp(rows[kind][:, :, 0], axis=0).min() > 0
        assert np.ptp(rows[kind][:, :, 1:], axis=0).max() == 0
    x = jnp.asarray(SEEN, jnp.float32)
    gradient = jax.grad(lambda head: head(jnp.ones(2)).log_prob(x), allow_int=True)(decoder)
    assert len(gradient.shapes) == 3
    assert all(np.abs(shape[:, 0]).min() > 0 for shape in gradient.shapes)
    start = first_outputs(SCHEMA, None), first_outputs(SCHEMA, None, homoscedastic=True)
    apart = row_of(jnp.asarray(start[0]), SCHEMA)
    alone = row_of(jnp.asarray(start[1]), SCHEMA, shapes=first_shapes(SCHEMA))
    for kind, parameters in apart.parameters.items():
        np.testing.assert_allclose(alone.parameters[kind], parameters, rtol=1e-6)


def test_the_encoder_sees_zeros_and_one_mask_for_each_column():
    seen = Observed(lambda v: v, SCHEMA)(jnp.asarray(SEEN, jnp.float32))
    assert seen.shape == (num_inputs(SCHEMA),) == (11 + 8,)
    count = (np.log1p(4) - 1) / 0.4
    more = (np.log1p(17) - 2) / 1.3
    np.testing.assert_allclose(seen[:6], [*SEEN[[0, 2]], count, 1, SEEN[5], more], rtol=1e-5)
    assert seen[6:11].tolist() == [0, 0, 1, 1, 0]
    nothing = Observed(lambda v: v, SCHEMA)(jnp.full(8, jnp.nan))
    assert nothing.tolist() == [0] * 19
    hole = jnp.asarray(np.where(np.arange(8) == 1, np.nan, SEEN), jnp.float32)
    found = Observed(lambda v: v, SCHEMA)(hole)
    assert found[6:11].tolist() == [0, 0, 0, 1, 0]
    assert found[11:].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]


@pytest.mark.statistical
def test_log_p_of_the_observed_is_the_closed_form():
    """Linear-Gaussian: E[w] = p(x_observed) whatever the encoder, and log p-hat comes to it."""
    model, exact = linear_table(jax.random.key(3))
    x = masked(model, 6, jax.random.key(4))
    log_w = np.asarray(elbax.log_weights(model, x, 40_000, key=jax.random.key(5)), np.float64)
    truth = np.array([exact.log_marginal(row) for row in x])
    ratio = np.exp(log_w - truth)
    z = (ratio.mean(axis=0) - 1) / (ratio.std(axis=0) / len(ratio) ** 0.5)
    assert np.abs(z).max() < 4.5, z
    # A planted error: taking the holes for zeros is not the same density.
    wrong = np.array([exact.log_marginal(np.nan_to_num(row)) for row in x])
    assert np.abs(np.exp(log_w - wrong).mean(axis=0) - 1).max() > 0.1


@pytest.mark.statistical
@pytest.mark.parametrize("rule", ["reparam", "dreg", "stl"])
def test_pathwise_rules_are_unbiased_under_a_mask(rule):
    """At K = 1 each estimates the gradient of the ELBO, known in closed form for this model."""
    model, exact = linear_table(jax.random.key(3))
    x = masked(model, 3, jax.random.key(4))
    step = elbax.value_and_grad(elbax.iwae(k=1, gradient=rule))

    @jax.jit
    def gradient(key):
        return step(model, jnp.asarray(x), key=key)[1].inference.encoder.offset

    found = np.asarray(jax.lax.map(gradient, jax.random.split(jax.random.key(6), 4000)), float)
    truth = exact.elbo_gradient(model.inference.encoder, x)
    z = (found.mean(axis=0) - truth) / (found.std(axis=0) / len(found) ** 0.5)
    assert np.abs(z).max() < 4.5, z
    assert np.abs((found.mean(axis=0) - 1.5 * truth) / (found.std(axis=0) / 4000**0.5)).max() > 6


@pytest.mark.statistical
def test_dreg_of_many_samples_is_unbiased_under_a_mask():
    """Beside the plain gradient of log mean w, by autodiff of the log-weights alone."""
    model, _ = linear_table(jax.random.key(3))
    x = jnp.asarray(masked(model, 3, jax.random.key(4)))
    step = elbax.value_and_grad(elbax.iwae(k=4, gradient="dreg"))

    def bound(offset, key):
        moved = eqx.tree_at(lambda m: m.inference.encoder.offset, model, offset)
        log_w = elbax.log_weights(moved, x, 4, key=key)
        return jnp.mean(jax.nn.logsumexp(log_w, axis=0) - jnp.log(4.0))

    offset = model.inference.encoder.offset
    estimates = [
        lambda key: step(model, x, key=key)[1].inference.encoder.offset,
        lambda key: jax.grad(bound)(offset, key),
    ]
    found = [
        np.asarray(jax.jit(lambda keys, one=one: jax.lax.map(one, keys))(keys), float)
        for one, keys in zip(estimates, jax.random.split(jax.random.key(7), (2, 4000)), strict=True)
    ]
    error = np.sqrt(sum(one.var(axis=0) / len(one) for one in found))
    assert np.abs((found[0].mean(axis=0) - found[1].mean(axis=0)) / error).max() < 4.5
    assert np.abs(found[0].mean(axis=0) / error).max() > 6  # there is something to be biased


def test_a_likelihood_for_all_columns_is_refused():
    table = table_of({"a": [1.5, 2.5, 3.25], "b": [2.5, 1.5, 0.5]})
    config = elbax.ModelConfig(hidden=(4,), latents=1, likelihood="gaussian")
    with pytest.raises(InputError, match="no likelihood for a table"):
        elbax.fit("vae(m=1)", table, model=config)


def small(latent="normal", latents=2, **fields):
    config = elbax.ModelConfig(
        hidden=(4,), latents=latents, latent=latent, hidden_above=(4,), **fields
    )
    return config.of_table(SCHEMA)


@pytest.mark.parametrize(
    ("config", "objective"),
    [
        pytest.param(
            small(latents=(2, 2)), "miwae(m=2, k=2, gradient=dreg)", marks=pytest.mark.slow
        ),
        (small("bernoulli", (3, 2)), "iwae(k=4, gradient=vimco, warmup=2)"),
    ],
)
def test_layers_and_discrete_latents_learn_from_holes(config, objective):
    rng, schema = np.random.default_rng(0), Schema(SCHEMA.columns[:5])
    values = np.tile(SEEN[:5], (40, 1))
    values[:, [0, 2]] += rng.normal(size=(40, 2))
    values[rng.random(values.shape) < 0.3] = np.nan
    data = elbax.Dataset(
        name="t", train=values.astype(np.float32), test=values.astype(np.float32), schema=schema
    )
    config_ = elbax.TrainConfig(epochs=30, batch_size=10)
    config = dataclasses.replace(config, likelihood="bernoulli", table=None)
    result = elbax.fit(objective, data, model=config, config=config_)
    assert result.status == ("ok",)
    bounds = [record["bound"] for record in result.metrics]
    assert bounds[-1] > bounds[0]
    told, shape = elbax.config_of(result.models[0])
    assert (told.table, shape) == (schema, (5,))


@pytest.mark.parametrize("homoscedastic", [False, True])
def test_a_model_of_a_table_is_saved_with_its_schema(homoscedastic, tmp_path):
    model = elbax.one_layer((8,), small(homoscedastic=homoscedastic), key=jax.random.key(0))
    elbax.save(model, tmp_path / "m.safetensors")
    again = elbax.load(tmp_path / "m.safetensors")
    config = elbax.config_of(again)[0]
    assert (config.table, config.homoscedastic) == (SCHEMA, homoscedastic)
    x = np.where(np.arange(8) == 2, np.nan, SEEN)[None].astype(np.float32)
    both = [elbax.log_weights(one, x, 3, key=jax.random.key(1)) for one in (model, again)]
    np.testing.assert_array_equal(*both)
    assert schema_from(json.loads(json.dumps(dataclasses.asdict(SCHEMA)))) == SCHEMA


def test_the_sleep_phase_is_refused():
    table = table_of(np.array([[1.5, np.nan], [2.5, 3.0], [0.5, 4.5]]))
    for rule in ("sleep", "wake-sleep"):
        with pytest.raises(InputError, match="dreams whole rows"):
            elbax.fit(
                f"rws(k=2, gradient={rule})",
                table,
                model=elbax.ModelConfig(hidden=(4,), latents=1),
                config=elbax.TrainConfig(epochs=1, batch_size=3),
            )


@pytest.mark.parametrize(
    ("config", "shape", "sentence"),
    [
        (elbax.ModelConfig(likelihood="table"), (8,), "likelihood='table' with the columns"),
        (elbax.ModelConfig(table=SCHEMA), (8,), "likelihood='table' with the columns"),
        (small(), (7,), "data of 8 columns"),
        (small(channels=(4,)), (8,), "no channels"),
        (elbax.ModelConfig(homoscedastic=True), (8,), "homoscedastic for a table alone"),
        (elbax.ModelConfig(missing="linear"), (8,), "missing='linear' for a table alone"),
    ],
)
def test_what_is_no_model_of_a_table_is_refused(config, shape, sentence):
    with pytest.raises(InputError, match=sentence):
        elbax.one_layer(shape, config, key=jax.random.key(0))


def test_an_array_is_no_table():
    with pytest.raises(InputError, match="expected a table for this model"):
        elbax.fit("vae(m=1)", np.zeros((20, 8)), model=small())


@pytest.mark.parametrize("log_size", [-3.0, 0.0, 2.2, 2.4, 5.0, 10.0, 15.0, 20.0])
def test_a_negative_binomial_holds_up_to_its_poisson_limit(log_size):
    """A size that training drives to infinity once cost hundreds of nats by rounding."""
    u, log_mean = np.array([0.0, 1.0, 5.0, 9.0, 29.0, 200.0]), np.log(9.0)
    size = np.exp(log_size)
    expected = scipy.stats.nbinom.logpmf(u, size, size / (size + 9.0))
    p = jnp.tile(jnp.array([log_mean, log_size], jnp.float32), (len(u), 1))
    counts = jnp.asarray(u, jnp.float32)
    found = _negative_binomial_log_prob(p, counts)
    np.testing.assert_allclose(found, expected, atol=5e-4)
    gradient = jax.grad(lambda p: _negative_binomial_log_prob(p, counts).sum())(p)
    assert np.isfinite(gradient).all()
    # d/d log mean = (u - mean) size / (size + mean)
    np.testing.assert_allclose(gradient[:, 0], (u - 9) * size / (size + 9), rtol=1e-3, atol=1e-3)
