"""Filled cells against conditional means, quantiles and covariances in closed form."""

import dataclasses
import warnings

import jax
import numpy as np
import pytest
import scipy.stats

import elbax
from elbax._errors import InputError
from elbax.evaluation.imputation import impute, multiple_imputations
from elbax.evaluation.pooling import pool
from elbax.tables.raw import from_array
from elbax.tables.schema import Column, Schema
from elbax.tables.table import Table, table_of
from tests.unit.tables.oracle import CENTERS, SCALES, SCHEMA, linear_table, masked


@pytest.fixture(scope="module")
def setting():
    model, exact = linear_table(jax.random.key(3))
    x = masked(model, 24, jax.random.key(8))[:-1]
    table = Table(x, SCHEMA, from_array(np.asarray(x, float) * SCALES + CENTERS, SCHEMA.names))
    return model, exact, table


def holes_of(table, exact):
    """(row, column, mean, sd) of every hole, in the user's units."""
    for row, x in enumerate(table.values):
        places = np.flatnonzero(np.isnan(x))
        if len(places):
            mean, covariance = exact.conditional(x)
            for place, one, var in zip(places, mean, np.diag(covariance), strict=True):
                yield row, place, CENTERS[place] + SCALES[place] * one, SCALES[place] * var**0.5


@pytest.mark.statistical
def test_means_and_quantiles_are_those_of_the_conditional(setting):
    model, exact, table = setting
    mean = impute(model, table, num_samples=4000)
    upper = impute(model, table, statistic=0.8, num_samples=4000)
    z, zq, sds = [], [], []
    for row, place, center, sd in holes_of(table, exact):
        if not mean.reliable[row]:
            continue
        found = CENTERS[place] + SCALES[place] * mean.values[row, place]
        z.append((found - center) / mean.error[row, place])
        sds.append(mean.sd[row, place] / sd)
        quantile = CENTERS[place] + SCALES[place] * upper.values[row, place]
        expected = scipy.stats.norm(center, sd).ppf(0.8)
        zq.append((quantile - expected) / upper.error[row, place])
    assert len(z) >= 20
    assert np.abs(z).max() < 4.5
    assert np.abs(zq).max() < 4.5
    assert 0.5 < np.std(z) < 1.5
    assert 0.5 < np.std(zq) < 1.5
    np.testing.assert_allclose(sds, 1, atol=0.15)


@pytest.mark.statistical
def test_multiple_imputations_are_draws_of_the_conditional(setting):
    """Whitened by the exact conditional they are standard normal, within a row together too."""
    model, exact, table = setting
    drawn = multiple_imputations(model, table, 200, num_samples=2000)
    assert drawn.values.shape == (200, *table.values.shape)
    squares, count = [], []
    for row, x in enumerate(table.values):
        there = ~np.isnan(x)
        np.testing.assert_array_equal(drawn.values[:, row, there], np.tile(x[there], (200, 1)))
        if there.all():
            continue
        mean, covariance = exact.conditional(x)
        white = np.linalg.solve(
            np.linalg.cholesky(covariance), (drawn.values[:, row, ~there] - mean).T
        )
        squares.append((white**2).mean())
        count.append(white.size)
    share, size = np.average(squares, weights=count), sum(count)
    # 2000 weights of few effective samples resampled 200 times: errors are not independent.
    assert abs(share - 1) < 0.06, (share, size)


def test_equal_rows_draw_apart_but_neighbours_do_not_matter(setting):
    model, _, table = setting
    holed = np.flatnonzero(~table.mask.all(axis=1))[:1]
    twice = table.rows(np.repeat(holed, 2))
    drawn = multiple_imputations(model, twice, 2, num_samples=100).values
    hole = np.isnan(twice.values[0])
    assert (drawn[:, 0, hole] != drawn[:, 1, hole]).all()
    alone = multiple_imputations(model, table.rows(holed), 2, num_samples=100).values
    np.testing.assert_allclose(alone[:, 0], drawn[:, 0], atol=1e-5)


def test_proper_imputations_take_a_model_each(setting):
    model, _, table = setting
    other, _ = linear_table(jax.random.key(5))
    drawn = multiple_imputations([model, other, model], table, num_samples=100)
    assert (len(drawn), drawn.proper) == (3, True)
    hole = ~table.mask
    assert not np.allclose(drawn.values[0][hole], drawn.values[2][hole])  # draws of its own
    with pytest.raises(InputError, match="got 3"):
        multiple_imputations([model, other, model], table, 5, num_samples=100)


MIXED = Schema(
    (
        Column("a", "gaussian", center=3.0, scale=2.0),
        Column("visits", "poisson", "int", center=1.0, scale=0.4),
        Column("sex", "binary", "text", ("f", "m")),
        Column("dose", "log-normal", center=2.0, scale=0.7),
        Column("code", "categorical", "int", ("1", "2", "7")),
    )
)


