"""Load a data set by name or path: find it, read it, check it, binarise it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import DataError
from elbax.data import registry
from elbax.data.binarise import binarise_fixed
from elbax.data.checks import check_images
from elbax.data.dataset import MODES, Dataset
from elbax.data.fetch import locate
from elbax.data.own import read_own
from elbax.data.readers import read_amat, read_chardata, read_idx, read_npz
from elbax.data.registry import DataSource
from elbax.tables.schema import parse_types


def load_data(
    name_or_path: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    binarise: str | None = None,
    seed: int = 0,
    num_valid: int = 0,
    levels: float | int | None = None,
    types: Mapping[str, str] | str | None = None,
    header: bool | None = None,
    colour: bool | None = None,
) -> Dataset:
    """Load a data set by name, or your own from a file or folder.

    Args:
        name_or_path: a name that `elbax.data.registry.names` lists, or the path of an .npy file,
            an .npz archive, a folder of images, or a table: .csv, .tsv, .txt or .parquet.
        data_dir: where the files of a named set are, directly or in its sub-folder; by default
            the folder in ELBAX_DATA, then the cache, then a download.
        binarise: "dynamic" (grey, drawn afresh per minibatch), "fixed" (every pixel drawn once),
            "threshold" (intensity above one half) or "none"; by default what is usual for the set:
            "dynamic" for grey images, "none" for images in colour, binary and real data and, once
            the likelihood is known (`Dataset.under`), under any but a Bernoulli one.
        seed: of the draws under "fixed", and of the test split of your own data.
        num_valid: how many of the last training rows to hold out as the validation split.
        levels: the stored value of your own data that means intensity 1, such as 255 or 16; by
            default 255 for images of whole numbers 0 to 255, else 1 (see `elbax.data.own`).
        types: kinds of a table's columns, "age=count,sex=categorical" (see `elbax.table_of`).
        header: whether the first line of a table in text names its columns; told by its looks if
            omitted.
        colour: whether the images of a folder are read in colour or as grey levels; by what they
            are if omitted.

    Returns:
        The data set, on the host.

    Raises:
        DataError: the name, a path, a file, an array or an argument is wrong; the message says
            what was expected, what came and what to do.

    >>> load_data("digits").train.shape
    (1437, 8, 8)
    """
    if binarise is not None and binarise not in MODES:
        raise DataError(f"expected binarise to be one of {', '.join(MODES)}; got '{binarise}'.")
    if seed < 0:
        raise DataError(f"expected a seed of at least 0; got {seed}.")
    if levels is not None and not 0 < levels < float("inf"):
        raise DataError(f"expected levels > 0, the value that means intensity 1; got {levels}.")
    if not isinstance(name_or_path, str | os.PathLike):
        raise DataError(
            f"expected the name or path of a data set; got {type(name_or_path).__name__}. An array "
            "is given to `elbax.fit` as it is, or as `elbax.Dataset(name=.., train=.., test=..)`."
        )
    asked: dict[str, str] = {}
    path = _is_path(name_or_path)
    if path:
        asked = parse_types(types) if isinstance(types, str) else dict(types or {})
        own = Path(name_or_path).expanduser()
        dataset = read_own(own, seed, levels, header=header, colour=colour, types=asked)
    elif types:
        raise DataError(f"expected no types for '{name_or_path}', which is no table; leave it out.")
    else:
        dataset = _read_by_name(str(name_or_path), data_dir, levels)
    mode = binarise or dataset.binarise
    name = str(Path(name_or_path).expanduser().resolve()) if path else str(name_or_path)
    request = {"name_or_path": name, "binarise": mode, "seed": seed, "num_valid": num_valid}
    request |= {"levels": dataset.levels} if path else {}
    request |= {} if colour is None else {"colour": colour}
    if dataset.schema is not None:
        _refuse_draws(mode, name)
        request |= {"types": asked, "header": header}
    divided = replace(held_out(dataset, num_valid), usual=binarise is None)
    return replace(_apply_mode(divided, mode, seed), request=request)


def load_other(
    name_or_path: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    binarise: str,
    seed: int = 0,
    levels: float | int | None = None,
    **cells: Any,
) -> Dataset:
    """Load data to score with a trained model: all rows of a single array are test data.

    Arguments and errors are those of `load_data`, `colour` among them; of a table also `schema` and
    `unseen`, as `elbax.table_of` takes them.
    """
    if not _is_path(name_or_path):
        return load_data(name_or_path, data_dir=data_dir, binarise=binarise, seed=seed)
    dataset = read_own(Path(name_or_path).expanduser(), seed, levels, whole=True, **cells)
    return _apply_mode(dataset, binarise, seed)


def _refuse_draws(mode: str, name: str) -> None:
    if mode != "none":
        raise DataError(
            f"expected no binarise for the table '{name}', whose cells are no grey levels; got "
            f"{mode}. Leave it out."
        )


def _read_by_name(name: str, data_dir: Any, levels: float | int | None) -> Dataset:
    source = registry.get(name)
    if levels not in (None, source.levels):
        raise DataError(
            f"expected no levels for {name}, in which {source.levels:g} means intensity 1; got "
            f"{levels:g}. Leave it out."
        )
    return read_known(source, locate(source, data_dir))


def _is_path(name_or_path: str | os.PathLike[str]) -> bool:
    """A name stays a name even beside a folder of that name; write ./mnist for the folder."""
    if not isinstance(name_or_path, str):
        return True
    if name_or_path in registry.names():
        return False
    path = Path(name_or_path).expanduser()
    return path.exists() or bool(path.suffix) or "/" in name_or_path or os.sep in name_or_path


def read_known(source: DataSource, files: dict[str, Path]) -> Dataset:
    """Read the files of a known data set, by role as `fetch.locate` returns them.

    Raises:
        DataError: a file cannot be read, or a split has not the size that the registry states.
    """
    arrays = _read_arrays(source, files)
    expected = {"train": source.num_train, "test": source.num_test, "valid": source.num_valid}
    for split, num_data in expected.items():
        shape = arrays[split].shape if split in arrays else (0, *source.event_shape)
        if shape != (num_data, *source.event_shape):
            raise DataError(
                f"expected {split} of {source.name} with shape "
                f"{[num_data, *source.event_shape]}; got {list(shape)}. Get the files again."
            )
    named: dict[str, Any] = {
        name: array.astype(np.int32) if name.endswith("_labels") else array
        for name, array in arrays.items()
    }
    return Dataset(
        name=source.name,
        **named,
        levels=source.levels,
        licence=source.licence,
        source=", ".join(path.name for path in files.values()) or "scikit-learn",
        binarise=source.binarise,
    )


def _read_arrays(source: DataSource, files: dict[str, Path]) -> dict[str, np.ndarray]:
    """Return train, test, and where there are some valid, train_labels, test_labels."""
    if not files:
        return _read_digits(source.num_train)
    if "train_images" in files:
        return {role.removesuffix("_images"): read_idx(path) for role, path in files.items()}
    if "chardata" in files:
        return read_chardata(files["chardata"])
    if "npz" in files:
        arrays = read_npz(files["npz"])
        labels = {f"{split}_labels": arrays.get(f"{split}_alphabet") for split in ("train", "test")}
        splits = {split: arrays.get(split) for split in ("train", "test", "valid")}
        return {key: array for key, array in (splits | labels).items() if array is not None}
    return {
        split: read_amat(path).reshape(-1, *source.event_shape) for split, path in files.items()
    }


def _read_digits(num_train: int) -> dict[str, np.ndarray]:
    """Shuffle, since scikit-learn keeps each writer's digits together, and split."""
    from sklearn.datasets import load_digits

    rows, labels = map(np.asarray, load_digits(return_X_y=True))
    images = rows.astype(np.uint8).reshape(-1, 8, 8)
    # RandomState, because NumPy promises that its streams never change.
    order = np.random.RandomState(0).permutation(len(images))
    train, test = order[:num_train], order[num_train:]
    return {
        "train": images[train],
        "test": images[test],
        "train_labels": labels[train],
        "test_labels": labels[test],
    }


