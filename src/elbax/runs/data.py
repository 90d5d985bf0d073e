"""The data of trained runs: found again wherever they lie now, known by their fingerprint."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from elbax._errors import DataError, InputError
from elbax.data import registry
from elbax.data.dataset import Dataset
from elbax.data.load import load_data, load_other
from elbax.tables.schema import schema_from

_MOVED = " If the data of these runs have moved, name them with --data."
_OLD_LEVELS = (255.0, 1.0)  # whole numbers 0 to 255 were grey images, in tables too


def find(
    config: dict[str, Any],
    folder: Path,
    *,
    data_dir: str | None = None,
    data: str | None = None,
    split: str = "test",
) -> Dataset:
    """The data set of a config.json, or another one; see `elbax.runs.load.load_data_of`."""
    request: dict[str, Any] | None = config["data"]["request"]
    if request is None and data is None:
        raise DataError(
            f"the runs in '{folder}' were trained on an array in memory; evaluate them in "
            "Python with `elbax.evaluate`, or on a file with --data."
        )
    found = None if request is None else _same(config, data, data_dir)
    if found is None and data is None:
        assert request is not None  # refused above
        raise DataError(
            f"the data '{request['name_or_path']}' are not those that '{folder}' was trained "
            "on (their fingerprint differs); restore the original file, or name it with --data."
        )
    if found is None:
        found = _other(config, folder, str(data), data_dir)
    return found if split == "test" else _with_test(found, split)


def as_begun(
    config: dict[str, Any], data: str, *, data_dir: str | None = None, **asked: Any
) -> Dataset | None:
    """The data that runs go on with, if those asked for are theirs; what is None is left to them.

    A mode or levels that the runs took by default then stay, whatever the default is now.
    """
    begun = config.get("data")
    request = begun.get("request") if isinstance(begun, dict) else None
    if not isinstance(request, dict) or any(
        request.get(name, value) != value for name, value in asked.items() if value is not None
    ):
        return None
    return _same(config, data, data_dir)


def refuse_overlap(
    config: dict[str, Any], folder: Path, dataset: Dataset, *, data_dir: str | None = None
) -> None:
    """Refuse test data that the runs to start from were trained on, as another split seed makes.

    Raises:
        DataError: half of the test data or more are among their training data.
    """
    request = config["data"]["request"]
    if request is None or dataset.fingerprint() == config["data"]["fingerprint"]:
        return
    try:
        before = find(config, folder, data_dir=data_dir)
    except DataError:  # its file may be the new one, which has moved
        moved = dataset.request
        before = None if moved is None else _same(config, moved["name_or_path"], data_dir)
    if before is None or before.event_shape != dataset.event_shape:
        return
    seen = {row.tobytes() for row in before.intensities("train")}
    both = sum(row.tobytes() in seen for row in dataset.intensities("test"))
    if 2 * both >= len(dataset.test):
        raise DataError(
            f"expected test data that '{folder}' was not trained on; {both} of the "
            f"{len(dataset.test)} are among its training data. Give its --data-seed, "
            f"{request['seed']}."
        )


def _same(config: dict[str, Any], data: str | None, data_dir: str | None) -> Dataset | None:
    """The data of that fingerprint, or None if what lies there is other data."""
    request = config["data"]["request"]
    for dataset in _readings(request, data, data_dir):
        if dataset.fingerprint() == config["data"]["fingerprint"]:
            return dataset
    return None


def _readings(request: dict[str, Any], data: str | None, data_dir: str | None) -> Iterator[Dataset]:
    """What a request may mean: one thing, or several for one from before levels were recorded."""
    request = request | ({} if data is None else {"name_or_path": data})
    if request["name_or_path"] in registry.names():
        request = {name: value for name, value in request.items() if name != "levels"}
    is_old = "levels" not in request and request["name_or_path"] not in registry.names()
    requests: list[dict[str, Any]] = (
        [request | {"levels": levels} for levels in _OLD_LEVELS] if is_old else [request]
    )
    if "colour" not in request and Path(request["name_or_path"]).expanduser().is_dir():
        # Folders were read as grey before they were read in colour.
        requests += [one | {"colour": False} for one in requests]
    for one in requests:
        try:
            dataset = load_data(data_dir=data_dir, **one)
        except DataError as error:
            if data is not None or one is not requests[-1]:
                continue
            hint = "" if request["name_or_path"] in registry.names() else _MOVED
            raise DataError(f"{error}{hint}") from None
        yield dataset
        if is_old and dataset.valid is not None:
            yield replace(dataset, valid=None)  # `val` was not read


def _other(config: dict[str, Any], folder: Path, data: str, data_dir: str | None) -> Dataset:
    """Other data, read as the runs' own were."""
    own = config["data"]
    request = own["request"] or {"levels": own.get("levels", 1.0)}
    dataset = load_other(
        data,
        data_dir=data_dir,
        binarise=own["binarise"],
        seed=request.get("seed", 0),
        levels=request.get("levels"),
        **_looks(own["event_shape"], data),
        **_cells(config, request),
    )
    if list(dataset.event_shape) != own["event_shape"]:
        raise DataError(
            f"expected data of shape {own['event_shape']}, which the runs in '{folder}' model; "
            f"got {list(dataset.event_shape)} in '{data}'."
        )
    return dataset


def _looks(event_shape: list[int], data: str) -> dict[str, Any]:
    """How a folder of images is read: in colour if the runs' own data are."""
    if not Path(data).expanduser().is_dir():
        return {}
    return {"colour": len(event_shape) == 3}


def _cells(config: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """How cells are read, where the runs model a table: under their own schema."""
    described = config.get("model")
    try:
        schema = schema_from(described.get("table") if isinstance(described, dict) else None)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise DataError(f"the table of these runs is none that elbax wrote ({error}).") from None
    return {} if schema is None else {"schema": schema, "header": request.get("header")}


def _with_test(dataset: Dataset, split: str) -> Dataset:
    """The data set with another split in the place of its test data."""
    if split not in ("train", "valid"):
        raise InputError(f"expected split to be test, train or valid; got '{split}'.")
    labels = dataset.train_labels if split == "train" else None
    name = f"{dataset.name} ({split})"
    return replace(dataset, name=name, test=dataset.split(split), test_labels=labels)
