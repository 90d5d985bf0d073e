"""Imputations held against what was there: cells hidden in turn, and drawn given the others.

Every observed cell is hidden once, at random whatever its value, beside a share of the others of
its row. Its value should then lie among the draws as one of them would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array, Float

from elbax._checks import check_count
from elbax._door import checked_data, checked_table, schema_of
from elbax._errors import InputError
from elbax._keys import key_of
from elbax._types import Data
from elbax.evaluation.contents import blocks_of, row_key, words_of
from elbax.evaluation.filling import weighted_latents
from elbax.evaluation.reliability import khat_threshold, pareto_khat, tail_size
from elbax.models.interface import Model
from elbax.tables.schema import Schema
from elbax.tables.table import Table
from elbax.tables.units import to_user

ROUNDS = 5  # in each of which a fifth of a row's cells is hidden


@dataclass(frozen=True, eq=False)
class HeldOutCells:
    """What a model says of N rows of C cells, each hidden in its turn; NaN where none was there.

    Attributes:
        schema: of the columns.
        truth: `[N, C]`, the cells in the user's units; of a category its index.
        pit: `[N, C]`, the share of the weighted draws below the truth (of counts, ties broken at
            random): uniform if the draws are what the cell is drawn from. NaN for categories.
        log_p: `[N, C]`, log p(x_j | the cells that were left), in nats and the user's units.
        mean: `[N, C]`, the mean of the draws' distribution, in the user's units; of a category
            the index of the most probable one, as in `median`.
        median: `[N, C]`, the weighted median of the draws.
        confidence: `[N, C]`, the probability of the most probable category; NaN for numbers.
        reliable: `[N, C]`, whether Pareto k-hat of the weights was at most its threshold; False
            where no cell was there.

    >>> column = np.array([[0.1], [0.4], [0.6], [0.95]])
    >>> nothing = np.full((4, 1), np.nan)
    >>> from elbax.tables.schema import Column
    >>> schema, sure = Schema((Column("a", "gaussian"),)), np.ones((4, 1), bool)
    >>> cells = HeldOutCells(schema, column, column, nothing, column, column, nothing, sure)
    >>> cells.coverage(0.5).tolist()
    [0.5]
    """

    schema: Schema
    truth: Float[np.ndarray, "n c"]
    pit: Float[np.ndarray, "n c"]
    log_p: Float[np.ndarray, "n c"]
    mean: Float[np.ndarray, "n c"]
    median: Float[np.ndarray, "n c"]
    confidence: Float[np.ndarray, "n c"]
    reliable: np.ndarray

    def __repr__(self) -> str:
        """How many cells, and how often 90 % intervals hold them."""
        count = int((~np.isnan(self.truth)).sum())
        held, error = self.joint_coverage(0.9)
        return f"HeldOutCells({count} cells, 90 % intervals hold {held:.3f} ± {error:.3f})"

    def coverage(self, share: float) -> Float[np.ndarray, " c"]:
        """Of each column of numbers, how often the central interval of that share holds a cell.

        It should be that share, up to the binomial error of `sqrt(share (1 - share) / cells)`:
        rows are independent, and a column has one cell in each. NaN for categories.
        """
        held = self._held(share)
        count = (~np.isnan(held)).sum(axis=0)
        return np.where(count, np.nansum(held, axis=0) / np.maximum(count, 1), np.nan)

    def joint_coverage(self, share: float) -> tuple[float, float]:
        """The same over all columns of numbers, and its standard error over rows.

        Cells of one row go together, so that the error is taken over rows, not over cells.
        """
        held = self._held(share)
        there = ~np.isnan(held)
        total = there.sum()
        if not total:
            return float("nan"), float("nan")
        mean = np.nansum(held) / total
        excess = np.where(there, held - mean, 0).sum(axis=1)
        rows = int(there.any(axis=1).sum())
        error = np.sqrt((excess**2).sum() * rows / max(1, rows - 1)) / total
        # Where every interval holds, the spread is none, and the binomial error is all there is.
        return float(mean), float(max(error, np.sqrt(share * (1 - share) / total)))

    def p_value(self) -> Float[np.ndarray, " c"]:
        """Of each column of numbers, the chance of a `pit` so far from uniform (Kolmogorov)."""
        found = np.full(self.pit.shape[1], np.nan)
        for index, column in enumerate(self.pit.T):
            seen = column[~np.isnan(column)]
            if len(seen):
                found[index] = scipy.stats.kstest(seen, "uniform").pvalue
        return found

    def _held(self, share: float) -> np.ndarray:
        away = np.abs(2 * self.pit - 1)
        return np.where(np.isnan(away), np.nan, away <= share)


def held_out_cells(
    model: Model,
    x: Data | Table,
    *,
    num_rounds: int = ROUNDS,
    num_samples: int = 1000,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> HeldOutCells:
    """Hide every observed cell once, and say what the model makes of it given the others.

    In each of `num_rounds` rounds an even share of every row's cells is hidden at random. With
    weights w_k of the row that is left, normalized, `p(x_j | rest) = sum_k w_k p(x_j | z_k)`, and
    the draws x_jk of p(x_j | z_k) under the same weights are those of `elbax.impute`.

    Args:
        model: of tables.
        x: rows `[N, C]` as the model sees them, or a `Table` under its schema: rows that it was not
            trained on.
        num_rounds: in how many parts a row's cells are hidden; more hide fewer at once.
        num_samples: K, at least 25.
        seed: of what is hidden when, and of the draws.
        progress: told the fraction done.

    Raises:
        InputError: no model of tables, or one that takes cells to hide themselves, of which cells
            hidden at random are no test.

    References: Dawid 1984, Statistical theory: the prequential approach, for the transform; Czado,
        Gneiting & Held 2009 for that of counts.

    >>> import elbax
    >>> table = elbax.table_of(np.array([[1.0, 2.1], [2.0, np.nan], [3.0, 3.9], [2.5, 3.2]]))
    >>> config = elbax.ModelConfig(hidden=(4,), latents=1).of_table(table.schema)
    >>> model = elbax.one_layer((2,), config, key=jax.random.key(0))
    >>> found = held_out_cells(model, table, num_samples=100)
    >>> found.pit.shape, int((~np.isnan(found.pit)).sum())
    ((4, 2), 7)
    """
    check_count("num_samples", num_samples, 25)
    check_count("num_rounds", num_rounds, 2)
    values = checked_table(model, x) if isinstance(x, Table) else np.asarray(checked_data(model, x))
    schema = checked_schema(model)
    task_rows, hidden = _tasks(~np.isnan(values), num_rounds, seed)
    found = _Found(values, schema)
    left = np.where(hidden, np.nan, values[task_rows]).astype(np.float32)
    truth = np.where(hidden, values[task_rows], np.nan)
    words = words_of(left)
    params, static = eqx.partition(model, eqx.is_array)
    key, done = key_of(seed), 0
    for block in blocks_of(len(task_rows), num_samples):
        own = tuple(jnp.asarray(part[block]) for part in (left, truth, words))
        arrays = jax.tree.map(np.asarray, _block(params, *own, key, static, num_samples))
        fresh = min(len(block), len(task_rows) - done)
        khat = pareto_khat(arrays.pop("largest")[:fresh].T)
        is_reliable = khat <= khat_threshold(num_samples)
        rows = block[:fresh]
        found.add(task_rows[rows], hidden[rows], arrays, is_reliable)
        done += fresh
        if progress is not None:
            progress(done / len(task_rows))
    return found.cells(np.random.default_rng((seed, 1)))


def checked_schema(model: Model) -> Schema:
    """The schema of a model that cells hidden at random are a test of.

    Raises:
        InputError: it is of other data, or cells hide themselves in it.
    """
    schema = schema_of(model)
    if schema is None:
        raise InputError(
            "expected a model of tables; this one has another likelihood. Train one on an "
            "`elbax.Table`."
        )
    z = jax.eval_shape(model.generative.sample_prior, jax.random.key(0))
    if jax.eval_shape(model.generative.likelihood, z).mechanism is not None:  # pyright: ignore
        raise InputError(
            "expected a model of cells that are missing at random; this one takes them to hide "
            "themselves, of which cells hidden at random are no test."
        )
    return schema


def _tasks(there: np.ndarray, num_rounds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which something is hidden `[T]`, and what `[T, C]`; every cell once."""
    generator = np.random.default_rng((seed, 0))
    order = np.where(there, generator.random(there.shape), np.inf).argsort(axis=1).argsort(axis=1)
    turn = (order + generator.integers(num_rounds, size=(len(there), 1))) % num_rounds
    hidden = np.stack([there & (turn == one) for one in range(num_rounds)], axis=1)
    rows, rounds = np.nonzero(hidden.any(axis=2))
    return rows, hidden[rows, rounds]


