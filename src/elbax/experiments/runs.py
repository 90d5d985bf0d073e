"""Trained runs as they lie in a folder: load them, evaluate them, write what was found."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._errors import CheckpointError, InputError, unknown
from elbax._keys import key_of
from elbax._version import __version__
from elbax.data.dataset import Dataset
from elbax.evaluation.images import ssim
from elbax.evaluation.likelihood import Estimate, evaluate, sample_counts
from elbax.evaluation.posterior import prior_samples, reconstructions
from elbax.evaluation.units import active_units
from elbax.experiments.results import setting_of, setting_stamp, write_arrays, write_results
from elbax.experiments.run_data import find
from elbax.methods import label
from elbax.models.config import ModelConfig
from elbax.models.interface import Model
from elbax.models.own import ModelBuilder
from elbax.training import checkpoints
from elbax.training.config import RunSpec
from elbax.training.folder import (
    identity_of,
    load_newest,
    read_account,
    read_config,
)
from elbax.training.origin import Origin
from elbax.training.setup import as_dataset, model_builder
from elbax.training.state import STATUS

_NUM_SHOWN = 20  # test images reconstructed, and samples drawn, for the pictures


@dataclass(frozen=True)
class Runs:
    """The runs of a folder, with the models of their newest checkpoint."""

    path: Path
    config: dict[str, Any]
    specs: tuple[RunSpec, ...]
    models: tuple[Model, ...]
    status: tuple[str, ...]
    epochs_done: int
    steps_done: int
    checkpoint: str
    """The hash of the states that the models are of."""

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
    """
    path = Path(path)
    config = read_config(path)
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
    static = eqx.filter(like, eqx.is_inexact_array, inverse=True)
    return Runs(
        path=path,
        config=config,
        specs=tuple(specs),
        models=tuple(eqx.combine(state["params"], static) for state in states),
        status=tuple(STATUS[int(state["status"])] for state in states),
        epochs_done=int(states[0]["step"]) // max(1, per_epoch),
        steps_done=int(states[0]["step"]),
        checkpoint=checkpoints.content_hash(file),
    )


