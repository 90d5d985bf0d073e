"""`fit`: train one run or a fleet of them, in memory or in a folder it can be resumed from."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from elbax.sinks.sinks import Log, as_sinks
from elbax.tables.table import Table
from elbax.training.claims import claimed
from elbax.training.config import RunSpec, TrainConfig, listed
from elbax.training.folder import RunFolder
from elbax.training.loop import Loop, Progress, Prune
from elbax.training.origin import Origin
from elbax.training.recorded import read_config
from elbax.training.records import Monitor, check_monitor
from elbax.training.setup import AnyModel, Objectives, new_fleet
from elbax.training.state import status_of
from elbax.training.suited import as_dataset


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
        epochs: epochs done, those from before a resume too.
        finished: whether what was asked for is done, the last epoch or that of `until`; not so
            where `stop` said to stop.

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
    epochs: int = 0
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
    until: int | None = None,
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
        until: epochs of the schedule after which to stop, saved, for the time being: the same
            runs go on from there bit for bit with `resume`. It changes nothing in what comes
            before; None goes to the end, `config.epochs`.
        monitor: computes metrics of one run from a `Look` (`.run`, `.model`, `.objective`,
            `.epoch`, `.metrics`), numbers by name; they are added to the epoch's record. None
            adds nothing. A run that has diverged is not looked at.
        monitor_every: epochs between two looks, >= 1; the last epoch, and that of `until`, always
            has one.
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
    _check_until(until, config)
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
        stop = stop or (lambda: False)
        loop = Loop(runs, fleet, folder, progress, stop, started, sinks, until)
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
            epochs=loop.epochs_done,
            finished=loop.step >= loop.end,
        )
        if sinks:
            ended = {run.name: at for run, at in zip(runs, result.status, strict=True)}
            if loop.step < loop.num_steps:
                sinks.ended(dict.fromkeys(ended, "stopped"))
            else:
                show = partial(shown, as_dataset(data), binary=fleet.program.dynamic)
                place = folder and folder.path
                tell_end(sinks, ended, result.models, loop.step, show if metrics else None, place)
    return result


def _check_until(until: int | None, config: TrainConfig) -> None:
    if until is None:
        return
    check_count("until", until)
    if until > config.epochs:
        raise InputError(
            f"expected until <= {config.epochs}, the epochs of the schedule; got {until}. For a "
            "longer schedule give more epochs."
        )


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
