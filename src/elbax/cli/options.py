"""Every command's options, one sentence each. Free of JAX, so that `--help` is instant."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

import tyro

from elbax._checks import check_count, check_real
from elbax._errors import InputError
from elbax.models.config import PRESETS
from elbax.training.config import TrainConfig

_Folder = tyro.conf.Positional[str]


_SEEDS = ("seed", "seeds", "data_seed")  # any number that 32 bits hold
_MAY_BE_ZERO = ("num_valid",)
# Where no number at all has a meaning of its own: a linear map, or what is usual.
_MAY_BE_EMPTY = ("hidden", "channels", "hidden_above", "learning_rates")


class _Checked:
    """Options whose numbers are refused where nothing could be done with them.

    Counts are at least 1 and fit int32, seeds fit 32 bits, real numbers fit float32.
    """

    def __post_init__(self) -> None:
        """Look at every number, before anything is imported, allocated or written."""
        for option in fields(self):  # type: ignore[arg-type]
            value = getattr(self, option.name)
            flag = f"--{option.name.replace('_', '-')}"
            if value == () and option.default != () and option.name not in _MAY_BE_EMPTY:
                raise InputError(f"expected one number or more after {flag}; got none.")
            for one in value if isinstance(value, tuple) else (value,):
                _check(option.name, flag, one)


def _check(name: str, flag: str, value: Any) -> None:
    if isinstance(value, float):
        check_real(flag, value)
    if isinstance(value, bool) or not isinstance(value, int):
        return
    if name in _SEEDS:
        check_count(flag, value, 0, 2**32)
    else:
        check_count(flag, value, 0 if name in _MAY_BE_ZERO else 1)


@dataclass(frozen=True)
class DataOptions(_Checked):
    """Which data, and how they become 0 and 1."""

    data: str = "digits"
    """Data set: a name that `elbax data list` shows, or the path of an .npy, an .npz or a folder
    of images."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    binarise: Literal["dynamic", "fixed", "threshold", "none"] | None = None
    """How grey levels become 0 and 1: drawn afresh per minibatch, drawn once, cut at one half, or
    not at all; none given takes what is usual for the data set and the likelihood."""
    levels: float | None = None
    """Value of your own data that means intensity 1, such as 255 or 16; none given takes 255 for
    images of whole numbers 0 to 255, else 1."""
    data_seed: int = 0
    """Seed of the fixed binarisation, and of the test split of your own data."""
    num_valid: int = 0
    """How many training data to hold out for the learning curves, instead of the test data."""


@dataclass(frozen=True)
class ModelOptions(_Checked):
    """The model: one stochastic layer or several, of continuous or discrete latents."""

    model: str = "reference"
    """Preset: reference is D-200-200-50 (Burda et al. 2015), small D-100-20 for the digits, larger
    D-400-400-20, two-layer D-200-200-100 and 100-100-100-50 (Burda et al.), small-two-layer
    D-100-20 and 20-50-10; conv has two convolutions of stride 2, for images; sbn, sbn-2 and sbn-3
    are sigmoid belief networks with one to three layers of 200 Bernoulli units. Or a model of your
    own as module:function, from the current directory: a function of a random key, and of
    event_shape if it has an argument of that name, to an elbax.Model."""
    hidden: tuple[int, ...] | None = None
    """Sizes of the hidden layers between data and latents, in place of the preset's."""
    channels: tuple[int, ...] | None = None
    """Channels of the convolutions next to the data, in place of the preset's."""
    activation: Literal["tanh", "relu", "leaky-relu", "elu", "gelu", "softplus"] | None = None
    """What follows every hidden layer, in place of the preset's."""
    latents: tuple[int, ...] | None = None
    """Number of latent variables of each stochastic layer, nearest to the data first, in place of
    the preset's."""
    hidden_above: tuple[int, ...] | None = None
    """Sizes of the hidden layers between two stochastic layers, in place of the preset's."""
    latent: Literal["normal", "bernoulli", "categorical"] | None = None
    """Distribution of the latents, in place of the preset's. Discrete ones need a --gradient
    without a path, such as vimco."""
    categories: int = 10
    """Categories of a categorical latent."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """Distribution of the data given the latents."""
    scale: Literal["exp", "softplus"] = "exp"
    """How a standard deviation is made positive."""
    scale_floor: float = PRESETS["reference"].scale_floor
    """Smallest standard deviation."""
    output_bias: bool = True
    """Start the decoder's output at the mean of the training data."""
    standardize: bool = True
    """With a gaussian likelihood, let the networks work in units of the training data's standard
    deviation."""


