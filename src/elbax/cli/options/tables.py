"""The options of `elbax score`, `elbax impute` and `elbax data describe`."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from elbax.cli.options.shared import Checked, MaybeFolder, Missing, OutputOptions

_Types = Annotated[str | None, tyro.conf.arg(metavar="NAME=KIND,..")]


@dataclass(frozen=True, kw_only=True)
class CellOptions(Checked):
    """The table: .csv, .tsv, .txt or .parquet; empty, NA, NaN, null and ? are missing cells."""

    header: Literal["yes", "no"] | None = None
    """Whether the first line of a table in text names its columns; none given tells by its looks.
    Without names the columns are x0, x1, .."""


@dataclass(frozen=True)
class DataDescribe(CellOptions, OutputOptions):
    """Say what each column of a table is, and why, before anything is trained on it.

    Example: elbax data describe data.csv --types age=count,id=ignore
    """

    FIRST = ("data", "types")

    data: tyro.conf.Positional[str]
    """The table."""
    types: _Types = None
    """Kinds of columns: real (gaussian, student), binary, categorical, count (poisson,
    negative-binomial), positive (log-normal), ignore or auto, which decides by the cells."""


@dataclass(frozen=True)
class Score(CellOptions, OutputOptions):
    """Score every row of a table by log p-hat, with its error and whether to trust it.

    One row per row: score (nats), se (its Monte Carlo error), khat, ess, reliable, p_value.

    Example: elbax score data.csv --model runs/a --out scores.csv
    """

    FIRST = ("data", "model", "out", "p_draws")
    REST = "The samples"

    data: tyro.conf.Positional[str]
    """The table, with the columns that the runs were trained on."""
    model: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = "runs/latest"
    """Folder that `elbax train` wrote."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = "scores.csv"
    """File to write: .csv or .parquet."""
    run: str | None = None
    """Name of the run, as in config.json; none given takes the first."""
    unseen: Literal["error", "missing"] = "error"
    """What a category is that the model never saw."""
    k: int = 1000
    """Samples of every row."""
    most_k: int | None = None
    """Samples, at most, of a row that cannot be trusted yet; none given takes 16 times k."""
    largest_error: float = 0.1
    """Monte Carlo error, in nats, down to which rows are sampled on."""
    p_draws: int = 99
    """Draws of the model for each pattern of holes that p-values come from."""
    p_samples: int = 100
    """Samples of each of those draws."""
    seed: int = 0
    """Seed of all draws."""
    overwrite: bool = False
    """Write over a file that is there."""


@dataclass(frozen=True)
class Impute(CellOptions, OutputOptions):
    """Fill the holes of a table, once or several times.

    Several times each is a draw of what the cells may have been, in one long table with a column
    `imputation` from 1. Without --model, models are trained on the table itself, for several
    imputations each on a resample of it: these are proper, differing by the parameters too.

    Example: elbax impute data.csv --out filled.parquet --multiple 5
    """

    FIRST = ("data", "out", "multiple", "types", "model")
    REST = "The training, and the draws"

    data: tyro.conf.Positional[str]
    """The table."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = "filled.csv"
    """File to write: .csv or .parquet."""
    multiple: int | None = None
    """How many imputations; none given fills every hole once, by --statistic."""
    types: _Types = None
    """Kinds of columns: real (gaussian, student), binary, categorical, count (poisson,
    negative-binomial), positive (log-normal), ignore or auto, which decides by the cells."""
    model: MaybeFolder = None
    """Folder that `elbax train` wrote, in place of training: its first run, or one run for each
    imputation where they were trained with --bootstrap and are that many or more."""
    statistic: str = "mean"
    """What fills a hole once: mean, median, mode or a quantile such as 0.9; a category is the most
    probable one."""
    min_value: float | None = None
    """Least value of a filled cell of numbers."""
    max_value: float | None = None
    """Largest value of a filled cell of numbers."""
    unseen: Literal["error", "missing"] = "error"
    """What a category is that the model of --model never saw."""
    method: str = "iwae(k=20, gradient=dreg)"
    """Method that models are trained by."""
    missing: Missing = "random"
    """Why cells are missing: random given what was observed, by their own value (self-masking), or
    by the whole row (linear, nonlinear); -above or -below after self-masking or linear where it is
    known that large or small values go missing."""
    epochs: int | None = None
    """Passes over the table; none given takes as many as rows that a first training leaves out can
    bear, 200 at most."""
    k: int = 1000
    """Samples of every row with holes."""
    seed: int = 0
    """First seed of the models, and that of the draws."""
    overwrite: bool = False
    """Write over a file that is there."""
