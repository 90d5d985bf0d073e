"""`fit`: train one run or a fleet of them, in memory or in a folder it can be resumed from."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._errors import InputError
from elbax.data.checks import check_images
from elbax.data.dataset import Dataset
from elbax.models.config import ModelConfig
from elbax.models.interface import Model
from elbax.models.one_layer import check_config, one_layer
from elbax.objectives import Objective, describe, parse
from elbax.training.config import RunSpec, TrainConfig
from elbax.training.fleet import Fleet
from elbax.training.folder import RunFolder
from elbax.training.schedules import learning_rate_factor
from elbax.training.state import (
    OK,
    STATUS,
    ObjectiveTable,
    init_key,
    initial_state,
    run_key,
)
from elbax.training.step import Program

ModelBuilder = Callable[[jax.Array], Model]
Monitor = Callable[[Model], dict[str, float]]


@dataclass(frozen=True)
class Progress:
    """Where training stands, told after every chunk of steps."""

    epoch: int
    epochs: int
    step: int
    num_steps: int
    seconds: float


@dataclass(frozen=True)
class FitResult:
    """Trained runs, in the order objectives x seeds.

    Attributes:
        runs: name, method and seed of each run.
        models: the trained models.
        status: "ok" or "diverged"; a diverged run keeps its last finite parameters.
        metrics: one record per run and epoch, as in metrics.jsonl (empty lines of a resumed run's
            earlier part are in the file, not here).
        seconds: wall-clock time of training, compilation included.
        num_compilations: how often the training program was compiled.
    """

    runs: tuple[RunSpec, ...]
    models: tuple[Model, ...]
    status: tuple[str, ...]
    metrics: tuple[dict[str, Any], ...]
    seconds: float
    num_compilations: int


def fit(
    objectives: Objective | str | Sequence[Objective | str] | Mapping[str, Objective],
    data: Dataset | np.ndarray,
    *,
    model: ModelConfig | ModelBuilder = ModelConfig(),  # noqa: B008 (frozen)
    config: TrainConfig = TrainConfig(),  # noqa: B008 (frozen)
    seeds: Sequence[int] = (0,),
    directory: str | Path | None = None,
    resume: bool = False,
    monitor: Monitor | None = None,
    monitor_every: int = 1,
    progress: Callable[[Progress], None] | None = None,
    checkpoint_seconds: float = 30.0,
    fleet_map: str = "auto",
) -> FitResult:
    """Train every objective with every seed, as one fleet in one compiled program.

    Args:
        objectives: objectives or their texts ("miwae(m=8, k=8)"), one or many, or named ones.
            All must draw equally many samples per datum.
        data: a `Dataset`, or an array `[N, *event]` of values in [0, 1] to train on.
        model: a configuration of the one-layer model, or a function of a random key to a model.
        config: the protocol: epochs, minibatch, Adam, schedule.
        seeds: one run per objective and seed.
        directory: where config.json, metrics.jsonl and checkpoints/ go; nothing is written if
            omitted.
        resume: go on with the runs that `directory` holds; they continue bit for bit.
        monitor: computes held-out metrics of a model, added to an epoch's record.
        monitor_every: epochs between two calls of `monitor`; the last epoch always has one.
        progress: told where training stands, about once a second.
        checkpoint_seconds: least time between two checkpoints, taken at an epoch's end; the last
            epoch always has one.
        fleet_map: "auto", "sequential" or "vmap" (see `Fleet`).

    Returns:
        The trained models with their metrics (bounds in nats per datum).

    Raises:
        InputError: an argument, the data or the folder cannot be used; nothing has been trained.

    >>> import elbax
    >>> result = elbax.fit(
    ...     "iwae(k=4)", np.eye(20, 6), model=ModelConfig(hidden=(8,), latents=2),
    ...     config=TrainConfig(epochs=1, batch_size=5))
    >>> result.runs[0].name, result.status
    ('iwae-k4-seed0', ('ok',))
    """
    started = time.perf_counter()
    named = _named(objectives)
    runs = tuple(RunSpec(name, seed) for name in named for seed in seeds)
    dataset = _as_dataset(data)
    _check_data(dataset, config, model)
    fleet = _build_fleet(runs, named, dataset, model, config, fleet_map)
    folder = None
    if directory is not None:
        identity = _identity(runs, dataset, model, config)
        folder = RunFolder(Path(directory), identity, resume=resume)
        if states := folder.restore(fleet.states[0]):
            fleet.states = states

    metrics = []
    chunk = 8
    per_epoch = fleet.program.steps_per_epoch(len(dataset.train))
    last_saved = time.perf_counter()
    for epoch in range(int(fleet.states[0].step) // per_epoch, config.epochs):
        chunk = _advance_epoch(fleet, epoch, per_epoch, chunk, progress, started)
        last = epoch + 1 == config.epochs
        look = monitor if last or (epoch + 1) % monitor_every == 0 else None
        records = _epoch_records(fleet, runs, epoch + 1, look)
        metrics += records
        if folder is not None:
            folder.append_metrics(records)
            if last or time.perf_counter() - last_saved >= checkpoint_seconds:
                folder.checkpoint(fleet.states)
                last_saved = time.perf_counter()
    return FitResult(
        runs=runs,
        models=tuple(fleet.model(i) for i in range(len(runs))),
        status=tuple(STATUS[int(state.status)] for state in fleet.states),
        metrics=tuple(metrics),
        seconds=time.perf_counter() - started,
        num_compilations=fleet.num_compilations,
    )


def _named(objectives) -> dict[str, Objective]:
    if isinstance(objectives, Mapping):
        return dict(objectives)
    if isinstance(objectives, Objective | str):
        objectives = [objectives]
    parsed = [parse(given) if isinstance(given, str) else given for given in objectives]
    named = {describe(objective): objective for objective in parsed}
    if not named or len(named) < len(parsed):
        raise InputError(
            f"expected one or more different objectives; got {len(parsed)}, of which {len(named)} "
            "differ. Name each once; repeat runs with seeds."
        )
    return named


def _as_dataset(data: Dataset | np.ndarray) -> Dataset:
    if isinstance(data, Dataset):
        return data
    check_images(data, likelihood="any", name="data")
    array = np.asarray(data, np.float32)
    return Dataset(name="array", train=array, test=array)


def _check_data(dataset: Dataset, config: TrainConfig, model: ModelConfig | ModelBuilder) -> None:
    likelihood = model.likelihood if isinstance(model, ModelConfig) else "any"
    for name, array in dataset.splits().items():
        check_images(array, likelihood=likelihood, name=name, levels=dataset.levels)
    if len(dataset.train) < config.batch_size:
        raise InputError(
            f"expected at least batch_size = {config.batch_size} training data; got "
            f"{len(dataset.train)}. Choose a smaller batch_size."
        )


def _build_fleet(runs, named, dataset, model, config, fleet_map) -> Fleet:
    table = ObjectiveTable([named[run.method] for run in runs])
    build = model_builder(model, dataset.event_shape, dataset.mean_intensity())
    models = [build(init_key(run.seed)) for run in runs]
    states = [
        initial_state(m, config, run_key(run.seed), kind, hyper)
        for m, run, kind, hyper in zip(models, runs, table.kind, table.hyper, strict=True)
    ]
    program = Program(
        static_model=eqx.filter(models[0], eqx.is_inexact_array, inverse=True),
        objectives=table,
        config=config,
        levels=dataset.levels,
        dynamic=dataset.binarise == "dynamic",
    )
    return Fleet(program, jnp.asarray(dataset.train), states, fleet_map)


def model_builder(
    model: ModelConfig | ModelBuilder,
    event_shape: tuple[int, ...],
    data_mean: np.ndarray | None = None,
) -> ModelBuilder:
    """A function of a random key to a model, from a configuration or from itself."""
    if not isinstance(model, ModelConfig):
        return model
    check_config(model)
    return lambda key: one_layer(event_shape, model, key=key, data_mean=data_mean)


def _identity(runs, dataset: Dataset, model, config: TrainConfig) -> dict[str, Any]:
    """All that the runs' results depend on, as config.json holds it."""
    if isinstance(model, ModelConfig):
        described = dataclasses.asdict(model)
    else:
        described = {"custom": getattr(model, "__qualname__", type(model).__qualname__)}
    return {
        "format": 1,
        "data": {
            "name": dataset.name,
            "request": dataset.request,
            "fingerprint": dataset.fingerprint(),
            "event_shape": list(dataset.event_shape),
            "binarise": dataset.binarise,
            "steps_per_epoch": len(dataset.train) // config.batch_size,
        },
        "model": json.loads(json.dumps(described)),
        "train": dataclasses.asdict(config),
        "runs": [{"name": run.name, **dataclasses.asdict(run)} for run in runs],
    }


