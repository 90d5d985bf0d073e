"""The options of `elbax reproduce`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from elbax.cli.options.launch import LaunchOptions
from elbax.cli.options.shared import DataDirOptions, DeviceOptions, OutputOptions


@dataclass(frozen=True)
class Reproduce(DataDirOptions, DeviceOptions, OutputOptions):
    """Reproduce a table or figure of a paper: train, test its claims, write a page.

    What is trained already is not trained again, whichever study asked for it; an interrupted
    study goes on where it stopped.

    Example: elbax reproduce table1 --preset quick
    """

    FIRST = ("study", "preset", "data", "dry_run", "out")
    REST = "In place of the preset's"

    study: tyro.conf.Positional[str]
    """A study that `elbax reproduce list` shows; list lists them, all does every one."""
    preset: Literal["quick", "standard", "paper"] = "quick"
    """quick: embedded digits, minutes. standard: MNIST and Omniglot, within about an hour. paper:
    the full protocol, for large machines."""
    data: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Data sets, in place of the preset's."""
    size: Literal["reference", "larger", "small"] | None = None
    """The one-layer model of studies that do not say otherwise; small for the digits, else
    reference."""
    epochs: int | None = None
    """Epochs of training, over which the schedule runs."""
    until: Annotated[int | None, tyro.conf.arg(metavar="EPOCH")] = None
    """Stop after this epoch of the schedule and conclude from there; a later one, or none, goes
    on."""
    methods: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Methods, of a study that compares each of them with a paper (curves, mcvae)."""
    seeds: tuple[int, ...] = ()
    """Seeds, one run each."""
    as_trained: bool = False
    """Train nothing, and conclude from the runs in FOLDER as far as they go (curves, mcvae)."""
    num_data: int | None = None
    """Evaluate on this many test data, from the first."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = "runs/reproduce"
    """Folder of the runs, and of one folder with study.json, figures and page per study."""
    dry_run: bool = False
    """Only say what would be trained, and about how long it would take here."""
    launch: LaunchOptions = field(default_factory=LaunchOptions)
