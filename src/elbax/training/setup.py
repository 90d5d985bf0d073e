"""From what a user gives `fit` to a fleet before its first step."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from elbax import _keys
from elbax._door import checked_data
from elbax._errors import InputError
from elbax._identity import fingerprint
from elbax.data.checks import warn
from elbax.data.dataset import Dataset
from elbax.gradients import check_chunk, check_latents
from elbax.models.build import build
from elbax.models.config import PRESETS, ModelConfig
from elbax.models.describe import config_of, described
from elbax.models.interface import Model
from elbax.models.own import ModelBuilder, check_named, imported, own_builder
from elbax.objectives import Objective
from elbax.spelling import is_described
from elbax.tables.table import Table
from elbax.training.adaptive import initial_adaptive
from elbax.training.config import RunSpec, TrainConfig
from elbax.training.fleet import Fleet
from elbax.training.origin import Origin, as_origin, copied
from elbax.training.sizes import check_sizes
from elbax.training.specs import Objectives, runs_of
from elbax.training.state import RunState, init_key, initial_state, run_key
from elbax.training.step import Program
from elbax.training.suited import as_dataset, check_data, suited, under
from elbax.training.table import ObjectiveTable

AnyModel = ModelConfig | ModelBuilder | str


def new_fleet(
    objectives: Objectives,
    data: Dataset | Table | np.ndarray,
    *,
    model: AnyModel | None = None,
    config: TrainConfig = TrainConfig(),  # noqa: B008 (frozen)
    seeds: Sequence[int] = (0,),
    learning_rates: Sequence[float | None] = (None,),
    origin: Origin | Model | Sequence[Model] | None = None,
    fleet_map: str = "auto",
    sample_chunk: int | None = None,
) -> tuple[tuple[RunSpec, ...], Fleet, dict[str, Any]]:
    """The runs, their fleet, and all that their results depend on, as config.json holds it.

    Arguments and errors are those of `fit`.

    >>> runs, fleet, identity = new_fleet("iwae(k=4)", np.eye(20, 6))
    >>> identity["runs"][0]["name"]
    'iwae-k4-seed0'
    """
    named, runs = runs_of(objectives, seeds, learning_rates)
    for caveat in dict.fromkeys(one for objective in named.values() for one in objective.caveats):
        warn(caveat)
    start = as_origin(origin)
    model = chosen(model, start)
    dataset = as_dataset(data)
    model = cast(AnyModel, suited(model, dataset))
    dataset = under(dataset, model)
    check_data(dataset, config, model)
    check_chunk(sample_chunk)
    fleet = _build_fleet(runs, named, dataset, model, config, start, fleet_map, sample_chunk)
    identity = _identity(runs, named, dataset, model, config)
    return runs, fleet, identity | ({} if start is None else {"origin": start.lineage})


def chosen(model: Any, origin: Origin | None) -> AnyModel:
    """The model to train: as given, else like the one to start from, else the reference.

    Raises:
        InputError: what is given is neither a configuration, a function nor a name of one.
    """
    if model is None:
        return ModelConfig() if origin is None else _like(origin.models[0])
    if isinstance(model, str):
        check_named(model)
        return PRESETS.get(model, model)
    if not callable(model) and not isinstance(model, ModelConfig):
        raise InputError(
            "expected model as a configuration, a function of a random key, or a text such as "
            f"'small' or 'module:function'; got {type(model).__name__}. A model to start from is "
            "given as `origin`."
        )
    return cast(AnyModel, model)


def _like(start: Model) -> AnyModel:
    description = described(start)
    if description is not None and description["kind"] == "layers":
        return config_of(start)[0]

    def build_same(_key) -> Model:
        return start

    build_same.__qualname__ = "the model it started from"  # as config.json will have it
    return build_same


def _build_fleet(
    runs: Sequence[RunSpec],
    named: dict[str, Objective],
    dataset: Dataset,
    model: AnyModel,
    config: TrainConfig,
    origin: Origin | None,
    fleet_map: str,
    sample_chunk: int | None,
) -> Fleet:
    table = ObjectiveTable([named[run.method] for run in runs])
    check_sizes(
        dataset.event_shape,
        model,
        num_samples=table.num_samples,
        batch_size=config.batch_size,
        num_steps=config.epochs * (len(dataset.train) // config.batch_size),
        num_runs=len(runs),
    )
    make = model_builder(
        model, dataset.event_shape, dataset.mean_intensity(), dataset.standard_deviation()
    )
    models = [make(init_key(run.seed)) for run in runs]
    # A model of the user's own may observe something else.
    checked_data(models[0], np.zeros((1, *dataset.event_shape), np.float32), "the data")
    if origin is not None:
        models = origin.start(models, [run.seed for run in runs])
    models = [copied(built) for built in models]
    for objective in table.objectives:
        check_latents(objective, models[0])
    states = [
        _state(run, built, config, table, index, math.prod(dataset.event_shape))
        for index, (run, built) in enumerate(zip(runs, models, strict=True))
    ]
    program = Program(
        static_model=eqx.filter(models[0], eqx.is_inexact_array, inverse=True),
        objectives=table,
        config=config,
        levels=dataset.levels,
        dynamic=dataset.binarise == "dynamic",
        sample_chunk=sample_chunk,
    )
    return Fleet(program, jnp.asarray(dataset.train), states, fleet_map)


def _state(
    run: RunSpec, model: Model, config: TrainConfig, table: ObjectiveTable, index: int, size: int
) -> RunState:
    adaptive = initial_adaptive(
        table.objectives[index],
        table.all_needs,
        eqx.filter(model.inference, eqx.is_inexact_array),
        size,
        _keys.stream(run_key(run.seed), "baseline"),
    )
    return initial_state(model, run, config, table.kind[index], table.hyper[index], adaptive)


def model_builder(
    model: AnyModel,
    event_shape: tuple[int, ...],
    data_mean: np.ndarray | None = None,
    data_sd: np.ndarray | None = None,
) -> ModelBuilder:
    """A function of a random key to a model, from a configuration or from the user's own."""
    if isinstance(model, ModelConfig):
        return lambda key: build(event_shape, model, key=key, data_mean=data_mean, data_sd=data_sd)
    return own_builder(model, event_shape)