class _Found:
    """What the rounds say, put together."""

    def __init__(self, values: np.ndarray, schema: Schema):
        self._truth, self._schema = values.astype(np.float64), schema
        names = ("below", "same", "log_p", "mean", "median", "confidence")
        self._arrays = {name: np.full(values.shape, np.nan) for name in names}
        self._reliable = np.zeros(values.shape, bool)

    def add(self, rows: np.ndarray, hidden: np.ndarray, arrays: dict, reliable: np.ndarray):
        """What a block says of cells that were hidden in it."""
        place, column = np.nonzero(hidden)
        for name, whole in self._arrays.items():
            whole[rows[place], column] = arrays[name][place, column]
        self._reliable[rows[place], column] = reliable[place]

    def cells(self, generator: np.random.Generator) -> HeldOutCells:
        """All of it, in the user's units."""
        got, schema = self._arrays, self._schema
        pit = got["below"] + generator.random(got["same"].shape) * got["same"]
        truth, mean, median = self._truth.copy(), got["mean"].copy(), got["median"].copy()
        for index, column in enumerate(schema.columns):
            if column.is_category:
                pit[:, index] = np.nan
                continue
            got["confidence"][:, index] = np.nan
            if column.kind == "log-normal":  # relative to exp(center)
                mean[:, index] *= np.exp(column.center)
            elif not column.is_count:
                mean[:, index] = to_user(mean[:, index], column)
            truth[:, index] = to_user(truth[:, index], column)
            median[:, index] = to_user(median[:, index], column)
        pit = np.clip(pit, 0, 1)  # of float32 sums
        return HeldOutCells(
            schema, truth, pit, got["log_p"], mean, median, got["confidence"], self._reliable
        )