def _advance_epoch(fleet: Fleet, epoch, per_epoch, chunk, progress, started) -> int:
    """Train one epoch in chunks of about a second, so that progress can be told.

    Returns the chunk that takes about a second, to begin the next epoch with.
    """
    epochs = fleet.program.config.epochs
    step, end = epoch * per_epoch, (epoch + 1) * per_epoch
    while step < end:
        begun, compiled = time.perf_counter(), fleet.num_compilations
        taken = min(chunk, end - step)
        fleet.advance(taken)
        step += taken
        seconds = time.perf_counter() - begun
        if progress is not None:
            elapsed = time.perf_counter() - started
            progress(Progress(epoch, epochs, step, epochs * per_epoch, elapsed))
        if compiled == fleet.num_compilations:  # a chunk that compiled says nothing about speed
            chunk = max(1, math.ceil(taken / max(seconds, 1e-3)))
    return chunk


def _epoch_records(fleet: Fleet, runs, epoch: int, monitor: Monitor | None) -> list[dict]:
    """One record per run: the epoch's means, and held-out metrics where it is time for them."""
    records = []
    config = fleet.program.config
    for index, (run, state) in enumerate(zip(runs, fleet.states, strict=True)):
        sums = {name: float(value) for name, value in state.sums._asdict().items()}
        steps = sums.pop("steps")
        total = int(state.step) // epoch * config.epochs
        factor = learning_rate_factor(config.schedule, total, state.step - 1)
        record = {
            "run": run.name,
            "epoch": epoch,
            "step": int(state.step),
            "status": STATUS[int(state.status)],
            "learning_rate": float(state.learning_rate * factor),
            "num_nonfinite": int(sums.pop("num_nonfinite")),
        }
        record |= {name: value / steps for name, value in sums.items()}
        if monitor is not None and int(state.status) == OK:
            record |= monitor(fleet.model(index))
        records.append(record)
    return records