@dataclass(frozen=True)
class RunOptions(_Checked):
    """Where the runs are kept, and how they are run."""

    out: str | None = None
    """Folder for config.json, metrics.jsonl, checkpoints and results; none given makes
    runs/DATE-METHOD and the link runs/latest to it, and with --resume takes runs/latest."""
    resume: bool = False
    """Go on with the runs that the folder holds, bit for bit."""
    overwrite: bool = False
    """Begin again where the folder holds runs; they are lost."""
    monitor_every: int = 1
    """Epochs between two looks at held-out data for the learning curves."""
    snr_every: int | None = None
    """Epochs between two measurements of every run's gradient SNR, from 64 draws on 20 data; none
    given measures none."""
    fleet_map: Literal["auto", "sequential", "vmap"] = "auto"
    """How runs share the machine: one by one, batched, or whichever suits it."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class EvaluateOptions(_Checked):
    """What is computed on the test data."""

    ks: tuple[int, ...] = (1, 64, 5000)
    """Sample counts of the bounds, all from the same samples; the largest gives log p-hat."""
    num_data: int | None = None
    """Evaluate on this many test data, from the first; none given takes all."""
    seed: int = 0
    """Seed of the test data's binarisation and of the samples."""


@dataclass(frozen=True)
class Train(_Checked):
    """Train one method, with one or more seeds, and keep the runs in a folder.

    Example: elbax train --data mnist --method iwae --k 64 --out runs/iwae
    """

    method: str = "iwae"
    """Method: vae, iwae, miwae, piwae, ciwae, renyi, jvi, tvo or rws, alone or as `elbax compare`
    takes it, with its numbers: "piwae(8,8)"."""
    m: int | None = None
    """Groups of samples per datum (vae, miwae, piwae)."""
    k: int | None = None
    """Samples per group (all but vae)."""
    beta: str | None = None
    """Weight of the ELBO in ciwae, from 0 (IWAE) to 1 (ELBO); start:end:epochs goes linearly."""
    learn: Literal["noise", "ascend", "descend"] | None = None
    """Learn ciwae's beta from the start given by --beta: lower the gradient's noise, or go up or
    down the bound (which ends at 0 or 1)."""
    alpha: str | None = None
    """Order of renyi, from 0 (IWAE) to 1 (ELBO); start:end:epochs goes linearly."""
    knots: str | None = None
    """Left ends of tvo's intervals, such as 0:0.1:0.3."""
    gradient: str | None = None
    """Gradient rule of the inference network: reparam, stl, dreg, gdreg; for discrete latents too:
    score, vimco, vimco-centered, vimco-geometric, nvil, ovis (ovis:0.5 sets gamma), wake, sleep,
    wake-sleep; for reparameterized ones wake-dreg."""
    warmup: float | None = None
    """Epochs over which the weight of the KL term rises from 0 to 1."""
    alpha_warmup: float | None = None
    """Epochs over which a Renyi bound's alpha falls from 1 (the ELBO) to 0 (the bound itself)."""
    seeds: tuple[int, ...] = (0,)
    """Seeds, one run each."""
    start: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Folder of runs to start from, each seed from its own: their parameters, with a new Adam and
    schedule. Data and model are theirs too where the options leave them at their defaults."""
    start_run: Annotated[str | None, tyro.conf.arg(name="from-run")] = None
    """Name of the one run of that folder to start from."""
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True)
class Compare(_Checked):
    """Train several methods with several seeds, evaluate them, print the table.

    Example: elbax compare --methods "vae(64)" "iwae(64)" "miwae(8,8)" --seeds 0 1 2
    """

    methods: tuple[str, ...] = (
        "vae(m=64)",
        "iwae(k=64)",
        "miwae(m=8, k=8)",
        "piwae(m=8, k=8)",
        "ciwae(k=64, beta=0.5)",
    )
    """Methods with their numbers, such as "piwae(8,8)" or "iwae(k=64, gradient=dreg)"; all must
    draw equally many samples."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds, one run per method, learning rate and seed."""
    learning_rates: tuple[float, ...] = ()
    """First learning rates to compare; none given takes --learning-rate alone."""
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateOptions = field(default_factory=EvaluateOptions)
    run: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True)
