"""A study's runs trained on an engine: on other processes, or on other machines."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from elbax.launch.loop import perform_all
from elbax.launch.work import STOPPING, Task, task
from elbax.runs.status import Watch, status_of
from elbax.studies.plan import PlannedRun, fleets, with_starts
from elbax.studies.store import Budget, Store
from elbax.training.fit import fit


def train_on(
    executor: Executor,
    runs: Sequence[PlannedRun],
    store: Store,
    budget: Budget | None = None,
    *,
    most: int | None = None,
    watch: Watch = lambda found: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train what is missing of some runs, and evaluate it, each fleet on a worker of its own.

    What travels is the configuration of the runs. Workers write into the store's folder, which all
    of them have to see under the same path. The fleet of a worker that dies goes on elsewhere from
    its last checkpoint, to the same bits; any number of callers may do this in one folder at once.

    Args:
        executor: `elbax.launch.processes.Processes`, Dask's, submitit's (`elbax.launch.slurm`), or
            any other.
        runs: what is wanted, with what they start from.
        store: where they are kept.
        budget: how they are evaluated; not at all if omitted.
        most: runs of one fleet that share a worker; all of them if omitted. Fewer spread further,
            and share fewer compilations.
        watch: told about once a second where the fleets of this call stand.
        stop: asked as often; once it says yes, nothing more is begun.

    Raises:
        StoppedError: `stop` said so.
        ElbaxError: what training a fleet raised, as if here; others go on to their checkpoints.
    """
    store.check_versions()
    while parts := _ready(runs, store, budget, most):
        folders = {store.place(part): part for part in parts}
        names = {folder.name: folder for folder in folders}
        perform_all(
            executor,
            {folder.name: _task(part, runs, store, budget) for folder, part in folders.items()},
            position=lambda name, names=names: status_of(names[name]).fraction,
            watch=lambda folders=folders: watch([status_of(folder) for folder in folders]),
            stop=stop,
        )


def _ready(
    runs: Sequence[PlannedRun], store: Store, budget: Budget | None, most: int | None
) -> list[list[PlannedRun]]:
    """What can be done now, in the parts that travel: runs whose starts are trained."""
    missing = dict.fromkeys(store.missing(runs))
    left = [
        run
        for run in with_starts(runs)
        if run in missing or (budget and run in runs and not store.is_evaluated(run, budget))
    ]
    ready = [run for run in left if run.start is None or run.start not in missing]
    return [part for fleet in fleets(ready) for part in split(fleet, most or len(fleet))]


def split(fleet: Sequence[PlannedRun], most: int) -> list[list[PlannedRun]]:
    """A fleet in parts of at most so many runs: whole methods, and seeds of one where they must.

    >>> from elbax.models.config import ModelConfig
    >>> from elbax.studies.plan import grid
    >>> from elbax.training.config import TrainConfig
    >>> methods, model = ["vae(4)", "iwae(4)", "piwae(2, 2)"], ModelConfig()
    >>> fleet = grid("digits", methods, (0, 1), model, TrainConfig())
    >>> [len(part) for part in split(fleet, 4)], [len(part) for part in split(fleet, 1)]
    ([4, 2], [1, 1, 1, 1, 1, 1])
    """
    by_method: dict[str, list[PlannedRun]] = {}
    for run in fleet:
        by_method.setdefault(run.method, []).append(run)
    parts: list[list[PlannedRun]] = [[]]
    for members in by_method.values():
        for first in range(0, len(members), most):
            some = members[first : first + most]
            whole = len(some) == len(members)
            if parts[-1] and not (whole and len(parts[-1]) + len(some) <= most):
                parts.append([])
            parts[-1] += some
            if not whole:
                parts.append([])
    return [part for part in parts if part]


def _task(
    part: Sequence[PlannedRun], runs: Sequence[PlannedRun], store: Store, budget: Budget | None
) -> Task:
    wanted = budget if part[0] in runs else None  # a start is only trained
    return task(
        "elbax.studies.launched:train_part",
        root=os.path.abspath(store.root),
        data_dir=store.data_dir and os.path.abspath(store.data_dir),
        members=msgspec.to_builtins(list(part)),
        budget=msgspec.to_builtins(wanted),
    )


def train_part(root: str, data_dir: str | None, members: list[Any], budget: Any) -> dict[str, str]:
    """On a worker: train and evaluate a part of a fleet.

    Returns:
        `{"held": why}` where that has to wait for somebody else.
    """
    store = Store(Path(root), data_dir=data_dir, train=partial(fit, stop=STOPPING.is_set))
    runs = msgspec.convert(members, list[PlannedRun])
    for fleet in fleets(store.missing(runs)):
        if held := store.attempt(fleet, _quiet):
            return {"held": held}
    wanted = msgspec.convert(budget, Budget | None)
    if wanted is not None:
        store.evaluate(runs, wanted, _quiet)
    return {}


def _quiet(what: str, done: float) -> None:
    """Nobody looks at a worker; its folder says where it stands."""
