"""Held-out cells against conditionals in closed form, and columns beside what is known of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from elbax._errors import InputError
from elbax.distributions import DiagonalNormal
from elbax.evaluation.alone import Alone
from elbax.evaluation.held_out import _tasks, held_out_cells
from elbax.evaluation.marginals import Bins, distance, rank_correlation, strongest_pairs
from elbax.models import Generative, Inference, Model
from elbax.models.cells import Row
from elbax.models.missing import SelfMasking
from elbax.tables.schema import Column, Schema
from elbax.tables.units import to_user
from tests.unit.tables.oracle import CENTERS, SCALES, Guess, linear_table, masked


@pytest.fixture(scope="module")
def simulated():
    model, exact = linear_table(jax.random.key(3))
    wide = Guess(jnp.zeros((2, 4)), jnp.zeros(2), jnp.full(2, 0.1))  # weights of finite variance
    model = Model(model.generative, Inference(wide))
    return model, exact, masked(model, 240, jax.random.key(8), share=0.2)[:-1]


def exact_cells(exact, x):
    """(row, column, mean, sd) in the user's units of every cell, given what is left with it."""
    for row, hidden in zip(*_tasks(~np.isnan(x), 5, 0), strict=True):
        left = np.where(hidden, np.nan, x[row])
        mean, covariance = exact.conditional(left)
        missing = np.flatnonzero(np.isnan(left))
        for place, one, var in zip(missing, mean, np.diag(covariance), strict=True):
            if hidden[place]:
                yield row, place, CENTERS[place] + SCALES[place] * one, SCALES[place] * var**0.5


@pytest.mark.statistical
def test_held_out_cells_are_those_of_the_conditional(simulated):
    model, exact, x = simulated
    found = held_out_cells(model, x, num_samples=500)
    assert (np.isnan(found.pit) == np.isnan(x)).all()
    np.testing.assert_allclose(found.truth, x * SCALES + CENTERS, rtol=1e-5, atol=1e-5)
    cells = [one for one in exact_cells(exact, x) if found.reliable[one[:2]]]
    assert len(cells) > 0.7 * (~np.isnan(x)).sum()
    rows, columns, means, sds = map(np.array, zip(*cells, strict=True))
    truth = found.truth[rows, columns]
    z = (truth - means) / sds
    log_p = scipy.stats.norm.logpdf(truth, means, sds)
    assert abs((found.log_p[rows, columns] - log_p).mean()) < 0.02
    assert np.sqrt((((found.mean[rows, columns] - means) / sds) ** 2).mean()) < 0.1
    assert np.sqrt((((found.median[rows, columns] - means) / sds) ** 2).mean()) < 0.25
    assert np.abs(found.pit[rows, columns] - scipy.stats.norm.cdf(z)).mean() < 0.06
    # Of the right model the ranks are uniform, column by column and together.
    assert found.p_value().min() > 0.01 / len(SCALES)
    for share in (0.5, 0.9):
        held, error = found.joint_coverage(share)
        assert abs(held - share) < 3.3 * error
        assert error < 0.05


@pytest.mark.statistical
def test_a_scale_that_is_too_narrow_is_caught(simulated):
    model, _, x = simulated
    narrow = eqx.tree_at(lambda m: m.generative.decoder.noise, model, jnp.asarray(0.35))
    found = held_out_cells(narrow, x, num_samples=500)
    assert found.p_value().min() < 1e-4
    held, error = found.joint_coverage(0.9)
    assert held < 0.9 - 5 * error


KINDS = Schema(
    (
        Column("a", "gaussian", center=2.0, scale=3.0),
        Column("b", "student", center=-1.0, scale=0.5),
        Column("c", "log-normal", center=1.0, scale=0.4),
        Column("d", "poisson", "int"),
        Column("f", "binary", "text", ("no", "yes")),
        Column("g", "categorical", "text", ("x", "y", "z")),
    )
)
PROBABILITIES = np.array([0.2, 0.5, 0.3])
LAWS = (
    scipy.stats.norm(2 + 3 * 0.5, 3 * 0.8),
    scipy.stats.t(5, -1 - 0.5 * 0.2, 0.5 * 0.6),
    scipy.stats.lognorm(0.4 * 0.7, scale=np.exp(1 + 0.4 * 0.3)),
    scipy.stats.poisson(3.0),
    scipy.stats.bernoulli(0.7),
    scipy.stats.rv_discrete(values=(range(3), PROBABILITIES)),
)


