"""Reads what training and evaluation left in a run folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from elbax._errors import CheckpointError, InputError
from elbax._reading import (
    MOST_LINES,
    UnreadableError,
    decoded,
    held,
    read_bytes,
    read_json,
    read_npz,
)
from elbax.evaluation.images import are_images
from elbax.runs.columns_file import read_columns
from elbax.runs.results import setting_stamp
from elbax.runs.schemas import CalibrationFile, Results, Snr, Units
from elbax.spelling import label
from elbax.training import metrics
from elbax.training.config import RunSpec
from elbax.training.recorded import read_config

FORMAT = 1


class _Entry(TypedDict):
    run: str
    epoch: int


@dataclass(frozen=True)
class RunResults:
    """What one run directory holds.

    Attributes:
        results: `results.json`: data set, evaluation settings, one entry of metrics per run.
        metrics: `metrics.jsonl`: one entry per run and epoch.
        config: `config.json`: the configuration the runs were trained with.
        images: `images.npz`, levels in [0, 1]: `originals [n, H, W]` or, in colour,
            `[n, H, W, 3]`, `reconstructions [R, n, ..]` and `samples [R, m, ..]`, runs in the order
            of `results["runs"]`; None where the data are not images.
        per_datum: `per_datum.npz`: `bounds [R, K, N]`, `finite [R, N]`, `ess [R, N]` and perhaps
            `ssim [R, N]`; None where it does not belong to these results.
        snr: `snr.json`, which `elbax snr` writes; None where it was not measured.
        units: `units.json`, which `elbax evaluate --active-units` writes; None likewise.
        calibration: `calibration.json`, which `elbax evaluate --calibration` writes; likewise.
        columns: `columns.json`, of runs on a table; likewise.
    """

    results: dict[str, Any]
    metrics: list[dict[str, Any]]
    config: dict[str, Any]
    images: dict[str, np.ndarray] | None
    per_datum: dict[str, np.ndarray] | None = None
    snr: dict[str, Any] | None = None
    units: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    columns: dict[str, Any] | None = None


def read(run_dir: str | Path) -> RunResults:
    """Read a run directory.

    Args:
        run_dir: a folder with `results.json`, `metrics.jsonl`, `config.json` and, for image data,
            `images.npz`.

    Raises:
        InputError: if the folder or a file is missing or not what its name says.
    """
    folder = Path(run_dir)
    evaluate = f"run `elbax evaluate {folder}` first"
    train = "give a directory that `elbax train` or `elbax compare` wrote"
    results = read_results(folder)
    config = _parse(folder / "config.json", train)
    lines = _metrics(folder / "metrics.jsonl", train)
    images = _images(folder / "images.npz", len(results["runs"]), evaluate)
    _check_pair(images, results["evaluation"], folder / "images.npz", evaluate)
    return RunResults(
        results,
        lines,
        config,
        images,
        per_datum=per_datum_or_none(folder, results),
        snr=measured(folder / "snr.json", Snr, "elbax snr"),
        units=measured(folder / "units.json", Units, "elbax evaluate --active-units"),
        calibration=measured(
            folder / "calibration.json", CalibrationFile, "elbax evaluate --calibration"
        ),
        columns=read_columns(folder, results["evaluation"]),
    )


def read_training(run_dir: str | Path) -> RunResults:
    """What a run directory holds of the training, evaluated or not.

    Raises:
        InputError: it was not written by `elbax train` or `elbax compare`.
    """
    folder = Path(run_dir)
    if (folder / "results.json").exists():
        return read(folder)
    try:
        config = read_config(folder)
        specs = [
            RunSpec(one["method"], one["seed"], one.get("learning_rate")) for one in config["runs"]
        ]
        lines = metrics.read(folder / "metrics.jsonl")  # without a last one that is being written
    except CheckpointError as error:
        raise InputError(str(error)) from None
    return RunResults({"runs": [_untold(spec) for spec in specs]}, lines, config, None)


def _untold(spec: RunSpec) -> dict[str, Any]:
    """The entry in results.json of a run that was not evaluated."""
    rate = "" if spec.learning_rate is None else f" lr {spec.learning_rate:g}"
    return {
        "name": spec.name,
        "method": spec.method + rate,
        "label": label(spec.method) + rate,
        "seed": spec.seed,
        "status": "ok",
        "metrics": {},
    }


def read_results(run_dir: str | Path) -> dict[str, Any]:
    """The content of a run directory's `results.json`, alone.

    Raises:
        InputError: there is none, or it is not what its name says.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise InputError(f"no run directory at '{folder}'; give one that `elbax train` wrote.")
    evaluate = f"run `elbax evaluate {folder}` first"
    results = _parse(folder / "results.json", evaluate)
    _check(results, folder / "results.json", evaluate)
    return results


