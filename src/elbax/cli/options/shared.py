"""Options that several commands share; a class is a group of `--help`, under its docstring."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

import tyro

from elbax._checks import check_count, check_real
from elbax._errors import InputError
from elbax.cli.described import options_of
from elbax.models.config import PRESETS
from elbax.sinks.known import names_in

# What stands for a value in `--help`, where a type alone would not say it.
MaybeData = Annotated[str | None, tyro.conf.arg(metavar="NAME|PATH")]
MaybeFolder = Annotated[str | None, tyro.conf.arg(metavar="FOLDER")]
Likelihood = Literal["bernoulli", "discretised-logistic", "continuous-bernoulli", "gaussian"]
Missing = Annotated[
    Literal[
        "random",
        "self-masking",
        "self-masking-above",
        "self-masking-below",
        "linear",
        "linear-above",
        "linear-below",
        "nonlinear",
    ],
    tyro.conf.arg(metavar="WHY"),
]
MaybeFile = Annotated[str | None, tyro.conf.arg(metavar="FILE")]

AUTO = "auto"  # a scheduler says which processes there are

_SEEDS = ("seed", "seeds", "data_seed", "sampler_seed")  # any number that 32 bits hold
_MAY_BE_ZERO = ("num_valid", "process_id", "p_draws")
# Where no number at all has a meaning of its own: a linear map, or what is usual.
_MAY_BE_EMPTY = ("hidden", "channels", "hidden_above", "learning_rates")


class Checked:
    """Options whose numbers are refused where nothing could be done with them.

    Counts are at least 1 and fit int32, seeds fit 32 bits, real numbers fit float32.

    Attributes:
        FIRST: the options that `--help` shows before all others.
        REST: the heading of those that no group of their own holds.
    """

    # Without an annotation: old releases of tyro take what has one for an option.
    FIRST = tuple[str, ...]()
    REST = "More"

    def __post_init__(self) -> None:
        """Look at every number, before anything is imported, allocated or written."""
        for option in fields(self):  # type: ignore[arg-type]
            value = getattr(self, option.name)
            flag = f"--{option.name.replace('_', '-')}"
            if value == () and option.default != () and option.name not in _MAY_BE_EMPTY:
                raise InputError(
                    f"expected one value or more for {self._typed(option.name)}; got none."
                )
            if isinstance(value, str) and not value.strip():
                raise InputError(
                    f"expected a text for {self._typed(option.name)}; got an empty one."
                )
            for one in value if isinstance(value, tuple) else (value,):
                _check(option.name, flag, one)

    def _typed(self, name: str) -> str:
        """An option as it is typed."""
        found = next(option for option in options_of(type(self)) if option.name == name)
        return found.flag or found.value


def said_yes(said: str | None) -> bool | None:
    """What an option of yes and no says: one of them, or nothing.

    >>> said_yes("no"), said_yes(None)
    (False, None)
    """
    return None if said is None else said == "yes"


def _check(name: str, flag: str, value: Any) -> None:
    if isinstance(value, float):
        check_real(flag, value)
    if isinstance(value, bool) or not isinstance(value, int):
        return
    if name in _SEEDS:
        check_count(flag, value, 0, 2**32)
    else:
        check_count(flag, value, 0 if name in _MAY_BE_ZERO else 1)


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Checked):
    """Output."""

    json: bool = False
    """Print one JSON object on stdout instead of text; progress stays on stderr."""


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Checked):
    """The machine."""

    devices: int | None = None
    """Use this many GPUs (or other devices that JAX has), from the first; none given takes all."""


@dataclass(frozen=True, kw_only=True)
class ProcessOptions(Checked):
    """Several processes, which share the test data; the first of them writes."""

    coordinator: Annotated[str | None, tyro.conf.arg(metavar="auto|HOST:PORT")] = None
    """Where the processes meet: auto under SLURM or Open MPI, else an address and a free port of
    the first one's host; none given is one process."""
    num_processes: int | None = None
    """How many there are; known under SLURM."""
    process_id: int | None = None
    """Which one this is, from 0; known under SLURM."""

    def __post_init__(self) -> None:
        """See that all is said which auto does not find."""
        super().__post_init__()
        where, given = self.coordinator, (self.num_processes, self.process_id)
        if where is None and given != (None, None):
            raise InputError("expected --coordinator with --num-processes and --process-id.")
        if where is None or where == AUTO:
            return
        host, _, port = where.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 2**16):
            raise InputError(
                f"expected --coordinator as auto or HOST:PORT, such as node1:12345; got '{where}'."
            )
        num, own = given
        if num is None or own is None or own >= num:
            raise InputError(
                f"expected --num-processes and a --process-id below it with --coordinator {where}; "
                f"got {num} and {own}."
            )


