"""Missing cells filled in by importance weights, with what is known of how well.

Given K draws z_k of q(z | x_observed) with weights w_k, anything about a missing cell is a weighted
mean: of E[x_j | z_k], or of draws x_jk of p(x_j | z_k).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from elbax._checks import check_count
from elbax._door import checked_table
from elbax._errors import InputError
from elbax.evaluation.cells import Limits, clipped, filled_cells, limits_of
from elbax.evaluation.contents import words_of
from elbax.evaluation.filling import draws_of, mixture
from elbax.evaluation.reliability import khat_threshold
from elbax.models.interface import Model
from elbax.tables.table import Table

_MOST_SAMPLES = 2**17  # of a row: its draws are held at once
_DRAWN = 1000  # cells drawn where only their spread is asked for; Student's t is slow to draw
STATISTICS = ("mean", "median", "mode")


@dataclass(frozen=True, eq=False)
class Imputed:
    """A table with its holes filled once.

    Attributes:
        table: as it came.
        values: `[N, C]` float64, as a model sees them; observed cells as they are.
        error: `[N, C]`, the Monte Carlo error of each filled cell in the user's units, of a
            category that of its probability; NaN where a cell was observed.
        sd: `[N, C]`, the standard deviation of x_j given what was observed, in the user's units;
            of a category the probability that it is another. NaN where a cell was observed.
        khat: `[N]`, Pareto k-hat of each row's weights; NaN where it has no holes.
        reliable: `[N]`, whether it is at most its threshold, or nothing had to be filled.

    >>> from elbax.tables.table import table_of
    >>> table = table_of({"a": [1.5, 2.5, np.nan], "b": [0.5, 1.5, 3.5]})
    >>> filled, unknown = np.nan_to_num(table.values), np.full((3, 2), np.nan)
    >>> found = Imputed(table, filled, unknown, unknown, np.zeros(3), np.ones(3, bool))
    >>> found.columns()["a"].tolist()
    [1.5, 2.5, 2.0]
    """

    table: Table
    values: Float[np.ndarray, "n c"]
    error: Float[np.ndarray, "n c"]
    sd: Float[np.ndarray, "n c"]
    khat: Float[np.ndarray, " n"]
    reliable: np.ndarray

    def __repr__(self) -> str:
        """How many cells, rather than the cells."""
        holes = int((~self.table.mask).sum())
        return f"Imputed({holes} cells, {int((~self.reliable).sum())} rows unreliable)"

    def columns(self) -> dict[str, np.ndarray]:
        """The whole table by column in the user's units and kinds."""
        return self.table.columns(self.values)


@dataclass(frozen=True, eq=False)
class Imputations:
    """A table with its holes filled m times, each a draw of what they may have been.

    Attributes:
        table: as it came.
        values: `[m, N, C]` float64, as a model sees them; observed cells as they are.
        proper: whether each is of a model of its own, so that they differ by what the parameters
            may be too.
        reliable: `[N]`, whether the Pareto k-hat of a row's weights is at most its threshold under
            every model, or nothing had to be filled.

    >>> from elbax.tables.table import table_of
    >>> table = table_of({"a": [1.5, 2.5, np.nan], "b": [0.5, 1.5, 3.5]})
    >>> drawn = np.stack([np.nan_to_num(table.values, nan=u) for u in (0.0, 2.0)])
    >>> found = Imputations(table, drawn, proper=False, reliable=np.ones(3, bool))
    >>> [float(found.columns(index)["a"][2]) for index in range(len(found))]
    [2.0, 3.0]
    """

    table: Table
    values: Float[np.ndarray, "m n c"]
    proper: bool
    reliable: np.ndarray

    def __len__(self) -> int:
        """How many, m."""
        return len(self.values)

    def columns(self, index: int) -> dict[str, np.ndarray]:
        """One whole table by column in the user's units and kinds."""
        return self.table.columns(self.values[index])