def origin_of(runs: Runs, seeds: Sequence[int] = (0,), *, name: str | None = None) -> Origin:
    """The runs of a folder as a start for new ones, for `elbax.fit(origin=...)`.

    Args:
        runs: from `load_runs`.
        seeds: those of the new runs; each starts from the run of its own seed.
        name: one run, to start all of them from.

    Raises:
        InputError: no such run, no single run for a seed, or one that diverged.
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
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
    }
    # Folders from before models were standardized do not say so; under a Bernoulli likelihood, to
    # which it means nothing, none does.
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


def evaluate_runs(
    runs: Runs,
    dataset: Dataset | np.ndarray | None = None,
    *,
    ks: Sequence[int] = (1, 64, 5000),
    num_data: int | None = None,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    write: bool = True,
) -> dict[str, Any]:
    """Evaluate every run on the test data; write what was found into the folder.

    results.json has the means, per_datum.npz every bound of every datum (`bounds [R, K, N]`,
    `finite [R, K, N]`, `ess [R, N]`; of images `ssim [R, N]`), images.npz pictures. The first two
    are also kept under a name of their own for every setting (`ks`, `num_data`, `seed`), such as
    results-k1-64-n360-seed0.json. Each says its setting and the hash of the checkpoint it is of.
    The test data are binarised once, by `seed`, the same for every run.

    Args:
        runs: from `load_runs`.
        dataset: the data they were trained on, or an array of such; loaded if omitted.
        ks: sample counts; the largest gives log p-hat.
        num_data: how many test data, from the first; all if omitted.
        seed: of the binarisation and of the samples.
        progress: told the run's number and the fraction of it that is done.
        write: leave out to only return what was found, for data that are not the runs' own.

    Returns:
        The content of results.json.

    Raises:
        InputError: a count below 1.
    """
    begun, ks = time.perf_counter(), sample_counts(ks)
    dataset = load_data_of(runs) if dataset is None else as_dataset(dataset)
    x = dataset.evaluation_split("test", seed, num_data)
    entries, pictures, evaluations, similarities = [], [], [], []
    for index, spec in enumerate(runs.specs):
        told = None if progress is None else (lambda done, i=index: progress(i, done))
        found = evaluate(runs.models[index], x, key=key_of(seed), ks=ks, progress=told)
        entry, shown, similar = _describe(runs, index, spec, dataset, x, found, seed)
        entries.append(entry)
        pictures.append(shown)
        evaluations.append(found)
        if similar is not None:
            similarities.append(similar)
    setting = setting_of(ks, len(x), seed) | {"checkpoint": runs.checkpoint}
    results = {
        "format": 1,
        "elbax": __version__,
        "dataset": {
            "name": dataset.name,
            "num_train": len(dataset.train),
            "num_test": len(dataset.test),
            "event_shape": list(dataset.event_shape),
            "binarise": dataset.binarise,
            "held_out": dataset.test is not dataset.train,
        },
        "evaluation": setting | {"seconds": time.perf_counter() - begun},
        "training": {
            "epochs": runs.epochs_done,
            "steps": runs.steps_done,
            **read_account(runs.path),
        },
        "runs": entries,
    }
    if not write:
        return results
    arrays = {
        "bounds": np.stack([found.bounds for found in evaluations]),
        "finite": np.stack([found.finite for found in evaluations]),
        "ess": np.stack([found.ess for found in evaluations]),
    } | ({"ssim": np.stack(similarities)} if similarities else {})
    write_results(runs.path, setting, results, arrays)
    if len(dataset.event_shape) == 2:
        shown = dataset.intensities("test")[:_NUM_SHOWN]
        _write_images(runs.path / "images.npz", shown, pictures, setting)
    return results


def _describe(runs, index, spec, dataset, x, evaluation, seed):
    """One run's entry in results.json, its reconstructions and samples, and SSIM per datum."""
    model = runs.models[index]
    key = key_of(seed)
    units, doubt = _active_units(model, x, key)
    estimates = {name: evaluation.estimate(name) for name in evaluation.metrics()}
    rebuilt = reconstructions(model, x)
    ssim_sd = similar = None
    if len(dataset.event_shape) == 2 and min(dataset.event_shape) >= 3:
        similar = ssim(dataset.intensities("test")[: len(x)], np.clip(rebuilt, 0, 1))
        error = float(similar.std(ddof=1)) if len(similar) > 1 else float("nan")
        estimates["ssim"] = Estimate(float(similar.mean()), error / len(similar) ** 0.5)
        ssim_sd = error
    metrics = {name: estimate.mean for name, estimate in estimates.items()}
    rate = "" if spec.learning_rate is None else f" lr {spec.learning_rate:g}"
    entry = {
        "name": spec.name,
        "method": spec.method + rate,
        "label": label(spec.method) + rate + _descent(runs.config.get("origin")),
        "seed": spec.seed,
        "status": runs.status[index],
        "metrics": _finite(metrics) | {"active_units": None if units is None else sum(units)},
        "active_units": units,
        "active_units_unknown": doubt,
        "standard_errors": _finite({n: e.standard_error for n, e in estimates.items()}),
        "ssim_sd": ssim_sd,
        "num_nonfinite": evaluation.num_nonfinite,
    }
    shown = (rebuilt[:_NUM_SHOWN], prior_samples(model, _NUM_SHOWN, key=key))
    return entry, shown, similar


def _active_units(model: Model, x: np.ndarray, key) -> tuple[list[int] | None, str | None]:
    """Counts per layer, or why there are none."""
    try:
        return list(active_units(model, x, key=key)), None
    except InputError as error:
        return None, str(error)


def _descent(origin: dict[str, Any] | None) -> str:
    """What runs were before they were trained as they are now: " from VAE(1)"."""
    if origin is None:
        return ""
    if "memory" in origin:
        return " from a model in memory"
    methods = dict.fromkeys(label(method) for method in origin["methods"])
    return f" from {' or '.join(methods)}{_descent(origin.get('origin'))}"


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _write_images(path: Path, originals: np.ndarray, pictures: list, setting: dict) -> None:
    write_arrays(
        path,
        originals=originals.astype(np.float32),
        reconstructions=np.stack([rebuilt for rebuilt, _ in pictures]).astype(np.float32),
        samples=np.stack([drawn for _, drawn in pictures]).astype(np.float32),
        setting=np.array(setting_stamp(setting)),
    )
