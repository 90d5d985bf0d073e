"""Read a user's own data: .npy, .npz, or a folder of images."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import DataError
from elbax.data.checks import check_images, to_float32, warn
from elbax.data.dataset import Dataset
from elbax.data.pictures import read_image_folder
from elbax.data.readers import read_npy, read_npz
from elbax.data.tabled import table_dataset
from elbax.tables.files import is_table, read_raw
from elbax.tables.raw import from_array

_PREFIXES = ("", "x_", "X_")
_VALID = ("valid", "val", "validation", "dev")
_DARK = 128  # grey images without a value in the upper half were probably not stored as 0 to 255
_SPLIT_STREAM = 3  # after the streams of binarise.STREAMS: the split has random numbers of its own


def read_own(
    path: Path,
    seed: int = 0,
    levels: float | int | None = None,
    *,
    whole: bool = False,
    header: bool | None = None,
    colour: bool | None = None,
    **cells: Any,
) -> Dataset:
    """Read a file or folder into a data set.

    A .csv, .tsv, .txt or .parquet file is a table (`elbax.tables`), and so is an array with two
    axes where NaN says that a cell is missing, or where kinds of columns are given.

    An .npy file, an .npz archive with one array and a folder of images are shuffled by `seed`, and
    a tenth becomes the test split. An .npz archive may instead bring `train` and `test`, or
    `x_train` and `x_test`, with `valid`, `val`, `validation` or `dev`, and labels `train_labels`
    or `y_train`.

    What the values mean follows from their kind and the number of axes, unless `levels` says it:
    0 and 1 are binary; other whole numbers 0 to 255 are images (255 is white) with three axes or
    more, and a table of real numbers with two; all else is real data. Grey images have the mode
    "dynamic"; images in colour, `[N, H, W, 3]`, "none".

    Args:
        path: the file or folder.
        seed: of the test split.
        levels: the stored value that means intensity 1.
        header: whether the first line of a table in text names its columns; told by its looks if
            omitted.
        colour: whether images of a folder are read in colour; by what they are if omitted.
        cells: of tables: `types`, or `schema` and `unseen`, as `elbax.table_of` takes them.
        whole: take all rows of a single array as the test split (and as the training split).

    Raises:
        DataError: no such file, an unknown kind of file, unreadable, or arrays that do not fit.
    """
    split = None if whole else partial(split_off_test, seed=seed)
    if is_table(path) and not path.is_dir():
        return table_dataset(read_raw(path, header), path.stem, split, **cells)
    arrays = _read_arrays(path, colour)
    if _are_cells(arrays.get("all"), cells):
        raw = from_array(arrays["all"], source=f"'{path}'")
        return replace(table_dataset(raw, path.stem, split, **cells), source=str(path))
    if any(cells.values()):
        raise DataError(
            f"expected a table for kinds of columns; '{path}' holds arrays of another kind. Leave "
            "types out, or give a .csv, a .parquet or one array with two axes."
        )
    for name, array in arrays.items():
        if not name.endswith("_labels"):
            check_images(array, likelihood="real", name=f"{name} of {path}")
            _check_colours(array, f"{name} of {path}")
    if "all" in arrays:
        every = arrays["all"]
        arrays = {"train": every, "test": every} if whole else split_off_test(every, seed)
    train_labels = _take_labels("train_labels", arrays)
    test_labels = _take_labels("test_labels", arrays)
    images, levels = _store_compactly(arrays, levels, path)
    return Dataset(
        name=path.stem,
        train=images["train"],
        test=images["test"],
        valid=images.get("valid"),
        train_labels=train_labels,
        test_labels=test_labels,
        levels=levels,
        source=str(path),
        binarise="dynamic" if levels > 1 and not _in_colour(images["train"]) else "none",
        usual=True,
    )


def _in_colour(array: np.ndarray) -> bool:
    return array.ndim == 4 and array.shape[3] == 3


def _check_colours(array: np.ndarray, name: str) -> None:
    """Refuse images whose colours come first, which would be taken for something else."""
    if array.ndim == 4 and array.shape[1] == 3 and min(array.shape[2:]) > 4:
        raise DataError(
            f"expected images in colour as [N, H, W, 3]; got {name} of shape {list(array.shape)}, "
            "which is PyTorch's order. Save numpy.transpose(array, (0, 2, 3, 1))."
        )


def _are_cells(array: np.ndarray | None, cells: dict[str, Any]) -> bool:
    """Whether an array is a table with holes, or is to be taken for a table."""
    if array is None or array.ndim != 2:
        return False
    return any(cells.values()) or (array.dtype.kind == "f" and bool(np.isnan(array).any()))


def split_off_test(
    array: np.ndarray, seed: int, test_fraction: float = 0.1
) -> dict[str, np.ndarray]:
    """Shuffle `[N, *event]` by the seed and take the last tenth, at least one row, as test.

    >>> {name: len(part) for name, part in split_off_test(np.zeros((20, 3)), seed=0).items()}
    {'train': 18, 'test': 2}
    """
    num_test = max(1, round(test_fraction * len(array)))
    if num_test >= len(array):
        raise DataError(
            f"expected at least 2 rows, to split off a test set; got {len(array)}. "
            "Give more data, or an .npz archive with train and test."
        )
    sequence = np.random.SeedSequence(seed, spawn_key=(_SPLIT_STREAM,))
    order = np.random.Generator(np.random.PCG64(sequence)).permutation(len(array))
    return {"train": array[order[:-num_test]], "test": array[order[-num_test:]]}


def _read_arrays(path: Path, colour: bool | None) -> dict[str, np.ndarray]:
    """Return `{"all": array}`, or train, test and so on."""
    if not path.exists():
        raise DataError(f"expected a file or folder; '{path}' does not exist. Check the path.")
    if path.is_dir():
        return {"all": read_image_folder(path, colour)}
    if path.suffix == ".npy":
        return {"all": read_npy(path)}
    if path.suffix == ".npz":
        return _choose_keys(read_npz(path), path)
    raise DataError(
        f"{path}: expected a table (.csv, .parquet), an .npy file, an .npz archive or a folder of "
        f"images; got '{path.suffix or path.name}'. Save the array with numpy.save."
    )


def _choose_keys(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Rename the splits and their labels, and say which arrays are left out."""
    prefix = next((p for p in _PREFIXES if {f"{p}train", f"{p}test"} <= arrays.keys()), None)
    if prefix is None:
        if len(arrays) == 1:
            return {"all": next(iter(arrays.values()))}
        raise DataError(
            f"{path}: expected the keys train and test, or x_train and x_test, or a single array; "
            f"got {', '.join(arrays) or 'no arrays'}. Save it again with those keys."
        )
    names = {f"{prefix}train": "train", f"{prefix}test": "test"}
    names |= {f"{other}{key}": "valid" for other in _PREFIXES for key in _VALID}
    for split in ("train", "test"):
        names |= {f"{split}_labels": f"{split}_labels", f"y_{split}": f"{split}_labels"}
    chosen: dict[str, np.ndarray] = {}
    for key, name in names.items():
        if key in arrays and name in chosen:
            raise DataError(f"{path}: expected one array for {name}; got two, one of them {key}.")
        if key in arrays:
            chosen[name] = arrays[key]
    left_out = [key for key in arrays if key not in names]
    if left_out:
        warn(f"{path}: left out {', '.join(left_out)}; what is read is {', '.join(chosen)}.")
    return chosen


