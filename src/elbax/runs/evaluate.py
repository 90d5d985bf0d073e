"""Evaluate the runs of a folder, and write what was found."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from elbax._errors import InputError
from elbax._files import finite
from elbax._keys import key_of
from elbax._version import __version__
from elbax.data.dataset import Dataset
from elbax.evaluation.images import are_images, ssim
from elbax.evaluation.likelihood import Estimate, Evaluation, evaluate, sample_counts
from elbax.evaluation.posterior import prior_samples, reconstructions
from elbax.evaluation.units import active_units
from elbax.models.interface import Model
from elbax.runs.columns import can_be_shown, columns_study
from elbax.runs.groups import by_method
from elbax.runs.load import Runs, load_data_of
from elbax.runs.results import setting_of, setting_stamp, write_arrays, write_results
from elbax.runs.trust import Checks, Found, checked_run, earlier
from elbax.spelling import label
from elbax.tables.table import Table
from elbax.training.environment import environment
from elbax.training.recorded import read_account
from elbax.training.suited import as_dataset

_NUM_SHOWN = 20  # test images reconstructed, and samples drawn, for the pictures
_OF_BOUNDS = 0.1  # of the time of a run that is checked, about


def evaluate_runs(
    runs: Runs,
    dataset: Dataset | Table | np.ndarray | None = None,
    *,
    ks: Sequence[int] = (1, 64, 5000),
    num_data: int | None = None,
    seed: int = 0,
    checks: Checks | None = None,
    progress: Callable[[int, float], None] | None = None,
    write: bool = True,
    over_processes: bool = False,
) -> dict[str, Any]:
    """Evaluate every run on the test data; write what was found into the folder.

    results.json has the means, per_datum.npz every bound of every datum (`bounds [R, K, N]`,
    `finite [R, K, N]`, `ess [R, N]`, `khat [R, N]`; of images `ssim [R, N]`; of checks
    `ais [R, N]`, `bdmc_upper [R, M]` and others), images.npz pictures; of a table columns.json
    has, of one run of each method, samples beside data, column by column, and what is imputed for
    cells that were hidden.
    The first two are also kept under a name of their own for every setting (`ks`, `num_data`,
    `seed`), such as results-k1-64-n360-seed0.json. Each says its setting and the hash of the
    checkpoint it is of.
    The test data are binarised once, by `seed`, the same for every run.

    Args:
        runs: from `load_runs`.
        dataset: the data they were trained on, an array or a table of such; loaded if omitted.
        ks: sample counts; the largest gives log p-hat.
        num_data: how many test data, from the first; all if omitted.
        seed: of the binarisation and of the samples.
        checks: other estimates of log p(x) to set beside log p-hat; what earlier ones found in the
            same evaluation is kept.
        progress: told the run's number and the fraction of it that is done.
        write: leave out to only return what was found, for data that are not the runs' own.
        over_processes: share the data among the processes of `jax.distributed`, all of which make
            this call; one of them should write.

    Returns:
        The content of results.json.

    Raises:
        InputError: a count below 1, or checks that a model does not allow.

    >>> import tempfile
    >>> import elbax
    >>> config, folder = elbax.TrainConfig(epochs=1), tempfile.mkdtemp()
    >>> data = elbax.load_data("digits")
    >>> _ = elbax.fit("iwae(k=2)", data, model="small", config=config, directory=folder)
    >>> found = elbax.evaluate_runs(elbax.load_runs(folder), ks=(1, 8), num_data=20)
    >>> found["runs"][0]["label"], found["runs"][0]["metrics"]["gap_1"] < 0
    ('IWAE(2)', True)
    """
    begun, ks = time.perf_counter(), sample_counts(ks)
    dataset = load_data_of(runs) if dataset is None else as_dataset(dataset)
    x = dataset.evaluation_split("test", seed, num_data)
    if checks is not None:
        checks.check(runs.models)
    parts = [
        _evaluated(runs, index, dataset, x, ks, seed, checks, progress, over_processes)
        for index in range(len(runs.specs))
    ]
    setting = setting_of(ks, len(x), seed) | {"checkpoint": runs.checkpoint}
    kept = earlier(runs.path, setting) if write else None
    if kept is not None and len(kept) == len(parts):
        parts = [
            one._replace(found=before if one.found is None else one.found.over(before))
            for one, before in zip(parts, kept, strict=True)
        ]
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
        "evaluation": setting | {"seconds": time.perf_counter() - begun, **environment()},
        "training": {
            "epochs": runs.epochs_done,
            "epochs_in_all": runs.config["train"]["epochs"],
            "steps": runs.steps_done,
            **read_account(runs.path),
        },
        "runs": [one.entry if one.found is None else one.found.into(one.entry) for one in parts],
    }
    if not write:
        return results
    if can_be_shown(runs, dataset):
        shown = [method.shown for method in by_method(results)]
        columns_study(runs, shown, dataset, x, setting, progress=progress)
    elif are_images(dataset.event_shape):
        shown = dataset.intensities("test")[:_NUM_SHOWN]
        _write_images(runs.path / "images.npz", shown, [one.pictures for one in parts], setting)
    write_results(runs.path, setting, results, _arrays(parts))
    return results


class _Evaluated(NamedTuple):
    """One run: its entry in results.json, and what goes into the arrays."""

    entry: dict[str, Any]
    pictures: tuple[np.ndarray, np.ndarray]
    evaluation: Evaluation
    similar: Any  # SSIM [N], or None where the data are no images
    found: Found | None


def _evaluated(runs, index, dataset, x, ks, seed, checks, progress, over_processes) -> _Evaluated:
    of_bounds = 1.0 if checks is None else _OF_BOUNDS

    def told(done: float) -> None:
        if progress is not None:
            progress(index, done)

    # A few more bounds cost nothing, and a curve against k wants them.
    model = runs.models[index]
    whole = evaluate(
        model,
        x,
        key=key_of(seed),
        ks=between(ks),
        progress=lambda done: told(of_bounds * done),
        over_processes=over_processes,
    )
    evaluation, found = _only(whole, ks), None
    if checks is not None:
        found = checked_run(
            model, x, evaluation, checks, seed, lambda d: told(of_bounds + (1 - of_bounds) * d)
        )
    entry, pictures, similar = _describe(
        runs, index, runs.specs[index], dataset, x, evaluation, seed
    )
    return _Evaluated(entry | {"curve": _curve(whole)}, pictures, evaluation, similar, found)


def _arrays(parts: Sequence[_Evaluated]) -> dict[str, np.ndarray]:
    """Values of every datum by name, runs on the first axis."""
    evaluations = [one.evaluation for one in parts]
    similar = [one.similar for one in parts if one.similar is not None]
    others = [one.found.arrays for one in parts if one.found is not None]
    return {
        "bounds": np.stack([found.bounds for found in evaluations]),
        "finite": np.stack([found.finite for found in evaluations]),
        "ess": np.stack([found.ess for found in evaluations]),
        "khat": np.stack([np.asarray(found.khat) for found in evaluations]),
        **({"ssim": np.stack(similar)} if similar else {}),
        **({name: np.stack([one[name] for one in others]) for name in others[0]} if others else {}),
    }


def between(ks: Sequence[int]) -> tuple[int, ...]:
    """Sample counts with powers of 4 put where they leave a factor of 2 to those beside them.

    >>> between((1, 64, 5000)), between((1, 5))
    ((1, 4, 16, 64, 256, 1024, 5000), (1, 5))
    """
    powers = [4**n for n in range(1, 16) if min(ks) < 4**n < max(ks)]
    apart = [p for p in powers if all(max(p, k) >= 2 * min(p, k) for k in ks)]
    return tuple(sorted({*ks, *apart}))


def _only(found: Evaluation, ks: tuple[int, ...]) -> Evaluation:
    """The bounds of some sample counts alone."""
    rows = [found.ks.index(k) for k in ks]
    return replace(found, ks=ks, bounds=found.bounds[rows], finite=found.finite[rows])


def _curve(found: Evaluation) -> dict[str, Any]:
    """IWAE-k against k, means over the data with their standard errors."""
    estimates = {k: found.estimate(f"iwae_{k}") for k in found.ks}
    finite = {k: e for k, e in estimates.items() if np.isfinite((e.mean, e.standard_error)).all()}
    return {
        "k": list(finite),
        "mean": [estimate.mean for estimate in finite.values()],
        "standard_error": [estimate.standard_error for estimate in finite.values()],
    }


def _describe(runs, index, spec, dataset, x, evaluation, seed):
    """One run's entry in results.json, its reconstructions and samples, and SSIM per datum."""
    model = runs.models[index]
    key = key_of(seed)
    units, doubt = _active_units(model, x, key)
    estimates = {name: evaluation.estimate(name) for name in evaluation.metrics()}
    rebuilt = reconstructions(model, x)
    ssim_sd = similar = None
    if are_images(dataset.event_shape) and min(dataset.event_shape) >= 3:
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
        "metrics": finite(metrics) | {"active_units": None if units is None else sum(units)},
        "active_units": units,
        "active_units_unknown": doubt,
        "standard_errors": finite({n: e.standard_error for n, e in estimates.items()}),
        "ssim_sd": ssim_sd,
        "num_nonfinite": evaluation.num_nonfinite,
        "num_unreliable": int((~evaluation.is_reliable).sum()),
        "mc_error": finite(evaluation.mc_error),
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


def _write_images(path: Path, originals: np.ndarray, pictures: list, setting: dict) -> None:
    write_arrays(
        path,
        originals=originals.astype(np.float32),
        reconstructions=np.stack([rebuilt for rebuilt, _ in pictures]).astype(np.float32),
        samples=np.stack([drawn for _, drawn in pictures]).astype(np.float32),
        setting=np.array(setting_stamp(setting)),
    )