@pytest.fixture(scope="module")
def mixed():
    config = elbax.ModelConfig(hidden=(4,), latents=1).of_table(MIXED)
    model = elbax.one_layer((5,), config, key=jax.random.key(0))
    holes = {
        "a": [1.5, np.nan, 2.5],
        "visits": [np.nan, 2, 3],
        "sex": ["f", "m", None],
        "dose": [2.5, np.nan, 1.0],
        "code": [np.nan, 7, 1],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model, table_of(holes, schema=MIXED)


@pytest.mark.parametrize("statistic", ["mean", "median", "mode", 0.1])
def test_kinds_and_limits_are_kept(mixed, statistic):
    model, table = mixed
    found = impute(model, table, statistic=statistic, num_samples=200, min_value={"a": 2.0})
    columns = found.columns()
    assert columns["visits"][1:].tolist() == [2, 3]
    assert columns["visits"][0] % 1 == 0
    assert columns["sex"][2] in ("f", "m")
    assert columns["code"][0] in (1, 2, 7)
    assert columns["dose"][1] > 0
    assert columns["a"][1] >= 2
    assert columns["a"][0] == 1.5  # what was observed stays, below a limit too
    assert np.isnan(found.error[table.mask]).all()
    assert np.isfinite(found.error[~table.mask]).all()
    assert (found.error[~table.mask] >= 0).all()


def test_draws_keep_kinds_and_limits(mixed):
    model, table = mixed
    drawn = multiple_imputations(model, table, 20, num_samples=100, min_value=1.5, max_value=2.5)
    found = [drawn.columns(index) for index in range(20)]
    visits, doses, amounts = (
        np.array([one[name][row] for one in found])
        for name, row in (("visits", 0), ("dose", 1), ("a", 1))
    )
    assert set(visits) <= {2.0}
    assert doses.min() >= 1.5
    assert doses.max() <= 2.5 + 1e-6
    assert amounts.max() <= 2.5 + 1e-6
    assert {one["code"][0] for one in found} <= {1, 2, 7}
    assert {one["sex"][2] for one in found} == {"f", "m"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"statistic": "average"}, "a statistic among mean, median, mode"),
        ({"statistic": 1.5}, r"a quantile in \(0, 1\); got 1.5"),
        ({"num_samples": 3}, "num_samples >= 25"),
        ({"min_value": {"sex": 0}}, "got 'sex'"),
    ],
)
def test_what_cannot_be_imputed_by_is_refused(mixed, given, sentence):
    with pytest.raises(InputError, match=sentence):
        impute(*mixed, **given)


def test_other_models_and_schemas_are_refused(mixed):
    column = dataclasses.replace(MIXED.columns[0], scale=3.0)
    other = Schema((column, *MIXED.columns[1:]))
    table = Table(mixed[1].values, other, mixed[1].raw)
    for wrong in (impute, multiple_imputations, elbax.score):
        with pytest.raises(InputError, match="the schema of the model"):
            wrong(mixed[0], table)
    other = elbax.one_layer((5,), elbax.ModelConfig(hidden=(4,), latents=1), key=jax.random.key(0))
    with pytest.raises(InputError, match=r"model of tables|Bernoulli"):
        impute(other, mixed[1])


def test_pooling_is_rubins_published_formula():
    """Numbers by hand: three estimates 10, 12, 11 with variances 4, 5, 6."""
    found = pool([10.0, 12.0, 11.0], [4.0, 5.0, 6.0])
    assert (found.estimate, found.within, found.between) == (11, 5, 1)
    total = 5 + 4 / 3
    assert found.variance == pytest.approx(total)
    ratio = (4 / 3) / 5  # r of Rubin 1987, 3.1.7; degrees of freedom (m - 1) (1 + 1/r)^2
    assert found.freedom == pytest.approx(2 * (1 + 1 / ratio) ** 2)
    half = scipy.stats.t.ppf(0.975, found.freedom) * total**0.5
    np.testing.assert_allclose(found.interval(), (11 - half, 11 + half))
    few = pool([10.0, 12.0, 11.0], [4.0, 5.0, 6.0], complete_freedom=20)
    share = (4 / 3) / total
    observed = 21 / 23 * 20 * (1 - share)
    assert few.freedom == pytest.approx(1 / (1 / found.freedom + 1 / observed))
    arrays = pool([[1.0, 2.0], [3.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]])
    assert arrays.freedom[1] == np.inf
    assert arrays.variance.tolist() == [4, 1]


@pytest.mark.parametrize(
    ("estimates", "variances"), [([1.0], [1.0]), ([1, 2], [1]), ([1, 2], [-1, 1])]
)
def test_what_cannot_be_pooled_is_refused(estimates, variances):
    with pytest.raises(InputError, match="expected estimates and variances"):
        pool(estimates, variances)
