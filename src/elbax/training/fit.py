"""`fit`: train one run or a fleet of them, in memory or in a folder it can be resumed from."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elbax._checks import check_count
from elbax._errors import InputError
from elbax.data.dataset import Dataset
from elbax.models.config import ModelConfig
from elbax.models.interface import Model
from elbax.sinks.ending import tell_end
from elbax.sinks.pictures import shown
from elbax.sinks.sinks import Log, Sinks, as_sinks
from elbax.tables.table import Table
from elbax.training.claims import claimed
from elbax.training.config import RunSpec, TrainConfig, listed
from elbax.training.fleet import Fleet
from elbax.training.folder import RunFolder
from elbax.training.origin import Origin
from elbax.training.recorded import read_config
from elbax.training.records import Monitor, check_monitor, epoch_records
from elbax.training.setup import AnyModel, Objectives, as_dataset, new_fleet
from elbax.training.state import status_of

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
        left: seconds that the rest takes at the speed so far; None before that is known.
    """

    epoch: int
    epochs: int
    step: int
    num_steps: int
    seconds: float
    left: float | None = None


@dataclass(frozen=True)
class FitResult:
    """Trained runs, in the order objectives x learning rates x seeds.

    Attributes:
        runs: name, method and seed of each run.
        models: the trained models.
        status: "ok", "diverged" or "pruned"; a diverged run keeps its last finite parameters, a
            pruned one those it was ended with.
        metrics: one record per run and epoch of this call, as in metrics.jsonl (which also has
            those from before a resume).
        seconds: wall-clock time of this call: building, compiling, training, looking, writing.
        num_compilations: how often a training program was compiled for it; 0 where all of them
            were in use before in this process.
        finished: whether the last epoch is done; not so where `stop` said to stop.

    >>> records = ({"run": "vae-m4-seed0", "epoch": 2, "bound": -23.456},)
    >>> FitResult((RunSpec("vae(m=4)", 0),), (), ("ok",), records, 1.54, 1)
    FitResult(1 run, finished in 1.5 s; bounds in nats per datum)
      vae-m4-seed0: ok, epoch 2, bound -23.46
    """

    runs: tuple[RunSpec, ...]
    models: tuple[Model, ...]
    status: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...]
    seconds: float
    num_compilations: int
    finished: bool = True

    def __repr__(self) -> str:
        """The runs with their last bounds, rather than their networks."""
        num, last = len(self.runs), {record["run"]: record for record in self.metrics}
        ending = "finished" if self.finished else "stopped"
        head = f"{num} run{'s' * (num != 1)}, {ending} in {self.seconds:.1f} s"
        lines = []
        for run, status in zip(self.runs, self.status, strict=True):
            found = last.get(run.name)
            where = f", epoch {found['epoch']}, bound {found['bound']:.2f}" if found else ""
            lines.append(f"{run.name}: {status}{where}")
        return listed(f"FitResult({head}; bounds in nats per datum)", lines)