def _identity(runs, named, dataset: Dataset, model, config: TrainConfig) -> dict[str, Any]:
    """All that the runs' results depend on, as config.json holds it."""
    if isinstance(model, ModelConfig):
        description = dataclasses.asdict(model.explicit)
        if not model.is_standardized:
            del description["standardize"]  # as in folders from before there was such a thing
        if model.table is None:
            del description["table"], description["missing"], description["homoscedastic"]
        if model.likelihood != "discretised-logistic":
            del description["levels"]
    else:
        name = model if isinstance(model, str) else getattr(model, "__qualname__", None)
        function = imported(model) if isinstance(model, str) else model
        description = {"custom": name or type(model).__qualname__, "code": fingerprint(function)}
    return {
        "format": 1,
        "data": {
            "name": dataset.name,
            "request": dataset.request,
            "levels": float(dataset.levels),
            "fingerprint": dataset.fingerprint(),
            "event_shape": list(dataset.event_shape),
            "binarise": dataset.binarise,
            "steps_per_epoch": len(dataset.train) // config.batch_size,
        },
        "model": json.loads(json.dumps(description)),
        "train": dataclasses.asdict(config),
        "runs": [
            {"name": run.name, **dataclasses.asdict(run)} | _own(run.method, named[run.method])
            for run in runs
        ],
    }


def _own(name: str, objective: Objective) -> dict[str, str]:
    """What an objective is that its name does not tell; of one that cannot be told, its name."""
    if is_described(objective, name):
        return {}
    try:
        return {"objective": fingerprint(objective)}
    except InputError:
        return {"objective": name}