@dataclass(frozen=True, kw_only=True)
class DataDirOptions(Checked):
    """The data."""

    data_dir: MaybeFolder = None
    """Folder with the data sets' files; else the one in ELBAX_DATA, the cache, or a download."""
    offline: bool = False
    """Download nothing (or set ELBAX_OFFLINE=1): what is neither in a folder nor in the cache is an
    error at once."""


@dataclass(frozen=True, kw_only=True)
class DataOptions(DataDirOptions):
    """The data, and how they become 0 and 1."""

    data: Annotated[str, tyro.conf.arg(metavar="NAME|PATH")] = "digits"
    """Data set: a name that `elbax data list` shows, or the path of an .npy, an .npz, a folder of
    images, or a table with or without holes: .csv, .tsv, .txt or .parquet."""
    binarise: Literal["dynamic", "fixed", "threshold", "none"] | None = None
    """How grey levels become 0 and 1: drawn afresh per minibatch, drawn once, cut at one half, or
    not at all; none given takes what is usual for the data set and the likelihood (in colour: not
    at all)."""
    levels: float | None = None
    """Value of your own data that means intensity 1, such as 255 or 16; none given takes 255 for
    images of whole numbers 0 to 255, else 1."""
    data_seed: int = 0
    """Seed of the fixed binarisation, and of the test split of your own data."""
    types: Annotated[str | None, tyro.conf.arg(metavar="NAME=KIND,..")] = None
    """Kinds of a table's columns: real (gaussian, student), binary, categorical, count (poisson,
    negative-binomial), positive (log-normal), ignore or auto, which decides by the cells."""
    header: Literal["yes", "no"] | None = None
    """Whether the first line of a table in text names its columns; none given tells by its looks.
    Without names the columns are x0, x1, .."""
    colour: Literal["yes", "no"] | None = None
    """Whether the images of a folder are read in colour or as grey levels; none given takes colour
    where any of them has some."""
    num_valid: int = 0
    """How many training data to hold out for the learning curves, instead of the test data."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Checked):
    """The model: one stochastic layer or several, of continuous or discrete latents.

    Presets, layer by layer from the data D: reference is D-200-200-50 (Burda et al. 2015), small
    D-100-20 (for the digits), larger D-400-400-20, two-layer D-200-200-100 and 100-100-100-50
    (Burda et al.), small-two-layer D-100-20 and 20-50-10; conv has two convolutions of stride 2;
    table is D-128-128-128-10 (Mattei & Frellsen 2019);
    sbn, sbn-2 and sbn-3 are sigmoid belief networks of one to three layers of 200 Bernoulli units.

    A function of your own takes a random key, and event_shape if it has an argument of that name,
    to an elbax.Model; it is imported from the current directory.
    """

    model: str = "reference"
    """Preset: reference, small, larger, two-layer, small-two-layer, conv, table, sbn, sbn-2 or
    sbn-3; or a model of your own, as module:function."""
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
    likelihood: Likelihood | None = None
    """Distribution of the data given the latents: of 0/1 values bernoulli, of images in grey levels
    or in colour discretised-logistic (in bits per dimension too), of intensities in [0, 1]
    continuous-bernoulli, of any real data gaussian; none given takes the preset's, bernoulli. The
    columns of a table have one each, by their kinds."""
    scale: Literal["exp", "softplus"] | None = None
    """How a standard deviation is made positive; none given takes exp, but softplus where normal
    layers read each other by a linear map or an activation other than tanh."""
    scale_floor: float = PRESETS["reference"].scale_floor
    """Smallest standard deviation."""
    missing: Missing = "random"
    """Why cells of a table are missing: random given what was observed, by their own value
    (self-masking), or by the whole row (linear, nonlinear); -above or -below after self-masking or
    linear where it is known that large or small values go missing."""
    homoscedastic: bool = False
    """Give every real column of a table one learned scale, in place of one that depends on the
    latents."""
    initialization: Literal["glorot", "fan-in"] = "glorot"
    """Where the fully connected layers start: glorot, or fan-in as in PyTorch."""
    output_bias: bool = True
    """Start the decoder's output at the mean of the training data."""
    standardize: bool = True
    """With a gaussian likelihood, let the networks work in units of the training data's standard
    deviation."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(DeviceOptions, OutputOptions):
    """The runs: where they are kept, and how they share the machine."""

    out: MaybeFolder = None
    """Folder for config.json, metrics.jsonl, checkpoints and results; none given makes
    runs/DATE-METHOD and the link runs/latest to it, and with --resume takes runs/latest."""
    resume: bool = False
    """Go on with the runs that the folder holds, bit for bit."""
    overwrite: bool = False
    """Begin again where the folder holds runs; they are lost."""
    until: Annotated[int | None, tyro.conf.arg(metavar="EPOCH")] = None
    """Stop after this epoch of the schedule, with the runs saved; --resume takes them up again, to
    a later one or to the end, bit for bit."""
    monitor_every: int = 1
    """Epochs between two looks at held-out data for the learning curves."""
    snr_every: int | None = None
    """Epochs between two measurements of every run's gradient SNR, from 64 draws on 20 data; none
    given measures none."""
    log: Annotated[str | None, tyro.conf.arg(metavar="NAME,...")] = None
    """Where metrics, hyperparameters and pictures go too, beside metrics.jsonl: tensorboard, wandb,
    mlflow, trackio, or several, as in tensorboard,wandb. Each needs its extra, such as
    elbax[wandb]."""
    checkpoint_seconds: float = 30.0
    """Least time between two checkpoints, taken at the end of an epoch: about what a kill may cost;
    0 saves after every epoch. Ctrl-C saves at once."""
    fleet_map: Literal["auto", "sequential", "vmap"] = "auto"
    """How the runs of a fleet share the machine: one by one, batched (over all devices), or
    whichever suits it."""
    sample_chunk: int | None = None
    """Samples per datum that the networks see at a time, for more than memory holds; none given
    cuts them only where a step would hold more than about 1 GiB of them. Changes rounding alone."""

    def __post_init__(self) -> None:
        """Refuse what cannot be logged to, too."""
        super().__post_init__()
        if self.log is not None:
            names_in(self.log)


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(Checked):
    """The evaluation, on the test data."""

    ks: tuple[int, ...] = (1, 64, 5000)
    """Sample counts k of the bounds IWAE-k, all from the same samples. The largest gives log p-hat,
    the estimate of log p(x); gap_64 is IWAE-64 minus log p-hat."""
    num_data: int | None = None
    """Evaluate on this many test data, from the first; none given takes all."""
    seed: int = 0
    """Seed of the test data's binarisation and of the samples."""