def fit(
    objectives: Objectives,
    data: Dataset | Table | np.ndarray,
    *,
    model: AnyModel | None = None,
    config: TrainConfig = TrainConfig(),  # noqa: B008 (frozen)
    seeds: Sequence[int] = (0,),
    learning_rates: Sequence[float | None] = (None,),
    origin: Origin | Model | Sequence[Model] | None = None,
    directory: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    monitor: Monitor | None = None,
    monitor_every: int = 1,
    prune: Prune | None = None,
    log: Log = (),
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    checkpoint_seconds: float = 30.0,
    fleet_map: str = "auto",
    sample_chunk: int | None = None,
) -> FitResult:
    """Train every objective with every learning rate and seed, as one fleet.

    A fleet compiles once, or on a CPU once for each set of passes that its objectives need.

    Args:
        objectives: objectives or their texts ("miwae(m=8, k=8)"), one or many, or named ones; or
            the runs themselves, a list of `RunSpec`, with no `seeds` and no `learning_rates`.
            All must draw equally many samples per datum.
        data: a `Dataset`, an array `[N, *event]` of values in [0, 1] to train on, or a
            `elbax.Table`, whose columns then decide the likelihood.
        model: a configuration; or a function of a random key to a model, which gets the shape of
            a datum too if it has an argument `event_shape`; or a text: a preset's name, or
            "module:function" for a function to import. If omitted, the like of what to start
            from, else the reference network.
        config: the protocol: epochs, minibatch, Adam, schedule.
        seeds: one run per objective, learning rate and seed.
        learning_rates: first learning rates to try, in place of the configuration's.
        origin: where to start, if not at random: trained runs, by `elbax.origin_of`; or a model
            in memory, or one for each seed. They are copied.
        directory: where config.json, metrics.jsonl and checkpoints/ go; nothing is written if
            omitted. One process at a time trains in it.
        resume: go on with the runs that `directory` holds; they continue bit for bit.
        overwrite: begin again where `directory` holds runs; they are lost.
        monitor: computes metrics of one run from a `Look` (`.run`, `.model`, `.objective`,
            `.epoch`, `.metrics`), numbers by name; they are added to the epoch's record. None
            adds nothing. A run that has diverged is not looked at.
        monitor_every: epochs between two looks, >= 1; the last epoch always has one.
        prune: shown the records of each epoch, before they are written; the runs whose names it
            returns end there, as "pruned". On a CPU they cost nothing from then on.
        log: where metrics go beside metrics.jsonl: names of tensorboard, wandb, mlflow and trackio
            ("tensorboard,wandb", or a list), sinks of your own, or both. They change no bit of a
            run and never stop it.
        progress: told where training stands, about once a second.
        stop: asked as often; once it says yes, the runs are saved where they stand, in the middle
            of an epoch too, and `fit` returns.
        checkpoint_seconds: least time between two checkpoints, taken at an epoch's end; the last
            epoch always has one.
        fleet_map: "auto", "sequential" or "vmap" (see `Fleet`).
        sample_chunk: samples per datum at a time, for more samples than memory holds; None cuts
            them only where a step would hold more than about 1 GiB of them (see `value_and_grad`).
            The draws are the same; resume with the same for the same bits.

    Returns:
        The trained models with their metrics (bounds in nats per datum).

    Raises:
        InputError: an argument, the data or the folder cannot be used; nothing has been trained.

    >>> import elbax
    >>> result = elbax.fit(
    ...     "iwae(k=4)", np.eye(20, 6), model=elbax.ModelConfig(hidden=(8,), latents=2),
    ...     config=TrainConfig(epochs=1, batch_size=5))
    >>> result.runs[0].name, result.status
    ('iwae-k4-seed0', ('ok',))
    """
    started = time.perf_counter()
    check_count("monitor_every", monitor_every)
    check_monitor(monitor)
    sinks = as_sinks(log)
    if resume and directory is not None:
        model, data = _as_begun(model, data, Path(directory))
    runs, fleet, identity = new_fleet(
        objectives,
        data,
        model=model,
        config=config,
        seeds=seeds,
        learning_rates=learning_rates,
        origin=origin,
        fleet_map=fleet_map,
        sample_chunk=sample_chunk,
    )
    if resume and overwrite:
        raise InputError("expected one of resume and overwrite; got both.")
    with _opened(directory, identity, resume, overwrite) as folder, sinks:
        if folder is not None and (states := folder.restore(fleet.states[0])):
            fleet.states = states
        loop = _Loop(runs, fleet, folder, progress, stop or (lambda: False), started, sinks)
        if folder is None:
            sinks.start(identity, None, loop.step)
        else:
            sinks.start(identity, folder.path, loop.step, folder.records)
        metrics = loop.train(monitor, monitor_every, prune, checkpoint_seconds)
        result = FitResult(
            runs=runs,
            models=tuple(fleet.model(i) for i in range(len(runs))),
            status=tuple(status_of(state.status) for state in fleet.states),
            metrics=tuple(metrics),
            seconds=time.perf_counter() - started,
            num_compilations=fleet.num_compilations,
            finished=loop.step == loop.num_steps,
        )
        if sinks:
            ended = {run.name: at for run, at in zip(runs, result.status, strict=True)}
            if not result.finished:
                sinks.ended(dict.fromkeys(ended, "stopped"))
            else:
                show = partial(shown, as_dataset(data), binary=fleet.program.dynamic)
                place = folder and folder.path
                tell_end(sinks, ended, result.models, loop.step, show if metrics else None, place)
    return result


def _as_begun(model, data, path: Path):
    """Model and data as these runs were begun with, where the defaults were others then.

    Gaussian models were not standardized, and were trained on 0/1 draws of grey images.
    """
    if not (isinstance(model, ModelConfig) and (path / "config.json").is_file()):
        return model, data
    config = read_config(path)
    described, begun = config.get("model"), config.get("data")
    if isinstance(described, dict) and not described.get("standardize", False):
        model = replace(model, standardize=False)
    if isinstance(begun, dict) and isinstance(data, Dataset):
        chosen = data.usual and data.binarise != begun.get("binarise")
        data = replace(data, usual=chosen)
    return model, data


@contextmanager
def _opened(directory, identity, resume: bool, overwrite: bool) -> Iterator[RunFolder | None]:
    """The run folder, for this call alone."""
    if directory is None:
        yield None
        return
    path = Path(directory)
    with claimed(path) as claim:
        claim.tell(doing="compiling")
        yield RunFolder(path, identity, resume=resume, overwrite=overwrite, claim=claim)


class _Loop:
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
    ):
        self._sinks = sinks
        self._runs, self._fleet, self._folder = runs, fleet, folder
        self._progress, self._stop, self._started = progress, stop, started
        self._chunk = 8
        self._epochs = fleet.program.config.epochs
        self._per_epoch = fleet.program.steps_per_epoch(len(fleet.images))
        self.num_steps = self._epochs * self._per_epoch
        self.step = self._saved = int(fleet.states[0].step)
        self._timed: tuple[int, float] | None = None  # step and time when all was compiled

    def train(
        self, monitor: Monitor | None, every: int, prune: Prune | None, checkpoint_seconds: float
    ) -> list[dict]:
        """Train to the end, or until told to stop; returns the epochs' records."""
        metrics, last_saved = [], time.perf_counter()
        while self.step < self.num_steps and not self._stop():
            self._advance()
            if self.step % self._per_epoch:
                continue
            epoch, last = self.step // self._per_epoch, self.step == self.num_steps
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
        left = (self.num_steps - self.step) * seconds / taken if taken else None
        now = Progress(epoch, self._epochs, self.step, self.num_steps, elapsed, left)
        if self._folder is not None:
            self._folder.tell(doing="training", **asdict(now))
        if self._progress is not None:
            self._progress(now)