class Constant(eqx.Module):
    """A row of independent cells that no latent knows of."""

    bias: jax.Array
    mechanism: SelfMasking | None = None

    def __call__(self, z):
        parameters = {
            "gaussian": jnp.array([[0.5, 0.8]]),
            "student": jnp.array([[-0.2, 0.6, 5.0]]),
            "log-normal": jnp.array([[0.3, 0.7]]),
            "poisson": jnp.log(jnp.array([[3.0]])),
            "binary": jnp.array([[jnp.log(0.7 / 0.3)]]),
            "categorical": jnp.log(jnp.asarray(PROBABILITIES, jnp.float32))[None],
        }
        return Row(jax.tree.map(lambda p: p + 0 * self.bias, parameters), KINDS, self.mechanism)


class Nothing(eqx.Module):
    """An encoder that returns the prior."""

    loc: jax.Array

    def __call__(self, x):
        return DiagonalNormal(self.loc, jnp.ones(1))


def constant(mechanism=None):
    likelihood = Constant(jnp.zeros(()), mechanism)
    return Model(Generative(likelihood, 1, (6,)), Inference(Nothing(jnp.zeros(1))))


@pytest.fixture(scope="module")
def of_all_kinds():
    rng = np.random.default_rng(0)
    drawn = np.stack([law.rvs(size=120, random_state=rng) for law in LAWS], axis=1)
    columns = [
        u if one.is_count or one.is_category
        else ((np.log(u) if one.kind == "log-normal" else u) - one.center) / one.scale
        for one, u in zip(KINDS.columns, drawn.T, strict=True)
    ]  # fmt: skip
    x = np.stack(columns, axis=1).astype(np.float32)
    return x, drawn, held_out_cells(constant(), x, num_samples=400)


def test_every_kind_is_in_the_user_s_own_units(of_all_kinds):
    _, drawn, found = of_all_kinds
    np.testing.assert_allclose(found.truth, drawn, rtol=1e-4, atol=1e-4)
    for index, law in enumerate(LAWS):
        log_p = law.logpmf if hasattr(law, "logpmf") and index > 2 else law.logpdf
        np.testing.assert_allclose(found.log_p[:, index], log_p(drawn[:, index]), atol=2e-3)
        if index < 4:
            np.testing.assert_allclose(found.mean[:, index], law.mean(), rtol=1e-4)
            assert abs(found.median[:, index].mean() - law.median()) < 0.1 * law.std()
    assert np.isnan(found.pit[:, 4:]).all()
    assert np.isnan(found.confidence[:, :4]).all()
    assert (found.mean[:, 4:] == 1).all()
    np.testing.assert_allclose(found.confidence[:, 4:], [[0.7, 0.5]] * 120, rtol=1e-5)
    assert found.reliable.all()


@pytest.mark.statistical
def test_every_kind_of_numbers_has_a_uniform_transform(of_all_kinds):
    p_values = of_all_kinds[2].p_value()
    assert (p_values[:4] > 0.01 / 4).all()
    assert np.isnan(p_values[4:]).all()


def test_every_cell_is_hidden_once_and_never_a_whole_long_row():
    there = np.random.default_rng(1).random((40, 9)) < 0.8
    rows, hidden = _tasks(there, 5, 0)
    count = np.zeros(there.shape, int)
    np.add.at(count, rows, hidden)
    assert (count == there).all()
    assert hidden.sum(axis=1).max() <= 2


