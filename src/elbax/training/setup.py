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
from elbax.data.checks import check_images, columns, to_float32, warn
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
    model = suited(model, dataset)
    dataset = _under(dataset, model)
    _check_data(dataset, config, model)
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


def suited(model: AnyModel, dataset: Dataset) -> AnyModel:
    """A configuration with the columns of a table, where the data are one."""
    if dataset.schema is None or not isinstance(model, ModelConfig):
        return model
    if model.table not in (None, dataset.schema):
        raise InputError(
            "expected the data under the schema of the model to start from; they have another. "
            "Give `elbax.table_of(data, schema=...)`, or on the command line the same file."
        )
    return model.of_table(dataset.schema)


def as_dataset(data: Dataset | Table | np.ndarray) -> Dataset:
    """A data set as it is, an array or a table as training and test data in one."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, Table):
        return Dataset(name="table", train=data.values, test=data.values, schema=data.schema)
    check_images(data, likelihood="any", name="data")
    array = to_float32(np.asarray(data), "data")
    return Dataset(name="array", train=array, test=array)


def _under(dataset: Dataset, model: AnyModel) -> Dataset:
    """The data as this likelihood takes them, with a word where that changes them."""
    if not isinstance(model, ModelConfig):
        return dataset
    taken = dataset.under(model.likelihood)
    if taken is not dataset:
        warn(
            f"{dataset.name}: a Gaussian likelihood is trained on the intensities, not on 0/1 "
            "draws. Take `data.under('gaussian')` before `fit`, and evaluate on its splits."
        )
    return taken


def _check_data(dataset: Dataset, config: TrainConfig, model: AnyModel) -> None:
    likelihood = model.likelihood if isinstance(model, ModelConfig) else "any"
    if dataset.schema is None and likelihood == "table":
        raise InputError(
            "expected a table for this model, such as `elbax.table_of(frame)`; got an array."
        )
    for name, array in dataset.splits().items():
        if dataset.schema is None:  # the cells of a table were looked at when it was made
            check_images(array, likelihood=likelihood, name=name, levels=dataset.levels)
    if likelihood == "gaussian":
        _warn_of_gaussian(dataset, model)
    if len(dataset.train) < config.batch_size:
        raise InputError(
            f"expected at least batch_size = {config.batch_size} training data; got "
            f"{len(dataset.train)}. Choose a smaller batch_size."
        )


def _warn_of_gaussian(dataset: Dataset, model: Any) -> None:
    """Say what makes a Gaussian density meaningless; only the user can know whether it is meant."""
    if dataset.binarise == "dynamic" or dataset.is_binary:
        warn(
            f"{dataset.name}: a Gaussian density of values that are only 0 and 1 has no upper "
            "limit and compares with nothing. Take --binarise none, or a Bernoulli likelihood."
        )
        return
    sd = dataset.standard_deviation()
    if len(constant := np.flatnonzero(sd == 0)):
        warn(
            f"{dataset.name}: {columns(constant)} never change{'s' if len(constant) == 1 else ''}; "
            "a Gaussian density there grows without limit. Leave out what is constant."
        )
    if not model.standardize and not np.all((sd == 0) | ((sd > 0.1) & (sd < 10))):
        warn(
            f"{dataset.name}: standard deviations from {sd.min():g} to {sd.max():g} and "
            "standardize is off; a Gaussian likelihood learns little on such scales. Leave "
            "standardize on."
        )


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
        description = dataclasses.asdict(model)
        if not model.is_standardized:
            del description["standardize"]  # as in folders from before there was such a thing
        if model.table is None:
            del description["table"], description["missing"]
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
