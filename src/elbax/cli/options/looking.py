"""The options of the commands that look at trained runs, from evaluate to export."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from elbax.cli.options.shared import (
    CheckOptions,
    DataDirOptions,
    DeviceOptions,
    EvaluateOptions,
    LookedAtOptions,
    MaybeFile,
    MaybeFolder,
    OutputOptions,
    OwnModelOptions,
    ProcessOptions,
)


@dataclass(frozen=True)
class Evaluate(OwnModelOptions, LookedAtOptions, ProcessOptions, DeviceOptions, OutputOptions):
    """Evaluate the runs of a folder on the test data, and write the report.

    Example: elbax evaluate runs/iwae --ks 1 64 5000
    """

    FIRST = ("folder", "ks", "num_data", "against", "active_units")

    folder: tyro.conf.Positional[str]
    """Folder that `elbax train` or `elbax compare` wrote."""
    evaluate: EvaluateOptions = field(default_factory=EvaluateOptions)
    check: CheckOptions = field(default_factory=CheckOptions)
    against: MaybeFolder = None
    """Another run folder on the same data: compare the first run of each, datum by datum (a datum
    is one image or row)."""
    active_units: bool = False
    """Also prune the inactive units of every run, and say what that changes in log p-hat. A unit
    is active if its posterior mean varies over the data."""


@dataclass(frozen=True)
class Sample(OwnModelOptions, LookedAtOptions, OutputOptions):
    """Look at what a trained run has learned: images as a PNG, an .npy array, rows as a table.

    Example: elbax sample runs/iwae --what posterior --out posterior.png
    """

    FIRST = ("folder", "what", "num", "run", "out")
    REST = "The draws"

    folder: tyro.conf.Positional[str]
    """Folder that `elbax train` or `elbax compare` wrote."""
    run: str | None = None
    """Name of the run, as in config.json; none given takes the first."""
    what: Literal["prior", "draws", "manifold", "interpolation", "posterior", "weights"] = "prior"
    """prior: means of x for ancestral draws through all layers. draws: x itself, drawn. manifold: a
    grid over two latents, even in probability. interpolation: lines between the posterior means of
    pairs of test data. posterior: test data beside means for draws of q(z|x), plain and resampled
    by importance weight. weights: those of the first and of the last layer."""
    num: int | None = None
    """How many draws, rows, or hidden units; none given takes 64 draws, 20 x 20 latents, 8 lines,
    8 data or 40 hidden units."""
    k: int = 50
    """Draws of q(z|x) that a resampled latent is chosen from."""
    seed: int = 0
    """Seed of the draws and of the test data's binarisation."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = "samples.png"
    """File to write: .png for images, .npy for the arrays; of a table .csv, .tsv or .parquet, rows
    in its own units, counts whole and categories by name."""


@dataclass(frozen=True)
class Snr(OwnModelOptions, LookedAtOptions, DeviceOptions, OutputOptions):
    """Measure signal-to-noise ratios of gradients: of a toy, or of a trained run.

    For toy: the slope of every method's SNR against theory, in a minute or a few.

    For a folder: SNR by network and layer, histograms of gradients, ESS of runs.

    Example: elbax snr toy
    """

    FIRST = ("what", "sizes", "num_draws", "run", "out")
    REST = "The gradients"

    what: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="toy|FOLDER")]]
    """toy, or a folder that `elbax train` or `elbax compare` wrote."""
    out: MaybeFolder = None
    """Folder for snr.json and figures; none given takes runs/snr-toy, or the run folder itself."""
    run: str | None = None
    """Name of the run whose gradients are drawn; none given takes the first."""
    sizes: tuple[int, ...] = (4, 16, 64, 256)
    """Samples per datum (one image or row), multiples of 4."""
    num_draws: int | None = None
    """Draws of the gradient up to 64 samples, fewer above; none given takes 8000 for the toy and
    512 for a run."""
    num_data: int | None = None
    """Data of the fixed minibatch; none given takes 16 for the toy and 10 for a run."""
    num_dimensions: int = 20
    """Dimensions of the toy."""
    offset: float = 0.01
    """Displacement of the toy's parameters from the optimum; 0.01 is near it."""
    ess_samples: int = 5000
    """Samples per datum for the ESS (effective sample size) of a run."""
    seed: int = 0
    """Seed of data, minibatch and draws."""


@dataclass(frozen=True)
class Report(OutputOptions):
    """Write the page and the figures of folders again, a chapter for each folder.

    Example: elbax report runs/latest runs/reproduce/table1 --out runs/page
    """

    FIRST = ("folders", "out")

    folders: tyro.conf.Positional[
        Annotated[tuple[str, ...], tyro.conf.arg(metavar="FOLDER ...")]
    ] = ()
    """Folders that `elbax evaluate`, `elbax compare` or `elbax reproduce` wrote results into."""
    out: MaybeFolder = None
    """Folder of the page; none given takes the first of the folders."""


@dataclass(frozen=True)
class Plot(OutputOptions):
    """Draw one metric against epoch, the runs of several folders on the same axes.

    Runs that are still training, or were never evaluated, are drawn as far as they are.

    Example: elbax plot runs/iwae runs/piwae --metric iwae_64 --out curves.png
    """

    FIRST = ("folders", "metric", "out")

    folders: tyro.conf.Positional[
        Annotated[tuple[str, ...], tyro.conf.arg(metavar="FOLDER ...")]
    ] = ()
    """Folders that `elbax train` or `elbax compare` wrote."""
    metric: Annotated[str, tyro.conf.arg(metavar="NAME")] = "bound"
    """A metric of metrics.jsonl: bound, iwae_64 (held-out IWAE-64), ess, learning_rate, .."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = "curves.png"
    """File of the figure: .png or .svg; the numbers lie beside it as .json."""


@dataclass(frozen=True)
class Export(OwnModelOptions, DataDirOptions, OutputOptions):
    """Write what an evaluation found of every datum, and the comparison, for other programs.

    One row per run and test datum (image or row): bounds, ESS, SSIM of images, posterior means
    z1_1, z1_2, .. (the first number is the layer). Evaluate first.

    Example: elbax export runs/latest --out values.csv --table table.tex
    """

    FIRST = ("folder", "out", "table", "latents")

    folder: tyro.conf.Positional[str]
    """Folder that `elbax evaluate` or `elbax compare` wrote results into."""
    out: MaybeFile = None
    """File of the values of every datum: .csv, or .npz for arrays. None given and no --table writes
    per_datum.csv into the folder."""
    table: MaybeFile = None
    """File of the comparison: .csv for one row per method and metric in full precision, .md or .tex
    for the table as printed."""
    latents: bool = True
    """Put the posterior means in; without them, neither model nor data are needed."""