@dataclass(frozen=True, kw_only=True)
class CheckOptions(Checked):
    """How far log p-hat can be trusted: other roads to log p(x), each slower."""

    ais: bool = False
    """Also estimate log p(x) by annealed importance sampling (AIS) from the encoder and, on up to
    100 data simulated from the model, enclose it from both sides (BDMC): whether so many samples
    suffice. Continuous latents."""
    ais_steps: int = 500
    """Annealing steps; more bring the two sides closer."""
    ais_chains: int = 16
    """Annealed chains per datum."""
    sumo: bool = False
    """Also estimate log p(x) without bias, by a series of bounds that is cut off at random (SUMO):
    no bound, and of heavy tails."""
    calibration: bool = False
    """Also rank the latents of 1000 data simulated from the model among draws of the encoder:
    whether q(z|x) is too narrow or too wide. Continuous latents."""


@dataclass(frozen=True, kw_only=True)
class OwnModelOptions(Checked):
    """The model of the runs."""

    own: Annotated[str | None, tyro.conf.arg(name="model")] = None
    """For runs with a model of your own: the function that builds it, as module:function. A folder
    does not say by itself what code to run."""


@dataclass(frozen=True, kw_only=True)
class LookedAtOptions(DataDirOptions):
    """The data: those of the runs, or others to look at."""

    data: MaybeData = None
    """Name or path of the data, where they have moved, or of other data to look at; none given
    takes those in config.json."""
    split: Literal["test", "train", "valid"] = "test"
    """Which part of the data."""