def test_models_that_it_is_no_test_of_are_refused():
    start = jnp.zeros(6)
    hides = constant(SelfMasking(start, start, 0, "self-masking"))
    with pytest.raises(InputError, match="hide themselves"):
        held_out_cells(hides, np.zeros((2, 6), np.float32), num_samples=25)


@pytest.mark.parametrize("index", range(6))
def test_a_column_by_itself_has_the_moments_of_its_cells_and_a_density(index, of_all_kinds):
    x, drawn, _ = of_all_kinds
    column = KINDS.columns[index]
    alone = Alone(column, x[:, index].astype(np.float64))
    if column.is_category:
        assert alone.mean == alone.median == 1
        names = np.arange(float(len(column.categories)))
        assert np.exp(alone.log_prob(names)).sum() == pytest.approx(1)
        return
    assert alone.mean == pytest.approx(drawn[:, index].mean(), rel=1e-4)
    assert alone.median == pytest.approx(np.median(drawn[:, index]), rel=1e-4)
    assert alone.sd == pytest.approx(drawn[:, index].std(), rel=1e-4)
    if column.is_count:
        assert np.exp(alone.log_prob(np.arange(200.0))).sum() == pytest.approx(1)
        return
    grid = np.linspace(-60, 60, 200_001)  # as a model sees it; the density is in the user's units
    width = np.gradient(to_user(grid, column))
    assert (np.exp(alone.log_prob(grid)) * width).sum() == pytest.approx(1, abs=1e-3)


def test_counts_that_vary_more_than_their_mean_have_a_density_too():
    rng = np.random.default_rng(3)
    cells = rng.negative_binomial(4, 0.4, size=4000).astype(float)
    alone = Alone(Column("a", "negative-binomial", "int"), cells)
    expected = scipy.stats.nbinom(4, 0.4).logpmf(np.arange(15))
    np.testing.assert_allclose(alone.log_prob(np.arange(15.0)), expected, atol=0.1)


def test_bins_count_what_they_are_given():
    rng = np.random.default_rng(0)
    cells = rng.gamma(2.0, size=500)
    bins = Bins(KINDS.columns[0], cells)
    assert bins.edges[0] >= cells.min()
    assert bins.shares(cells).sum() == pytest.approx(1)
    far = bins.shares(np.array([-1e9, 1e9, np.nan]))
    assert (far[0], far[-1]) == (0.5, 0.5)
    counts = Bins(KINDS.columns[3], np.array([0.0, 1.0, 1.0, 4.0, np.nan]))
    assert counts.shares(np.array([1.0, 1.0, 3.0])).max() == pytest.approx(2 / 3)
    many = Column("m", "categorical", "int", tuple(map(str, range(30))))
    few = Bins(many, np.repeat(np.arange(30.0), np.arange(30) + 1))
    assert few.names == [*map(str, range(19, 30)), "others"]
    assert few.shares(np.array([0.0, 29.0])).tolist() == [0] * 10 + [0.5, 0.5]


def test_pairs_are_the_strongest_and_distances_have_their_noise():
    rng = np.random.default_rng(2)
    z = rng.normal(size=(300, 1))
    cells = np.concatenate([z, z + 0.1 * rng.normal(size=(300, 1)), rng.normal(size=(300, 5))], 1)
    schema = Schema(tuple(Column(f"x{i}", "gaussian") for i in range(7)))
    pairs = strongest_pairs(cells, schema, 6, 4)
    assert pairs[0] == (0, 1)
    assert len({place for pair in pairs for place in pair}) <= 4
    expected = scipy.stats.spearmanr(cells[:, 0], cells[:, 2])[0]
    assert rank_correlation(cells[:, 0], cells[:, 2]) == pytest.approx(expected)
    assert np.isnan(rank_correlation(np.ones(50), np.arange(50.0)))
    near = [distance(*rng.normal(size=(2, 200))) for _ in range(200)]
    assert sum(far > noise for far, noise in near) <= 8  # one in a hundred, two of them
    far, noise = distance(rng.normal(size=200), rng.normal(0.6, size=200))
    assert far > noise
