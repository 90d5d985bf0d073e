"""The loop over the epochs of a fleet: what is told, looked at, pruned and saved between steps."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from elbax.sinks.sinks import Sinks
from elbax.training.config import RunSpec
from elbax.training.fleet import Fleet
from elbax.training.folder import RunFolder
from elbax.training.records import Monitor, epoch_records

Prune = Callable[[Sequence[dict[str, Any]]], Iterable[str]]


@dataclass(frozen=True)
class Progress:
    """Where training stands, told after every chunk of steps.

    Attributes:
        epoch: epochs done.
        epochs: epochs in all.
        step: steps done.
        num_steps: steps in all.
        seconds: since `fit` was called.
        left: seconds until training stops, at the speed so far; None before that is known.
        end: the step at which it stops: the last, or the one that `until` says.
    """

    epoch: int
    epochs: int
    step: int
    num_steps: int
    seconds: float
    left: float | None
    end: int


class Loop:
    """Epochs, cut in chunks of about a second: after each one progress is told, or training ends.

    What a step gives does not depend on the chunks, so it may begin and end anywhere.
    """

    def __init__(
        self,
        runs: Sequence[RunSpec],
        fleet: Fleet,
        folder: RunFolder | None,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool],
        started: float,
        sinks: Sinks,
        until: int | None,
    ):
        self._sinks = sinks
        self._runs, self._fleet, self._folder = runs, fleet, folder
        self._progress, self._stop, self._started = progress, stop, started
        self._chunk = 8
        self._epochs = fleet.program.config.epochs
        self._per_epoch = fleet.program.steps_per_epoch(len(fleet.images))
        self.num_steps = self._epochs * self._per_epoch
        self.end = self.num_steps if until is None else until * self._per_epoch
        self.step = self._saved = int(fleet.states[0].step)
        self._timed: tuple[int, float] | None = None  # step and time when all was compiled

    @property
    def epochs_done(self) -> int:
        """Whole epochs, since the beginning of the runs."""
        return self.step // self._per_epoch

    def train(
        self, monitor: Monitor | None, every: int, prune: Prune | None, checkpoint_seconds: float
    ) -> list[dict]:
        """Train to the end asked for, or until told to stop; returns the epochs' records."""
        metrics, last_saved = [], time.perf_counter()
        while self.step < self.end and not self._stop():
            self._advance()
            if self.step % self._per_epoch:
                continue
            epoch, last = self.epochs_done, self.step == self.end
            look = monitor if last or epoch % every == 0 else None
            records = epoch_records(self._fleet, self._runs, epoch, look)
            if prune is not None:
                self._end(records, set(prune(records)))
            metrics += records
            if self._folder is not None:
                self._folder.append_metrics(records)
                if last or time.perf_counter() - last_saved >= checkpoint_seconds:
                    self._save()
                    last_saved = time.perf_counter()
            self._sinks.epoch(records)
        self._save()
        return metrics

    def _end(self, records: Sequence[dict[str, Any]], names: set[str]) -> None:
        """End the runs of these names; the last of their records say so."""
        for index, run in enumerate(self._runs):
            if run.name in names:
                self._fleet.end(index)
        for record in records:
            if record["run"] in names and record["status"] == "ok":
                record["status"] = "pruned"

    def _save(self) -> None:
        if self._folder is not None and self.step != self._saved:
            self._folder.checkpoint(self._fleet.states, self._fleet.num_compilations)
            self._saved = self.step

    def _advance(self) -> None:
        """Take a chunk of steps, none past the end of the epoch."""
        begun, compiled = time.perf_counter(), self._fleet.num_compilations
        taken = min(self._chunk, self._per_epoch - self.step % self._per_epoch)
        epoch = self.step // self._per_epoch
        self._fleet.advance(taken)
        self.step += taken
        seconds = time.perf_counter() - begun
        self._tell(epoch)
        # A chunk that compiled says nothing about speed.
        if compiled == self._fleet.num_compilations:
            self._chunk = max(1, math.ceil(taken / max(seconds, 1e-3)))

    def _tell(self, epoch: int) -> None:
        """Say where training stands: to the caller, and to those who look at the folder."""
        elapsed = time.perf_counter() - self._started
        if self._timed is None:
            self._timed = self.step, elapsed
        taken, seconds = self.step - self._timed[0], elapsed - self._timed[1]
        left = (self.end - self.step) * seconds / taken if taken else None
        done = self.step, self.num_steps
        now = Progress(epoch, self._epochs, *done, elapsed, left, self.end)
        if self._folder is not None:
            self._folder.tell(doing="training", **asdict(now))
        if self._progress is not None:
            self._progress(now)