def _take_labels(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    labels = arrays.pop(name, None)
    if labels is None:
        return None
    if labels.dtype.kind not in "bui":
        raise DataError(f"expected {name} as whole numbers; got dtype {labels.dtype}.")
    return labels.astype(np.int32)


def _store_compactly(
    arrays: dict[str, np.ndarray], levels: float | int | None, path: Path
) -> tuple[dict[str, np.ndarray], float]:
    """Return the arrays as uint8 where that loses nothing, else as float32; and their levels."""
    whole = all(array.dtype.kind in "bui" for array in arrays.values())
    low = min(array.min() for array in arrays.values())
    high = max(array.max() for array in arrays.values())
    are_bytes = whole and low >= 0 and high <= 255
    if levels is None:
        levels = _meaning(arrays["train"], int(high), path) if are_bytes else 1.0
        are_bytes = are_bytes and (levels > 1 or high <= 1)
    levels = float(levels)
    if are_bytes:
        return {name: array.astype(np.uint8) for name, array in arrays.items()}, levels
    return {name: to_float32(array, f"{name} of {path}") for name, array in arrays.items()}, levels


def _meaning(array: np.ndarray, high: int, path: Path) -> float:
    """The levels of whole numbers 0 to 255: 0/1 data, a table, or images."""
    if high <= 1:
        return 1.0
    if array.ndim == 2:
        if array.dtype == np.uint8 and high >= _DARK:
            warn(
                f"{path}: taken for a table of real numbers, whole ones up to {high}, because it "
                "has two axes. If its rows are grey images, say levels=255 (--levels 255)."
            )
        return 1.0
    if high < _DARK:
        warn(
            f"{path}: taken for images in which 255 is white, but no value is above {high}. "
            f"If {high} is white, say levels={high} (--levels {high}); --levels 255 says that this "
            "is meant."
        )
    return 255.0
