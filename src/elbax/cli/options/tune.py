"""The options of `elbax tune`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from elbax.cli.options.launch import LaunchOptions
from elbax.cli.options.shared import Checked, DataOptions, ModelOptions, OutputOptions
from elbax.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class TuneDataOptions(DataOptions):
    """The data, and how they become 0 and 1."""

    num_valid: int = 0
    """How many training data to hold out for judging trials; 0 takes the validation data that the
    set has, else a tenth of the training data, at most 5000. Test data are never looked at."""


@dataclass(frozen=True, kw_only=True)
class JudgeOptions(Checked):
    """How trials are judged, and when they end early."""

    k: int = 64
    """Samples of the held-out bound IWAE-k, which the search makes large."""
    look_every: int = 1
    """Epochs between two looks at it."""
    pruner: Literal["median", "none"] = "median"
    """median ends a trial whose best is below the median of finished ones at the same epoch: of
    five or more, past a quarter of the epochs and past every warm-up. none ends none."""


@dataclass(frozen=True, kw_only=True)
class TuneRunOptions(OutputOptions):
    """The runs: where they are kept, and how they share the machine."""

    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = "runs/tune"
    """Folder of the search: its journal, the runs, tune.json and the page. The same command goes on
    with what is there; given by several processes at once, they share the work."""
    checkpoint_seconds: float = 30.0
    """Least time between two checkpoints, taken at the end of an epoch: about what a kill may cost;
    0 saves after every epoch. Ctrl-C saves at once."""
    fleet_map: Literal["auto", "sequential", "vmap"] = "auto"
    """How the runs of a fleet share the machine: one by one, batched, or whichever suits it."""


@dataclass(frozen=True)
class Tune(Checked):
    """Search for a good setting of a method: trials in fleets, judged on validation data.

    A search is of name=values: low:high, low:high:log, or values with commas, such as
    learning_rate=1e-4:1e-2:log, beta=0:1, gradient=reparam,dreg or hidden=100,200x200. Names are
    m, k, beta, alpha, warmup, alpha_warmup, gradient and learn of the method; learning_rate,
    batch_size, schedule, clip_norm, adam_b1, adam_b2 and adam_eps; hidden, latents, channels,
    hidden_above, activation and scale of the model. Trials of one size share a compiled program.

    Example: elbax tune --model small --method "iwae(k=8)" --trials 16 --epochs 20
    """

    FIRST = ("data", "model", "method", "search", "trials", "epochs", "out")
    REST = "The search"

    method: str = "iwae"
    """Method with its numbers, as `elbax compare` takes it: "piwae(8,8)"; what is searched need not
    be among them."""
    search: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUES ...")] = ()
    """What varies; none given takes the learning rate, the method's own number (beta, alpha) and,
    where both are possible, gradient=reparam,dreg."""
    trials: int = 32
    """Trials in all, those that the folder has too."""
    at_once: int = 8
    """Trials that are asked for at once and train side by side; each generation learns from those
    before it."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of every trial, one run each; its value is their mean."""
    sampler_seed: int = 0
    """Seed of what is tried."""
    data: TuneDataOptions = field(default_factory=TuneDataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    judge: JudgeOptions = field(default_factory=JudgeOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    launch: LaunchOptions = field(default_factory=LaunchOptions)
    run: TuneRunOptions = field(default_factory=TuneRunOptions)