def impute(
    model: Model | Sequence[Model],
    table: Table,
    *,
    statistic: str | float = "mean",
    num_samples: int = 1000,
    min_value: Limits = None,
    max_value: Limits = None,
    seed: int = 0,
) -> Imputed:
    r"""Fill every hole by a statistic of x_j given the row's observed cells.

    The mean is `sum_k w_k E[x_j | z_k] / sum_k w_k`, rounded where a column counts; a quantile is
    that of draws x_jk of p(x_j | z_k) under the same weights. Columns of categories take the most
    probable one, whatever the statistic. Beside a mean, `sd` is that of at most 1000 draws.

    Args:
        model: of tables with this schema; of several, such as a fleet trained on resamples of the
            rows, the mixture of what each says is taken, and `sd` includes what they differ by.
        table: rows, some cells missing.
        statistic: "mean", "median", "mode" (of counts, the most probable of the draws; of reals
            the mean), or a quantile in (0, 1).
        num_samples: K, at least 25.
        min_value: least value of a filled cell: a number for all columns of numbers, or numbers by
            name; None for none.
        max_value: likewise the largest.
        seed: of the draws, which are keyed by each row's content.

    Raises:
        InputError: a model of something else, or a statistic that is unknown.

    References: Mattei & Frellsen 2019 (arXiv 1812.02633), section 3.2, for single imputation; Owen
        2013, Monte Carlo theory, chapter 9.2, for the error of a self-normalized mean.

    >>> import elbax
    >>> import jax
    >>> table = elbax.table_of(np.array([[1.0, 2.1], [2.0, np.nan], [3.0, 3.9], [2.5, 3.2]]))
    >>> config = elbax.ModelConfig(hidden=(4,), latents=1).of_table(table.schema)
    >>> model = elbax.one_layer((2,), config, key=jax.random.key(0))
    >>> found = impute(model, table, num_samples=100)
    >>> found.columns()["x1"][[0, 2, 3]].tolist(), bool(np.isfinite(found.columns()["x1"][1]))
    ([2.1, 3.9, 3.2], True)
    """
    quantile = _quantile(statistic)
    models = list(model) if isinstance(model, Sequence) else [model]
    if not models:
        raise InputError("expected a model, or several; got none.")
    x, *_ = (_checked(one, table, num_samples) for one in models)
    words = words_of(x)
    lowest, highest = limits_of(table.schema, min_value), limits_of(table.schema, max_value)
    values = table.values.astype(np.float64)
    error, sd = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    khat = np.full(len(x), np.nan)
    holed = np.flatnonzero(~table.mask.all(axis=1))
    num_drawn = min(num_samples, _DRAWN) if statistic == "mean" else num_samples
    draws = (
        draws_of(one, x, words, holed, num_samples, (0, num_drawn), (seed, member))
        for member, one in enumerate(models)
    )
    for parts in zip(*draws, strict=True):
        rows, found = parts[0][0], mixture([one for _, one in parts])
        khat[rows] = found["khat"]
        filled = filled_cells(table.schema, found, statistic, quantile, lowest, highest)
        holes = ~table.mask[rows]
        for target, part in zip((values, error, sd), filled, strict=True):
            target[rows] = np.where(holes, part, target[rows])
    reliable = table.mask.all(axis=1) | (khat <= khat_threshold(num_samples))
    return Imputed(table, values, error, sd, khat, reliable)


def multiple_imputations(
    models: Model | Sequence[Model],
    table: Table,
    num_imputations: int | None = None,
    *,
    num_samples: int = 1000,
    min_value: Limits = None,
    max_value: Limits = None,
    seed: int = 0,
) -> Imputations:
    """Draw what the missing cells may have been, m times.

    A latent is resampled by its weight (systematic resampling), and x is then drawn *afresh* from
    p(x | z). Of several models, such as those of a fleet trained on bootstrap resamples
    (`TrainConfig(bootstrap=True)`, a seed each), each gives one table: then the imputations are
    proper, they differ by what the parameters may be too, and intervals pooled from them
    (`elbax.pool`) hold what they promise. Those of one model are too sure of themselves.

    Args:
        models: one, or one for each imputation.
        table: rows, some cells missing.
        num_imputations: m, of a single model; 5 if omitted.
        num_samples: K, of which each latent is resampled.
        min_value: see `impute`.
        max_value: see `impute`.
        seed: of the draws. Equal rows draw apart from each other.

    Raises:
        InputError: a model of something else, or a number that does not fit the models.

    References: Mattei & Frellsen 2019, section 3.2 (sampling importance resampling); Little and
        Rubin 2019, Statistical Analysis with Missing Data, chapter 10, for the bootstrap.

    >>> import elbax
    >>> import jax
    >>> table = elbax.table_of(np.array([[1.0, 2.1], [2.0, np.nan], [3.0, 3.9], [2.5, 3.2]]))
    >>> config = elbax.ModelConfig(hidden=(4,), latents=1).of_table(table.schema)
    >>> model = elbax.one_layer((2,), config, key=jax.random.key(0))
    >>> multiple_imputations(model, table, 3, num_samples=100).values.shape
    (3, 4, 2)
    """
    proper = isinstance(models, Sequence)
    members: list[Model] = list(models) if isinstance(models, Sequence) else [models]
    if proper and num_imputations not in (None, len(members)):
        raise InputError(
            f"expected one model, or one for each of {num_imputations} imputations; got "
            f"{len(members)}."
        )
    count = 1 if proper else check_count("num_imputations", num_imputations or 5)
    lowest, highest = limits_of(table.schema, min_value), limits_of(table.schema, max_value)
    values, reliable = [], np.ones(len(table), bool)
    for member, model in enumerate(members):
        x = _checked(model, table, num_samples)
        words = words_of(x, apart=True)
        filled = np.repeat(table.values[None].astype(np.float64), count, axis=0)
        holed = np.flatnonzero(~table.mask.all(axis=1))
        for rows, found in draws_of(
            model, x, words, holed, num_samples, (count, 0), (seed, member)
        ):
            fresh = clipped(np.moveaxis(found["fresh"].astype(np.float64), 1, 0), lowest, highest)
            filled[:, rows] = np.where(table.mask[rows], filled[:, rows], fresh)
            reliable[rows] &= found["khat"] <= khat_threshold(num_samples)
        values.append(filled)
    return Imputations(table, np.concatenate(values), proper, reliable)


def _quantile(statistic: str | float) -> float | None:
    if isinstance(statistic, str):
        if statistic in STATISTICS:
            return 0.5 if statistic == "median" else None
    elif 0 < statistic < 1:
        return float(statistic)
    raise InputError(
        f"expected a statistic among {', '.join(STATISTICS)} or a quantile in (0, 1); got "
        f"{statistic!r}."
    )


def _checked(model: Model, table: Table, num_samples: int) -> np.ndarray:
    check_count("num_samples", num_samples, 25, _MOST_SAMPLES + 1)
    return checked_table(model, table)
