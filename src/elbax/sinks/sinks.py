"""All sinks of one training: told when it begins, after each epoch, and when it ends."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from elbax._errors import ElbaxWarning, InputError
from elbax.sinks.known import check_once, names_in
from elbax.sinks.memory import Memory
from elbax.sinks.mlflow import MLflow
from elbax.sinks.protocol import METHODS, LoggedRun, Sink, numbers
from elbax.sinks.tensorboard import TensorBoard
from elbax.sinks.trackio import Trackio
from elbax.sinks.wandb import WandB
from elbax.sinks.worker import Worker

PATIENCE = 60.0  # seconds that sinks have, all together, to be done once the training is

_MADE = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow, "trackio": Trackio}


class Sinks:
    """None, one or several sinks, each in a thread of its own; no call waits for any of them.

    A context: at its end the sinks are told how each run ended, and have `PATIENCE` to be done.
    One that fails is told of in one warning, and is not called again.

    Args:
        log: names ("tensorboard,wandb"), sinks of one's own, or several of both.
        keep_open: leave the end to a call of `close`, where more is to come after the training.

    Raises:
        InputError: an unknown name, a tool that is not installed, or no sink.
    """

    def __init__(self, log: Any = (), *, keep_open: bool = False):
        self._workers = [Worker(name, sink) for name, sink in _named(log).items()]
        self._keep_open = keep_open
        self._told: set[str] = set()
        self._runs: tuple[str, ...] = ()
        self._statuses: dict[str, str] = {}
        self._memory = Memory(None)
        self._has_folder = False

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._workers)

    def start(
        self,
        config: Mapping[str, Any],
        folder: Path | None,
        step: int,
        past: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        """Runs begin, or go on.

        Args:
            config: their config.json.
            folder: theirs, if they have one.
            step: how many steps were taken before.
            past: gives the lines of metrics.jsonl up to there; what a sink has not heard of, it
                is told now.

        Raises:
            InputError: a sink needs a folder, and there is none.
        """
        if not self:
            return
        for worker in self._workers:
            if folder is None and getattr(worker.sink, "needs_folder", False):
                raise InputError(
                    f"expected a run folder for {worker.name}, which writes into it; got none. "
                    "Give fit a directory."
                )
        self._memory, self._has_folder = Memory(folder), folder is not None
        self._runs = tuple(run["name"] for run in config["runs"])
        lines = list(past())
        group = time.strftime("%Y-%m-%d-%H%M%S") if folder is None else folder.resolve().name
        for worker in self._workers:
            runs = [
                self._logged_run(worker, run, config, group, folder, step) for run in config["runs"]
            ]
            stands = {run.name: run.step for run in runs}
            missed = [line for line in lines if line["step"] > stands.get(line["run"], step)]
            worker.call(lambda sink, name=worker.name, runs=runs: self._begin(name, sink, runs))
            self._tell(worker, missed)

    def _logged_run(self, worker: Worker, run, config, group: str, folder, step) -> LoggedRun:
        logged, memory = self._memory.of(worker.name, run["name"])
        hyper: dict[str, Any] = {
            "method": run["method"],
            "seed": run["seed"],
            "learning_rate": run["learning_rate"] or config["train"]["learning_rate"],
            **{part: config[part] for part in ("model", "train", "data")},
        }
        stands = 0 if getattr(worker.sink, "needs_all", False) else max(0, min(logged, step))
        return LoggedRun(run["name"], group, hyper, folder, stands, logged, memory)

    def _begin(self, name: str, sink: Sink, runs: Sequence[LoggedRun]) -> None:
        for run in runs:
            self._memory.began(name, run.name, sink.start(run) or {})

    def epoch(self, records: Sequence[Mapping[str, Any]]) -> None:
        """The lines of metrics.jsonl of an epoch, one for each run."""
        for worker in self._workers:
            self._tell(worker, records)
        self._warn()

    def _tell(self, worker: Worker, records: Sequence[Mapping[str, Any]]) -> None:
        if not records:
            return
        told = [(line["run"], int(line["step"]), numbers(line)) for line in records]

        def tell(sink: Sink) -> None:
            for run, step, values in told:
                sink.metrics(run, step, values)
            self._memory.logged(worker.name, {run: step for run, step, _ in told})

        worker.call(tell)

    def image(self, run: str, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture of a run, uint8."""
        for worker in self._workers:
            worker.call(lambda sink: sink.image(run, step, name, pixels))

    def artifact(self, path: Path) -> None:
        """A file of all the runs, if it is there."""
        if not path.is_file():
            return
        for worker in self._workers:
            for name in self._runs:
                worker.call(lambda sink, name=name: sink.artifact(name, path))

    def ended(self, statuses: Mapping[str, str]) -> None:
        """How the runs ended; one that nothing is said of has failed."""
        self._statuses = dict(statuses)

    def close(self) -> None:
        """Tell the sinks that all has been said, and wait for them as long as they may take."""
        for worker in self._workers:
            for name in self._runs:
                status = self._statuses.get(name, "failed")
                worker.call(lambda sink, name=name, status=status: sink.finish(name, status))
            worker.end()
        until = time.monotonic() + PATIENCE
        for worker in self._workers:
            worker.wait(until)
        self._warn()
        self._runs = ()

    def __enter__(self) -> "Sinks":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and not self._keep_open:
            self.close()
        elif isinstance(error, Exception):  # others, such as a second Ctrl-C, end at once
            self.close()

    def _warn(self) -> None:
        """Say once of each sink that failed that it did."""
        for worker in self._workers:
            if worker.failure is not None and worker.name not in self._told:
                self._told.add(worker.name)
                kept = ", and metrics.jsonl has every metric" if self._has_folder else ""
                warnings.warn(
                    f"logging to {worker.name} has ended ({worker.failure}); the training is not "
                    f"affected{kept}.",
                    ElbaxWarning,
                    stacklevel=3,
                )


Log = str | Sink | Sequence[str | Sink] | Sinks


def as_sinks(log: Log) -> Sinks:
    """Sinks as they are, or those that are named or given.

    >>> bool(as_sinks(()))
    False
    """
    return log if isinstance(log, Sinks) else Sinks(log)


def _named(log: Any) -> dict[str, Sink]:
    """The sinks by name, made where only the name was given."""
    given = [log] if isinstance(log, str) or not isinstance(log, Sequence) else [*log]
    names = [name for one in given if isinstance(one, str) for name in names_in(one)]
    check_once(names)
    found: dict[str, Sink] = {name: _MADE[name]() for name in names}
    for one in given:
        if isinstance(one, str):
            continue
        if isinstance(one, type) or not isinstance(one, Sink):
            missing = [m for m in METHODS if not callable(getattr(one, m, None))]
            lacks = f", which has no {missing[0]}" if missing else ", a class"
            raise InputError(
                f"expected log as names of sinks or objects with the methods {', '.join(METHODS)}; "
                f"got {one!r}{lacks}."
            )
        kind = getattr(one, "name", None) or type(one).__name__
        same = sum(name.partition("#")[0] == kind for name in found)
        found[f"{kind}#{same + 1}" if same else kind] = one
    return found
