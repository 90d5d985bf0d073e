"""The options of commands that may train on other processes and machines, and of `elbax status`."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from elbax._errors import InputError
from elbax.cli.options.shared import Checked, OutputOptions

_OF_SLURM = ("partition", "minutes", "memory", "gpus", "cores", "account")


@dataclass(frozen=True, kw_only=True)
class LaunchOptions(Checked):
    """Other processes and machines, which have to see the folder under the same path."""

    launch: Literal["local", "slurm", "dask"] | None = None
    """Where fleets train: processes of this machine, jobs of SLURM (elbax[slurm]), workers of Dask
    (elbax[dask]); none given trains here."""
    workers: int | None = None
    """How many fleets train at a time: processes, jobs of the array, or workers of the local Dask
    cluster that is started; none given takes one for each core here, and 32 with slurm."""
    runs_per_job: int | None = None
    """Most runs that share a worker: fewer spread further, and share fewer compilations; none
    given shares the runs out among local workers, and elsewhere keeps fleets whole."""
    partition: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """slurm: the partition."""
    account: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """slurm: the account to charge."""
    minutes: int | None = None
    """slurm: time limit of a job, 60 if none is given; one that reaches it is queued again and goes
    on."""
    memory: int | None = None
    """slurm: GB of memory of a job."""
    gpus: int | None = None
    """slurm: GPUs of a job."""
    cores: int | None = None
    """slurm: cores of a job, 1 if none is given."""
    address: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """dask: the scheduler's, such as tcp://node1:8786; none given starts a cluster on this
    machine."""

    def __post_init__(self) -> None:
        """Refuse options of another engine than the one that was asked for."""
        super().__post_init__()
        said = [name for name in _OF_SLURM if getattr(self, name) is not None]
        asks: list[tuple[str, bool]] = [(name, self.launch == "slurm") for name in said]
        asks += [("address", self.launch == "dask")] * (self.address is not None)
        for name in ("workers", "runs_per_job"):
            asks += [(name, self.launch is not None)] * (getattr(self, name) is not None)
        for name, allowed in asks:
            if not allowed:
                needs = "slurm" if name in _OF_SLURM else "dask" if name == "address" else "local"
                raise InputError(
                    f"expected --launch {needs} with --{name.replace('_', '-')}; got "
                    f"{'none' if self.launch is None else f'--launch {self.launch}'}."
                )
        if self.address is not None and self.workers is not None:
            raise InputError("expected one of --address and --workers; got both.")


@dataclass(frozen=True)
class Status(OutputOptions):
    """Say where runs stand: which are trained, who is at the others, and how long it takes.

    Any folder of runs will do, whoever trains in it: this machine or another that shares it.

    Example: elbax status runs/reproduce
    """

    FIRST = ("folder", "watch")

    folder: tyro.conf.Positional[str] = "runs"
    """A run folder, or one with runs in it or below it."""
    watch: bool = False
    """Say it again every few seconds, until all is trained."""
