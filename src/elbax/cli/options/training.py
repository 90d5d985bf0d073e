"""The options of `elbax train` and `elbax compare`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from elbax.cli.options.launch import LaunchOptions
from elbax.cli.options.shared import (
    Checked,
    DataOptions,
    EvaluateOptions,
    ModelOptions,
    RunOptions,
)
from elbax.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions(Checked):
    """The objective: numbers of the method, and how its gradient is estimated."""

    m: int | None = None
    """Groups of samples per datum, that is per image or row (vae, miwae, piwae, uiwae)."""
    k: int | None = None
    """Samples per group (all but vae)."""
    permutations: int | None = None
    """Orders of the samples whose groups uiwae averages over."""
    beta: Annotated[str | None, tyro.conf.arg(metavar="X")] = None
    """Weight of the ELBO in ciwae, from 0 (IWAE) to 1 (ELBO); start:end:epochs goes linearly."""
    learn: Literal["noise", "ascend", "descend"] | None = None
    """Learn ciwae's beta from the start given by --beta: lower the gradient's noise, or go up or
    down the bound (which ends at 0 or 1)."""
    alpha: Annotated[str | None, tyro.conf.arg(metavar="X")] = None
    """Order of renyi, from 0 (IWAE) to 1 (ELBO); start:end:epochs goes linearly."""
    knots: Annotated[str | None, tyro.conf.arg(metavar="X:X:...")] = None
    """Left ends of tvo's intervals, such as 0:0.1:0.3."""
    gradient: str | None = None
    """Gradient rule of the inference network: reparam, stl, dreg, gdreg; for discrete latents too:
    score, vimco, vimco-centered, vimco-geometric, nvil, ovis (ovis:0.5 sets gamma), wake, sleep,
    wake-sleep; for reparameterized ones wake-dreg."""
    warmup: float | None = None
    """Epochs over which the weight of the KL term rises from 0 to 1."""
    alpha_warmup: float | None = None
    """Epochs over which a Renyi bound's alpha falls from 1 (the ELBO) to 0 (the bound itself)."""


@dataclass(frozen=True)
class Train(ObjectiveOptions):
    """Train one method, with one or more seeds, and keep the runs in a folder.

    Example: elbax train --data mnist --method iwae --k 64 --out runs/iwae
    """

    FIRST = ("data", "model", "method", "epochs", "out")
    REST = "Seeds, and runs to start from"

    method: str = "iwae"
    """Method: vae, iwae, miwae, piwae, ciwae, renyi, jvi, tvo, uiwae or rws, alone or as
    `elbax compare` takes it, with its numbers: "piwae(8,8)"."""
    seeds: tuple[int, ...] = (0,)
    """Seeds, one run each; several runs train as one fleet: they share one compiled program."""
    start: Annotated[str | None, tyro.conf.arg(name="from", metavar="FOLDER")] = None
    """Folder of runs to start from, each seed from its own: their parameters, with a new Adam and
    schedule. Data and model are theirs too where the options leave them at their defaults."""
    start_run: Annotated[str | None, tyro.conf.arg(name="from-run")] = None
    """Name of the one run of that folder to start from."""
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True)
class Compare(Checked):
    """Train several methods with several seeds, evaluate them, print the table.

    All runs train as one fleet: they share one compiled program. With --launch they are shared out
    among workers, each with a folder of its own below the one given by --out.

    Example: elbax compare --methods "vae(64)" "iwae(64)" "miwae(8,8)" --seeds 0 1 2
    """

    FIRST = ("data", "model", "methods", "epochs", "out")
    REST = "What is compared, beside methods"

    methods: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = (
        "vae(m=64)",
        "iwae(k=64)",
        "miwae(m=8, k=8)",
        "piwae(m=8, k=8)",
        "ciwae(k=64, beta=0.5)",
    )
    """Methods with their numbers, such as "piwae(8,8)" or "iwae(k=64, gradient=dreg)"; all must
    draw equally many samples per datum, that is per image or row."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds, one run per method, learning rate and seed."""
    learning_rates: tuple[float, ...] = ()
    """First learning rates to compare; none given takes --learning-rate alone."""
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateOptions = field(default_factory=EvaluateOptions)
    launch: LaunchOptions = field(default_factory=LaunchOptions)
    run: RunOptions = field(default_factory=RunOptions)
