"""What commands share that train on an engine: the engine, what is told, and parts of `compare`."""

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from elbax._checks import num_cores
from elbax._errors import InputError
from elbax.cli import options as o
from elbax.cli.outcome import duration
from elbax.cli.progress import Reporter
from elbax.launch.engines import Slurm, engine
from elbax.launch.loop import perform_all
from elbax.launch.work import task
from elbax.runs.status import FolderStatus, status_of
from elbax.training.claims import FolderInUseError
from elbax.training.config import RunSpec

_LOGS = "launch"  # the folder of SLURM's own files, beside the runs


def opened(options: o.LaunchOptions, out: Path) -> AbstractContextManager[Executor]:
    """The engine that was asked for."""
    assert options.launch is not None
    return engine(
        options.launch,
        workers=options.workers,
        logs=str((out / _LOGS).absolute()),
        slurm=Slurm(
            partition=options.partition,
            account=options.account,
            minutes=options.minutes or 60,
            memory=options.memory,
            gpus=options.gpus,
            cores=options.cores or 1,
        ),
        address=options.address,
    )


def most_runs(options: o.LaunchOptions, num_runs: int) -> int | None:
    """How many runs share a worker: as asked, or equal shares for the workers of this machine.

    >>> most_runs(o.LaunchOptions(launch="local", workers=4), 10)
    3
    """
    if options.runs_per_job is not None or options.launch == "slurm" or options.address is not None:
        return options.runs_per_job
    return max(1, math.ceil(num_runs / (options.workers or num_cores())))


class View:
    """All fleets in one view: in a terminal a bar for each, elsewhere a line now and then."""

    def __init__(self, reporter: Reporter, name: str = ""):
        self._reporter = reporter
        self._stage = f"{name}: fleets" if name else "fleets"

    def __call__(self, found: Sequence[FolderStatus]) -> None:
        """Tell where they stand."""
        fraction = sum(one.fraction for one in found) / max(1, len(found))
        # Not 1 before the last evaluation has been written too.
        self._reporter.update(self._stage, min(fraction, 0.999), summary(found))
        if self._reporter.is_terminal:
            for one in found:
                if one.state not in ("not begun", "unreadable"):
                    self._reporter.update(one.folder.name, one.fraction, _where(one))


def summary(found: Sequence[FolderStatus]) -> str:
    """How many are done and at work, and how long the slowest takes.

    >>> done, at_work = FolderStatus(Path("a"), fraction=1.0), FolderStatus(Path("b"), left=90.0)
    >>> summary([done, replace(at_work, state="training"), FolderStatus(Path("c"))])
    '1 of 3 trained, 1 at work, 2 min left of those'
    """
    trained = len([one for one in found if one.is_trained])
    working = [one for one in found if one.is_at_work]
    left = max((one.left for one in working if one.left is not None), default=None)
    parts = [f"{trained} of {len(found)} trained", f"{len(working)} at work"]
    parts += [] if left is None else [f"{duration(left)} left of those"]
    return ", ".join(parts)


def _where(one: FolderStatus) -> str:
    worker = one.worker.partition(",")[0]
    return f"{one.state}, epoch {one.epoch} of {one.epochs}" + (f", {worker}" if worker else "")


def compare_parts(options: o.Compare, out: Path, reporter: Reporter) -> list[Path]:
    """Train and evaluate the methods of `elbax compare` on an engine; the folders, one per part."""
    parts = _parts(options, out)
    for folder in parts:
        if status_of(folder).state != "not begun" and not options.run.resume:
            raise InputError(
                f"folder '{folder}' already holds runs; add --resume to go on with them, or choose "
                "another folder."
            )
    tasks = {
        folder.name: task("elbax.cli.launching:compare_part", options=msgspec.to_builtins(part))
        for folder, part in parts.items()
    }
    view = View(reporter)
    with opened(options.launch, out) as executor:
        perform_all(
            executor,
            tasks,
            position=lambda name: status_of(out / name).fraction,
            watch=lambda: view([status_of(folder) for folder in parts]),
        )
    return list(parts)


def _parts(options: o.Compare, out: Path) -> dict[Path, o.Compare]:
    """What is asked of each worker, by its folder."""
    rates = options.learning_rates or (None,)
    num_runs = len(options.methods) * len(rates) * len(options.seeds)
    most = most_runs(options.launch, num_runs) or num_runs
    found: dict[Path, o.Compare] = {}
    for methods, seeds in _shares(options.methods, options.seeds, most // len(rates)):
        words = [RunSpec(method, 0).name.removesuffix("-seed0") for method in methods]
        name = words[0] if len(words) == 1 else f"{words[0]}-and-{len(words) - 1}-more"
        name += "" if seeds == options.seeds else "-seed" + "-".join(map(str, seeds))
        found[out / name] = replace(
            options,
            methods=methods,
            seeds=seeds,
            launch=o.LaunchOptions(),
            run=replace(options.run, out=str(out / name), resume=True),
        )
    return found


def _shares(methods: Sequence[str], seeds: Sequence[int], most: int) -> list[tuple[Any, Any]]:
    """Methods with seeds, at most so many runs each: whole methods where they fit.

    >>> _shares(("a", "b", "c"), (0, 1), 4)
    [(('a', 'b'), (0, 1)), (('c',), (0, 1))]
    >>> _shares(("a",), (0, 1, 2), 2)
    [(('a',), (0, 1)), (('a',), (2,))]
    """
    many = max(1, most // len(seeds))
    few = len(seeds) if most >= len(seeds) else max(1, most)
    return [
        (tuple(methods[i : i + many]), tuple(seeds[j : j + few]))
        for i in range(0, len(methods), many)
        for j in range(0, len(seeds), few)
    ]


def compare_part(options: Any) -> dict[str, str]:
    """On a worker: train and evaluate what one part of `elbax compare` has.

    Returns:
        `{"held": why}` where somebody else is training it.
    """
    from elbax.cli.machine import machine
    from elbax.cli.train import compare

    part = msgspec.convert(options, o.Compare)
    try:
        with machine(part):
            compare(part, Reporter(quiet=True))
    except FolderInUseError as error:
        return {"held": str(error)}
    return {}
