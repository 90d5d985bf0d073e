"""Trained runs as they lie in a folder: their models, their data, and starting from them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from elbax._errors import CheckpointError, ElbaxWarning, InputError, unknown
from elbax._reading import UnreadableError, held
from elbax.data.dataset import Dataset
from elbax.models.config import ModelConfig
from elbax.models.interface import Model
from elbax.models.own import ModelBuilder
from elbax.runs.data import find
from elbax.tables.schema import schema_from
from elbax.training import checkpoints
from elbax.training.config import RunSpec, listed
from elbax.training.environment import changes, environment
from elbax.training.folder import load_newest
from elbax.training.origin import Origin
from elbax.training.recorded import identity_of, read_account, read_config
from elbax.training.setup import model_builder
from elbax.training.state import status_of


@dataclass(frozen=True)
class Runs:
    """The runs of a folder, with the models of their newest checkpoint.

    >>> runs = (RunSpec("vae(m=4)", 0),)
    >>> Runs(Path("runs/vae"), {"data": {"name": "digits"}}, runs, (), ("ok",), 2, 142, "")
    Runs('runs/vae': 1 run on digits, 2 epochs done)
      vae-m4-seed0: ok
    """

    path: Path
    config: dict[str, Any]
    specs: tuple[RunSpec, ...]
    models: tuple[Model, ...]
    status: tuple[str, ...]
    epochs_done: int
    steps_done: int
    checkpoint: str
    """The hash of the states that the models are of."""

    def __repr__(self) -> str:
        """The names of the runs, rather than their networks."""
        num, epochs = len(self.specs), self.epochs_done
        head = f"{num} run{'s' * (num != 1)} on {self.config['data']['name']}"
        lines = [f"{run.name}: {now}" for run, now in zip(self.specs, self.status, strict=True)]
        return listed(
            f"Runs('{self.path}': {head}, {epochs} epoch{'s' * (epochs != 1)} done)", lines
        )

    def index_of(self, name: str | None) -> int:
        """Where a run stands; the first if no name is given.

        Raises:
            InputError: there is no run of that name.
        """
        names = [spec.name for spec in self.specs]
        if name is not None and name not in names:
            raise InputError(unknown("run", name, names))
        return 0 if name is None else names.index(name)


def load_runs(path: str | Path, *, model: ModelBuilder | str | None = None) -> Runs:
    """Load every run of a folder that `elbax.fit` wrote.

    Args:
        path: the folder.
        model: the function that built the models, where they are of the user's own, or its import
            path, "module:function"; what config.json names is never imported by itself.

    Raises:
        CheckpointError: no runs there, or a checkpoint that cannot be read.
        InputError: models of the user's own without `model`.

    >>> import tempfile
    >>> import elbax
    >>> config, folder = elbax.TrainConfig(epochs=1), tempfile.mkdtemp()
    >>> data = elbax.load_data("digits")
    >>> _ = elbax.fit("iwae(k=2)", data, model="small", config=config, directory=folder)
    >>> elbax.load_runs(folder).status
    ('ok',)
    """
    path = Path(path)
    config = read_config(path)
    _compare_versions(path)
    try:
        specs = [
            RunSpec(one["method"], one["seed"], one["learning_rate"]) for one in config["runs"]
        ]
        shape, per_epoch = tuple(config["data"]["event_shape"]), config["data"]["steps_per_epoch"]
        chosen = model_config_of(config) if model is None else model
        build = model_builder(chosen, shape)
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"'{path / 'config.json'}' is not one that elbax wrote ({error}); give another folder."
        ) from error
    like = build(jax.random.key(0))
    expected = {
        "params": eqx.filter(like, eqx.is_inexact_array),
        "status": jnp.zeros((), jnp.int32),
        "step": jnp.zeros((), jnp.int32),
    }
    file, states = load_newest(path, expected, identity=identity_of(config))
    if len(states) != len(specs):
        raise CheckpointError(
            f"'{file}' holds {len(states)} runs, and config.json names {len(specs)}; one of "
            "them is of another folder."
        )
    static = eqx.filter(like, eqx.is_inexact_array, inverse=True)
    return Runs(
        path=path,
        config=config,
        specs=tuple(specs),
        models=tuple(eqx.combine(state["params"], static) for state in states),
        status=tuple(status_of(state["status"]) for state in states),
        epochs_done=int(states[0]["step"]) // max(1, per_epoch),
        steps_done=int(states[0]["step"]),
        checkpoint=checkpoints.content_hash(file),
    )


def _compare_versions(path: Path) -> None:
    """Say where the runs of a folder were trained with other versions than it is read with."""
    versions = {"versions": read_account(path).get("versions", {})}
    if found := changes(versions, environment()):
        warnings.warn(
            f"the runs in '{path}' were trained with other versions ({'; '.join(found)}); what is "
            "found of them here may differ from what was found there, by rounding at least.",
            ElbaxWarning,
            stacklevel=3,
        )


def origin_of(runs: Runs, seeds: Sequence[int] = (0,), *, name: str | None = None) -> Origin:
    """The runs of a folder as a start for new ones, for `elbax.fit(origin=...)`.

    Args:
        runs: from `load_runs`.
        seeds: those of the new runs; each starts from the run of its own seed.
        name: one run, to start all of them from.

    Raises:
        InputError: no such run, no single run for a seed, or one that diverged.

    >>> import tempfile
    >>> import elbax
    >>> config, folder = elbax.TrainConfig(epochs=1), tempfile.mkdtemp()
    >>> data = elbax.load_data("digits")
    >>> _ = elbax.fit("iwae(k=2)", data, model="small", config=config, directory=folder)
    >>> origin = elbax.origin_of(elbax.load_runs(folder))
    >>> result = elbax.fit("iwae(k=8)", data, model="small", config=config, origin=origin)
    >>> result.status
    ('ok',)
    """
    if name is not None:
        chosen = [runs.index_of(name)]
    elif len(runs.specs) == 1:
        chosen = [0]
    else:
        chosen = [_only_run_of(runs, seed) for seed in seeds]
    lost = [runs.specs[index].name for index in chosen if runs.status[index] != "ok"]
    if lost:
        raise InputError(f"cannot start from {', '.join(lost)}: it diverged. Choose another run.")
    lineage = {
        "folder": runs.path.resolve().name,
        "runs": [runs.specs[index].name for index in chosen],
        "methods": [runs.specs[index].method for index in chosen],
        "epochs": runs.epochs_done,
        "configuration": identity_of(runs.config),
    }
    if runs.steps_done % max(1, runs.config["data"]["steps_per_epoch"]):
        lineage["steps"] = runs.steps_done  # stopped within an epoch
    if "origin" in runs.config:
        lineage["origin"] = runs.config["origin"]
    return Origin([runs.models[index] for index in chosen], lineage)


def _only_run_of(runs: Runs, seed: int) -> int:
    found = [index for index, spec in enumerate(runs.specs) if spec.seed == seed]
    if len(found) != 1:
        names = ", ".join(spec.name for spec in runs.specs)
        raise InputError(
            f"expected one run of seed {seed} in '{runs.path}' to start from; got {len(found)} of "
            f"{names}. Name one."
        )
    return found[0]


def model_config_of(config: dict[str, Any]) -> ModelConfig:
    """The configuration that the models of a config.json were built from.

    Raises:
        InputError: they are of the user's own.
    """
    described = config["model"]
    if "custom" in described:
        raise InputError(
            f"these runs have a model of your own ({described['custom']}); elbax imports no code "
            "that a folder names: give it again, --model module:function, or in Python "
            "`elbax.load_runs(folder, model=...)`."
        )
    try:
        held(described, ModelConfig)
    except UnreadableError as error:
        raise InputError(f"the model of these runs is none of elbax's ({error}).") from None
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
    }
    # Folders from before models were standardized do not say so; under a Bernoulli likelihood, to
    # which it means nothing, none does.
    fields["table"] = schema_from(described.get("table"))
    fields.setdefault("standardize", fields.get("likelihood") != "gaussian")
    return ModelConfig(**fields)


def load_data_of(
    runs: Runs, *, data_dir: str | None = None, data: str | None = None, split: str = "test"
) -> Dataset:
    """The data set that the runs were trained on, or another one to look at them with.

    Args:
        runs: from `load_runs`.
        data_dir: where the files of a named set are.
        data: a file, folder or name in place of that in config.json: the same data where they lie
            now, or other data, read as the runs' own were (mode, levels). Of other data in a
            single array all rows are test data.
        split: "test", "train" or "valid": these are then the test data of what is returned.

    Raises:
        DataError: the data cannot be found, have changed since, have another event shape, or lack
            the split.
    """
    return find(runs.config, runs.path, data_dir=data_dir, data=data, split=split)


def are_own(runs: Runs, dataset: Dataset) -> bool:
    """Whether these are, split by split, the data that the runs were trained on."""
    return dataset.fingerprint() == runs.config["data"]["fingerprint"]
