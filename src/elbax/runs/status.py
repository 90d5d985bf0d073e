"""Where runs stand, seen from outside: by their folders, and what their workers say in them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elbax._errors import CheckpointError, InputError
from elbax.training.claims import Holder, holder
from elbax.training.folder import newest_checkpoint
from elbax.training.recorded import read_config

_AT_WORK = ("compiling", "training", "evaluating", "in use")
_DEPTH = 3  # folders below the one that is asked about


@dataclass(frozen=True)
class FolderStatus:
    """Where the runs of one folder stand.

    Attributes:
        folder: the run folder.
        num_runs: how many runs it holds.
        state: "compiling", "training", "evaluating" or "in use" where a process says so; "dead"
            where the one that did has given no sign of life for a minute; else "evaluated",
            "trained", "begun", "not begun" or "unreadable".
        epoch: epochs done, as the worker says, else of the newest checkpoint.
        epochs: epochs in all.
        fraction: how much of the training is done.
        worker: who is at it: what the engine calls it, and its machine and process.
        left: seconds until it is trained, as the worker expects; None where it has not said.
        elbax: the version of the worker's elbax.
    """

    folder: Path
    num_runs: int = 0
    state: str = "unreadable"
    epoch: int = 0
    epochs: int = 0
    fraction: float = 0.0
    worker: str = ""
    left: float | None = None
    elbax: str = ""

    @property
    def is_at_work(self) -> bool:
        """Whether a process is at it."""
        return self.state in _AT_WORK

    @property
    def is_trained(self) -> bool:
        """Whether the last epoch is done."""
        return self.fraction >= 1.0


Watch = Callable[[Sequence[FolderStatus]], None]  # told where some folders stand


def status_of(folder: Path) -> FolderStatus:
    """Where the runs of a folder stand; what cannot be read is "unreadable"."""
    if not (folder / "config.json").exists():
        return FolderStatus(folder, state="not begun")
    try:
        config = read_config(folder)
        newest = newest_checkpoint(folder)
        epochs, per_epoch = config["train"]["epochs"], config["data"]["steps_per_epoch"]
        step = int(newest.stem.removeprefix("step-")) if newest else 0
        num_runs, num_steps = len(config["runs"]), max(1, epochs * per_epoch)
    except (CheckpointError, KeyError, TypeError, ValueError):
        return FolderStatus(folder)
    by = holder(folder)
    left = None
    if by is None:
        state = "begun" if step < num_steps else _after_training(folder, newest)
    else:
        state = _doing(by)
        told = by.told.get("step")
        step = max(step, told) if isinstance(told, int) else step
        left = by.told.get("left") if state == "training" else None
    return FolderStatus(
        folder,
        num_runs,
        state,
        epoch=step // max(1, per_epoch),
        epochs=epochs,
        fraction=min(1.0, step / num_steps),
        worker="" if by is None else _worker(by),
        left=left if isinstance(left, int | float) else None,
        elbax="" if by is None else by.elbax,
    )


def statuses(root: Path) -> list[FolderStatus]:
    """Where all runs in and below a folder stand.

    Raises:
        InputError: there is no such folder, or no runs in it.
    """
    if not root.is_dir():
        raise InputError(f"expected a folder of runs; found none at '{root}'.")
    found = [status_of(folder) for folder in _folders(root)]
    if not found:
        raise InputError(
            f"expected runs in '{root}' or at most {_DEPTH} folders below it; found no config.json."
        )
    return found


def _folders(root: Path) -> Iterator[Path]:
    for depth in range(_DEPTH + 1):
        pattern = "/".join(["*"] * depth + ["config.json"])
        yield from sorted(path.parent for path in root.glob(pattern))


def _after_training(folder: Path, newest: Path | None) -> str:
    """Whether the newest parameters have been evaluated, in whatever setting."""
    try:
        written = (folder / "results.json").stat().st_mtime
        return "evaluated" if newest and written >= newest.stat().st_mtime else "trained"
    except OSError:
        return "trained"


def _doing(by: Holder) -> str:
    if not by.is_alive:
        return "dead"
    doing = by.told.get("doing")
    return doing if doing in _AT_WORK else "in use"


def _worker(by: Holder) -> str:
    return f"{by.worker}, {by}" if by.worker else str(by)