def _parse(path: Path, cure: str, schema: Any = dict[str, Any]) -> Any:
    try:
        return read_json(path, schema)
    except FileNotFoundError:
        raise InputError(f"no {path.name} in '{path.parent}'; {cure}.") from None
    except UnreadableError as error:
        raise InputError(f"cannot read '{path}' ({error}); {cure}.") from None


def _check(results: Any, path: Path, cure: str) -> None:
    """Refuse a results.json that the tables could not be made from."""
    if results.get("format") != FORMAT:
        raise InputError(
            f"expected '{path}' in format {FORMAT}; got {results.get('format')}. Update elbax, or "
            f"{cure}."
        )
    try:
        held(results, Results)
    except UnreadableError as error:
        raise InputError(f"'{path}' is not as elbax writes it ({error}); {cure}.") from None
    ks = results["evaluation"]["ks"]
    if not ks or min(ks) < 1:
        raise InputError(f"expected evaluation.ks in '{path}' as counts; got {ks}; {cure}.")
    if not results["runs"]:
        raise InputError(f"'{path}' holds no runs; {cure}.")
    for run in results["runs"]:
        lists = [run["curve"][name] for name in ("k", "mean", "standard_error") if "curve" in run]
        if len(set(map(len, lists))) > 1:
            raise InputError(f"the curve of '{run['name']}' in '{path}' is torn; {cure}.")


def _metrics(path: Path, cure: str) -> list[dict[str, Any]]:
    try:
        lines = read_bytes(path, MOST_LINES).splitlines()
    except FileNotFoundError:
        raise InputError(f"no {path.name} in '{path.parent}'; {cure}.") from None
    except UnreadableError as error:
        raise InputError(f"cannot read '{path}' ({error}); {cure}.") from None
    entries = []
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entries.append(decoded(line, _Entry))
        except UnreadableError as error:
            raise InputError(
                f"line {place} of '{path}' is no record of a run ({error}); remove that line."
            ) from None
    return entries


def measured(path: Path, schema: Any, command: str) -> dict[str, Any] | None:
    """What a command wrote beside the results; None where it was not run.

    Raises:
        InputError: the file is not as that command writes it.
    """
    if not path.exists():
        return None
    content = _parse(path, f"measure it again with `{command}`", schema)
    told = content.get("lines", content.get("runs"))
    if content["format"] != FORMAT or not told or not all(map(_are_shares, _ranks(content))):
        raise InputError(f"expected '{path}' as `{command}` writes it; measure it again.")
    if not _agrees(content):
        raise InputError(f"lists in '{path}' are of different lengths; measure it again.")
    return content