def held_out(dataset: Dataset, num_valid: int) -> Dataset:
    """Take the last `num_valid` training rows, and drop their labels."""
    num_train = len(dataset.train)
    if num_valid == 0:
        return dataset
    if dataset.valid is not None:
        raise DataError(
            f"expected num_valid = 0, because {dataset.name} brings its own validation split of "
            f"{len(dataset.valid)}; got {num_valid}. Leave it out."
        )
    if not 0 < num_valid < num_train:
        raise DataError(
            f"expected num_valid from 0 to {num_train - 1}, less than the {num_train} training "
            f"rows of {dataset.name}; got {num_valid}."
        )
    labels = dataset.train_labels
    return replace(
        dataset,
        train=dataset.train[:-num_valid],
        valid=dataset.train[-num_valid:],
        train_labels=None if labels is None else labels[:-num_valid],
    )


def _apply_mode(dataset: Dataset, mode: str, seed: int) -> Dataset:
    if mode == "none":
        return replace(dataset, binarise=mode)
    splits = dataset.splits()
    for name, array in splits.items():
        check_images(
            array,
            likelihood="bernoulli",
            name=f"{name} of {dataset.name}, to binarise,",
            levels=dataset.levels,
        )
    if mode == "dynamic":
        return replace(dataset, binarise=mode)
    if mode == "fixed":
        binary = {
            name: binarise_fixed(array, dataset.levels, seed, name)
            for name, array in splits.items()
        }
    else:
        binary = {
            name: (array > dataset.levels / 2).astype(np.uint8) for name, array in splits.items()
        }
    return replace(dataset, **binary, levels=1.0, binarise=mode)
