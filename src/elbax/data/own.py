"""Read a user's own data: .npy, .npz, or a folder of images."""

from pathlib import Path

import numpy as np

from elbax._errors import DataError
from elbax.data.checks import check_images
from elbax.data.dataset import Dataset
from elbax.data.readers import read_image_folder, read_npy, read_npz

_SPLIT_STREAM = 3  # after the streams of binarise.STREAMS: the split has random numbers of its own


def read_own(path: Path, seed: int = 0) -> Dataset:
    """Read a file or folder into a data set.

    An .npy file, an .npz archive with one array and a folder of images are shuffled by `seed`, and
    a tenth becomes the test split. An .npz archive may instead bring `train` and `test` (and
    `valid`), or `x_train` and `x_test`, with labels `train_labels` or `y_train`, and so on.
    Whole numbers 0 to 255 are grey images (mode "dynamic"), 0 and 1 binary, all else real data.

    Raises:
        DataError: no such file, an unknown kind of file, unreadable, or arrays that do not fit.
    """
    arrays = _read_arrays(path)
    for name, array in arrays.items():
        if not name.endswith("_labels"):
            check_images(array, likelihood="real", name=f"{name} of {path}")
    if "all" in arrays:
        arrays = split_off_test(arrays["all"], seed)
    train_labels = _take_labels("train_labels", arrays)
    test_labels = _take_labels("test_labels", arrays)
    images, levels = _store_compactly(arrays)
    return Dataset(
        name=path.stem,
        train=images["train"],
        test=images["test"],
        valid=images.get("valid"),
        train_labels=train_labels,
        test_labels=test_labels,
        levels=levels,
        source=str(path),
        binarise="dynamic" if levels > 1 else "none",
    )


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


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return `{"all": array}`, or train, test and so on."""
    if not path.exists():
        raise DataError(f"expected a file or folder; '{path}' does not exist. Check the path.")
    if path.is_dir():
        return {"all": read_image_folder(path)}
    if path.suffix == ".npy":
        return {"all": read_npy(path)}
    if path.suffix == ".npz":
        return _choose_keys(read_npz(path), path)
    raise DataError(
        f"{path}: expected an .npy file, an .npz archive or a folder of images; got "
        f"'{path.suffix or path.name}'. Save the array with numpy.save."
    )


def _choose_keys(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    for prefix, suffix in (("", "_labels"), ("x_", "")):
        if f"{prefix}train" in arrays and f"{prefix}test" in arrays:
            renamed = {f"{prefix}{split}": split for split in ("train", "test", "valid")}
            for split in ("train", "test"):
                renamed[f"{split}{suffix}" if suffix else f"y_{split}"] = f"{split}_labels"
            return {renamed[key]: array for key, array in arrays.items() if key in renamed}
    if len(arrays) == 1:
        return {"all": next(iter(arrays.values()))}
    raise DataError(
        f"{path}: expected the keys train and test, or x_train and x_test, or a single array; got "
        f"{', '.join(arrays) or 'no arrays'}. Save it again with those keys."
    )


def _take_labels(name: str, arrays: dict[str, np.ndarray]) -> np.ndarray | None:
    labels = arrays.pop(name, None)
    if labels is None:
        return None
    if labels.dtype.kind not in "bui":
        raise DataError(f"expected {name} as whole numbers; got dtype {labels.dtype}.")
    return labels.astype(np.int32)


def _store_compactly(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """Return uint8 arrays where all values are whole numbers 0 to 255, else float32; and levels."""
    whole = all(array.dtype.kind in "bui" for array in arrays.values())
    low = min(array.min() for array in arrays.values())
    high = max(array.max() for array in arrays.values())
    if whole and low >= 0 and high <= 255:
        levels = 255.0 if high > 1 else 1.0
        return {name: array.astype(np.uint8) for name, array in arrays.items()}, levels
    return {name: array.astype(np.float32) for name, array in arrays.items()}, 1.0