@partial(jax.jit, static_argnames=("static", "num_samples"))
def _block(params, left, truth, words, key, static, num_samples: int) -> dict[str, Array]:
    """What is said of each cell `[B, C]` of rows `left`, and the largest log-weights."""
    model = eqx.combine(params, static)

    def of_row(x: Array, truth: Array, words: Array) -> dict[str, Array]:
        own = row_key(key, words)
        z, log_w = weighted_latents(model, x, own, num_samples)
        rows = jax.vmap(model.generative.likelihood)(z)
        data_keys = jax.random.split(jax.random.fold_in(own, 1), num_samples)
        drawn = jax.vmap(lambda row, key: row.sample(key))(rows, data_keys)
        there = jnp.where(jnp.isnan(truth), 0, truth)
        cells = jax.vmap(lambda row: row.cell_log_probs(there))(rows)
        weights = jax.nn.softmax(log_w)
        mean = weights @ jax.vmap(lambda row: row.relative_mean())(rows)
        said = {
            "below": weights @ (drawn < there),
            "same": weights @ (drawn == there),
            "log_p": jax.nn.logsumexp(jax.nn.log_softmax(log_w)[:, None] + cells, axis=0),
            "mean": mean,
            "median": _median(weights, drawn),
            "confidence": jnp.zeros_like(mean),
        }
        largest = jax.lax.top_k(log_w, tail_size(num_samples) + 1)[0]
        return _with_categories(said, weights, rows, model) | {"largest": largest}

    return jax.vmap(of_row)(left, truth, words)


def _median(weights: Array, drawn: Array) -> Array:
    """The weighted median `[C]` of draws `[K, C]`."""
    order = jnp.argsort(drawn, axis=0)
    cumulated = jnp.cumsum(weights[order], axis=0)
    place = jnp.argmax(cumulated >= 0.5 * cumulated[-1], axis=0)
    return jnp.take_along_axis(jnp.take_along_axis(drawn, order, axis=0), place[None], axis=0)[0]


def _with_categories(said: dict, weights: Array, rows, model: Model) -> dict[str, Array]:
    """The most probable category, and how probable it is, where columns have categories."""
    schema = schema_of(model)
    assert schema is not None
    said = dict(said)
    for kind, p in jax.vmap(lambda row: row.probabilities())(rows).items():
        mean = jnp.einsum("k,knm->nm", weights, p)
        places = np.array(schema.places(kind))
        best = mean.argmax(axis=1).astype(said["mean"].dtype)
        for name, value in (("mean", best), ("median", best), ("confidence", mean.max(axis=1))):
            said[name] = said[name].at[places].set(value)
    return said
