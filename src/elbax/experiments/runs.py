"""Trained runs as they lie in a folder: load them, evaluate them, write what was found."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._errors import CheckpointError, DataError, InputError
from elbax._files import write_atomically
from elbax._version import __version__
from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.evaluation.images import ssim
from elbax.evaluation.likelihood import Estimate, evaluate
from elbax.evaluation.posterior import active_units, prior_samples, reconstructions
from elbax.methods import label
from elbax.models.config import ModelConfig
from elbax.models.interface import Model
from elbax.training import checkpoints
from elbax.training.config import RunSpec
from elbax.training.folder import (
    identity_of,
    json_bytes,
    newest_checkpoint,
    read_account,
    read_config,
)
from elbax.training.setup import ModelBuilder, model_builder
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


def load_runs(path: str | Path, *, model: ModelBuilder | None = None) -> Runs:
    """Load every run of a folder that `elbax.fit` wrote.

    Args:
        path: the folder.
        model: the function that built the models, where they are of the user's own.

    Raises:
        CheckpointError: no runs there, or a checkpoint that cannot be read.
    """
    path = Path(path)
    config = read_config(path)
    newest = newest_checkpoint(path)
    if newest is None:
        raise CheckpointError(
            f"folder '{path}' holds no checkpoint yet; train it further with --resume."
        )
    like = _builder(config, model)(jax.random.key(0))
    expected = {
        "params": eqx.filter(like, eqx.is_inexact_array),
        "status": jnp.zeros((), jnp.int32),
        "step": jnp.zeros((), jnp.int32),
    }
    states = checkpoints.load(newest, expected, identity=identity_of(config), partial=True)
    static = eqx.filter(like, eqx.is_inexact_array, inverse=True)
    return Runs(
        path=path,
        config=config,
        specs=tuple(
            RunSpec(run["method"], run["seed"], run["learning_rate"]) for run in config["runs"]
        ),
        models=tuple(eqx.combine(state["params"], static) for state in states),
        status=tuple(STATUS[int(state["status"])] for state in states),
        epochs_done=int(states[0]["step"]) // max(1, config["data"]["steps_per_epoch"]),
    )


def _builder(config: dict[str, Any], model: ModelBuilder | None) -> ModelBuilder:
    described = config["model"]
    if model is not None:
        return model
    if "custom" in described:
        raise InputError(
            f"these runs have a model of your own ({described['custom']}); load them in Python "
            "with `load_runs(folder, model=...)`."
        )
    described: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
    }
    return model_builder(ModelConfig(**described), tuple(config["data"]["event_shape"]))


def load_data_of(runs: Runs, *, data_dir: str | None = None) -> Dataset:
    """The data set that the runs were trained on.

    Raises:
        DataError: it cannot be found, or has changed since.
    """
    request = runs.config["data"]["request"]
    if request is None:
        raise DataError(
            f"the runs in '{runs.path}' were trained on an array in memory; evaluate them in "
            "Python with `elbax.evaluate`."
        )
    dataset = load_data(data_dir=data_dir, **request)
    if dataset.fingerprint() != runs.config["data"]["fingerprint"]:
        raise DataError(
            f"the data '{request['name_or_path']}' are not those that '{runs.path}' was trained "
            "on (their fingerprint differs); restore the original file."
        )
    return dataset


def evaluate_runs(
    runs: Runs,
    dataset: Dataset,
    *,
    ks: Sequence[int] = (1, 64, 5000),
    num_data: int | None = None,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Evaluate every run on the test data; write results.json and images.npz into the folder.

    The test data are binarised once, by `seed`, the same for every run.

    Args:
        runs: from `load_runs`.
        dataset: from `load_data_of`.
        ks: sample counts; the largest gives log p-hat.
        num_data: how many test data, from the first; all if omitted.
        seed: of the binarisation and of the samples.
        progress: told the run's number and the fraction of it that is done.

    Returns:
        The content of results.json.
    """
    begun = time.perf_counter()
    x = dataset.evaluation_split("test", seed)[:num_data]
    entries, pictures = [], []
    for index, spec in enumerate(runs.specs):
        told = None if progress is None else (lambda done, i=index: progress(i, done))
        entry, shown = _evaluate_one(runs, index, spec, dataset, x, ks, seed, told)
        entries.append(entry)
        pictures.append(shown)
    results = {
        "format": 1,
        "elbax": __version__,
        "dataset": {
            "name": dataset.name,
            "num_train": len(dataset.train),
            "num_test": len(dataset.test),
            "event_shape": list(dataset.event_shape),
            "binarise": dataset.binarise,
        },
        "evaluation": {"ks": sorted(set(ks)), "num_data": len(x), "seed": seed}
        | {"seconds": time.perf_counter() - begun},
        "training": {
            "epochs": runs.epochs_done,
            "steps": runs.epochs_done * runs.config["data"]["steps_per_epoch"],
            **read_account(runs.path),
        },
        "runs": entries,
    }
    write_atomically(runs.path / "results.json", json_bytes(results))
    if len(dataset.event_shape) == 2:
        shown = dataset.intensities("test")[:_NUM_SHOWN]
        _write_images(runs.path / "images.npz", shown, pictures)
    return results


def _evaluate_one(runs, index, spec, dataset, x, ks, seed, progress):
    """One run's entry in results.json, and its reconstructions and samples."""
    model = runs.models[index]
    key = jax.random.key(seed)
    evaluation = evaluate(model, x, key=key, ks=ks, progress=progress)
    estimates = {name: evaluation.estimate(name) for name in evaluation.metrics()}
    rebuilt = reconstructions(model, x)
    ssim_sd = None
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
        "label": label(spec.method) + rate,
        "seed": spec.seed,
        "status": runs.status[index],
        "metrics": _finite(metrics) | {"active_units": active_units(model, x)},
        "standard_errors": _finite({n: e.standard_error for n, e in estimates.items()}),
        "ssim_sd": ssim_sd,
        "num_nonfinite": evaluation.num_nonfinite,
    }
    shown = (rebuilt[:_NUM_SHOWN], prior_samples(model, _NUM_SHOWN, key=key))
    return entry, shown


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _write_images(path: Path, originals: np.ndarray, pictures: list) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        originals=originals.astype(np.float32),
        reconstructions=np.stack([rebuilt for rebuilt, _ in pictures]).astype(np.float32),
        samples=np.stack([drawn for _, drawn in pictures]).astype(np.float32),
    )
    write_atomically(path, buffer.getvalue())