class Evaluate(_Checked):
    """Evaluate the runs of a folder on the test data, and write the report.

    Example: elbax evaluate runs/iwae --ks 1 64 5000
    """

    folder: _Folder
    """Folder that `elbax train` or `elbax compare` wrote."""
    evaluate: EvaluateOptions = field(default_factory=EvaluateOptions)
    against: str | None = None
    """Another run folder on the same data: compare the first run of each, datum by datum."""
    active_units: bool = False
    """Also prune the inactive units of every run, and say what that changes in log p-hat."""
    own: Annotated[str | None, tyro.conf.arg(name="model")] = None
    """For runs with a model of your own: the function that builds it, as module:function. A folder
    does not say by itself what code to run."""
    data: str | None = None
    """Path or name of the data, where they have moved, or of other data to look at; none given
    takes those in config.json."""
    split: Literal["test", "train", "valid"] = "test"
    """Which part of the data."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class Sample(_Checked):
    """Look at what a trained run has learned: images as a PNG, or an .npy array.

    Example: elbax sample runs/iwae --what posterior --out posterior.png
    """

    folder: _Folder
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
    own: Annotated[str | None, tyro.conf.arg(name="model")] = None
    """For runs with a model of your own: the function that builds it, as module:function. A folder
    does not say by itself what code to run."""
    seed: int = 0
    """Seed of the draws and of the test data's binarisation."""
    data: str | None = None
    """Path or name of the data, where they have moved, or of other data to look at; none given
    takes those in config.json."""
    split: Literal["test", "train", "valid"] = "test"
    """Which part of the data."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    out: str = "samples.png"
    """File to write: .png for images, .npy for the arrays."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class Snr(_Checked):
    """Measure signal-to-noise ratios of gradients: of a toy, or of a trained run.

    For toy: the slope of every method's SNR against theory, in about a minute.

    For a folder: SNR by network and layer, histograms of gradients, ESS of runs.

    Example: elbax snr toy
    """

    what: _Folder
    """toy, or a folder that `elbax train` or `elbax compare` wrote."""
    out: str | None = None
    """Folder for snr.json and figures; none given takes runs/snr-toy, or the run folder itself."""
    run: str | None = None
    """Name of the run whose gradients are drawn; none given takes the first."""
    sizes: tuple[int, ...] = (4, 16, 64, 256)
    """Samples per datum, multiples of 4."""
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
    """Samples per datum for the ESS of a run."""
    own: Annotated[str | None, tyro.conf.arg(name="model")] = None
    """For runs with a model of your own: the function that builds it, as module:function. A folder
    does not say by itself what code to run."""
    seed: int = 0
    """Seed of data, minibatch and draws."""
    data: str | None = None
    """Path or name of the data, where they have moved, or of other data to look at; none given
    takes those in config.json."""
    split: Literal["test", "train", "valid"] = "test"
    """Which part of the data."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class DataList:
    """List the data sets that elbax knows by name."""

    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class DataInfo:
    """Load a data set and say what is in it: splits, shapes, licence, source."""

    name: _Folder
    """A name that `elbax data list` shows, or the path of an .npy, .npz or folder of images."""
    levels: float | None = None
    """Value of your own data that means intensity 1."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class DataFetch:
    """Download a data set into the cache, its hashes checked."""

    name: _Folder
    """A name that `elbax data list` shows."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class Reproduce(_Checked):
    """Reproduce a table or figure of a paper: train, test its claims, write a page.

    What is trained already is not trained again, whichever study asked for it.

    An interrupted study goes on where it stopped. list lists, all does every one.

    Example: elbax reproduce table1 --preset quick
    """

    study: _Folder
    """A study that `elbax reproduce list` shows, list, or all."""
    preset: Literal["quick", "standard", "paper"] = "quick"
    """quick: embedded digits, minutes. standard: MNIST and Omniglot, within about an hour. paper:
    the full protocol, for large machines."""
    data: tuple[str, ...] = ()
    """Data sets, in place of the preset's."""
    size: Literal["reference", "larger", "small"] | None = None
    """The one-layer model of studies that do not say otherwise, in place of the preset's: small
    for the digits, else reference."""
    epochs: int | None = None
    """Epochs of training, in place of the preset's."""
    seeds: tuple[int, ...] = ()
    """Seeds, in place of the preset's."""
    num_data: int | None = None
    """Evaluate on this many test data, in place of the preset's."""
    out: str = "runs/reproduce"
    """Folder of the runs, and of one folder with study.json, figures and page per study."""
    dry_run: bool = False
    """Only say what would be trained, and about how long it would take here."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class Report:
    """Write the page and the figures of folders again, a chapter for each folder.

    Example: elbax report runs/latest runs/reproduce/table1 --out runs/page
    """

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Folders that `elbax evaluate`, `elbax compare` or `elbax reproduce` wrote results into."""
    out: str | None = None
    """Folder of the page; none given takes the first of the folders."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class Export(_Checked):
    """Write what an evaluation found of every datum, and the comparison, for other programs.

    One row per run and test datum: bounds, ESS, SSIM of images, posterior means z1_1, z1_2, .. (the
    first number is the layer). Evaluate first.

    Example: elbax export runs/latest --out values.csv --table table.tex
    """

    folder: _Folder
    """Folder that `elbax evaluate` or `elbax compare` wrote results into."""
    out: str | None = None
    """File of the values of every datum: .csv, or .npz for arrays. None given and no --table writes
    per_datum.csv into the folder."""
    table: str | None = None
    """File of the comparison: .csv for one row per method and metric in full precision, .md or .tex
    for the table as printed."""
    latents: bool = True
    """Put the posterior means in; without them, neither model nor data are needed."""
    own: Annotated[str | None, tyro.conf.arg(name="model")] = None
    """For runs with a model of your own: the function that builds it, as module:function. A folder
    does not say by itself what code to run."""
    data_dir: str | None = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    json: bool = False
    """Print one JSON object on stdout instead of text."""


@dataclass(frozen=True)
class Data:
    """Known data sets: `elbax data list`, `elbax data info NAME`, `elbax data fetch NAME`."""


# The commands in the order of `elbax --help`; those of `elbax data` have a level of their own.
COMMANDS = {
    "train": Train,
    "compare": Compare,
    "evaluate": Evaluate,
    "sample": Sample,
    "snr": Snr,
    "reproduce": Reproduce,
    "report": Report,
    "export": Export,
    "data": Data,
}
DATA_COMMANDS = {"list": DataList, "info": DataInfo, "fetch": DataFetch}