def _ranks(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What a calibration.json has of each run, layer and kind of draws; of other files nothing."""
    return [one for run in content.get("runs", ()) for one in run.get("found", ())]


def _are_shares(one: dict[str, Any]) -> bool:
    """Whether what lies between 0 and 1 does."""
    numbers = [*one["shares"], *one["coverage"], *one["coverage_error"]]
    return all(0 <= number <= 1 for number in (*numbers, one["error"], one["p_value"]))


def _agrees(content: dict[str, Any]) -> bool:
    """Whether an snr.json has a number for each size, a units.json a count for each layer.

    And a calibration.json two coverages with their errors.
    """
    if "lines" not in content and "found" in content["runs"][0]:
        return all(
            len(one["coverage"]) == len(one["coverage_error"]) == 2 for one in _ranks(content)
        )
    if "lines" not in content:
        return all(len(run["active"]) == len(run["variances"]) for run in content["runs"])
    groups = [group for line in content["lines"] for group in line["groups"].values()]
    lists = [found for group in groups for found in group.values() if isinstance(found, list)]
    size = len(content["sizes"])
    networks = all(
        {"generative", "inference"} <= line["groups"].keys() for line in content["lines"]
    )
    return size > 0 and networks and all(len(found) == size for found in lists)


def _check_pair(images: dict | None, evaluation: dict, path: Path, cure: str) -> None:
    """Refuse pictures of another evaluation than the results; earlier files say nothing of it."""
    if images is None or (stamp := images.pop("setting", None)) is None:
        return
    if "checkpoint" in evaluation and str(stamp) != setting_stamp(evaluation):
        raise InputError(
            f"'{path}' and the results.json beside it are of different evaluations; {cure}."
        )


def _images(path: Path, num_runs: int, cure: str) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        images = read_npz(path)
    except UnreadableError as error:
        raise InputError(f"cannot read '{path}' ({error}); {cure}.") from None
    for name, axes in (("originals", 1), ("reconstructions", 2), ("samples", 2)):
        array = images.get(name)
        known = array is not None and array.ndim > axes and are_images(array.shape[axes:])
        if array is None or not known or 0 in array.shape or array.dtype.kind != "f":
            found = None if array is None else f"{array.dtype}{list(array.shape)}"
            expected = f"{axes} axes before those of an image [H, W] or [H, W, 3]"
            raise InputError(
                f"expected '{name}' in '{path}' as floats with {expected}; got {found}; {cure}."
            )
        if axes == 2 and len(array) != num_runs:
            raise InputError(
                f"expected '{name}' in '{path}' for {num_runs} runs; got {len(array)}; {cure}."
            )
    return images


def read_per_datum(folder: Path, results: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of per_datum.npz, if they belong to a folder's results.

    Returns:
        `bounds [R, K, N]`, `finite [R, N]` (of all bounds of a datum), and of `[R, N]` each `ess`,
        `khat` and `ssim`.

    Raises:
        InputError: they cannot be read, or are of another evaluation.
    """
    path, cure = folder / "per_datum.npz", f"run `elbax evaluate {folder}` again"
    try:
        known = ("bounds", "finite", "ess", "khat", "ssim")
        arrays = {name: array for name, array in read_npz(path).items() if name in known}
    except (OSError, UnreadableError) as error:
        raise InputError(f"cannot read '{path}' ({error}); {cure}.") from None
    evaluation = results["evaluation"]
    num_runs, num_data = len(results["runs"]), evaluation.get("num_data")
    expected = (num_runs, len(evaluation["ks"]), num_data)
    if "finite" in arrays and arrays["finite"].ndim == 3:  # of every bound; a datum needs them all
        arrays["finite"] = np.all(arrays["finite"], axis=1)
    shapes = {name: array.shape for name, array in arrays.items() if name != "bounds"}
    fits = "bounds" in arrays and "finite" in arrays and arrays["bounds"].shape == expected
    if not fits or any(shape != (num_runs, num_data) for shape in shapes.values()):
        raise InputError(
            f"expected '{path}' to hold bounds {list(expected)} as its results.json says; got "
            f"{ {name: list(array.shape) for name, array in arrays.items()} }; {cure}."
        )
    return arrays


def per_datum_or_none(folder: Path, results: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """The same, or None where there are none that belong: what is shown then has no errors."""
    try:
        return read_per_datum(folder, results)
    except InputError:
        return None


def folder_names(paths: Sequence[Path]) -> list[str]:
    """What folders are called beside each other: by as many of their parts as tell them apart.

    >>> folder_names([Path("/a/run"), Path("/b/run")]), folder_names([Path("/a/x"), Path("/a/y")])
    (['a/run', 'b/run'], ['x', 'y'])
    """
    parts = [path.resolve().parts for path in paths]
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
