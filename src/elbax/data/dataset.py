"""The data set that training and evaluation see: arrays, and what their values mean."""

import dataclasses
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from elbax._errors import DataError
from elbax.data.binarise import binarise_fixed, to_float
from elbax.data.checks import refuse_masked
from elbax.tables.schema import Schema

_OF_INTENSITIES = ("gaussian", "discretised-logistic", "continuous-bernoulli")
MODES = ("dynamic", "fixed", "threshold", "none")
_BLOCK_ROWS = 4096  # bounds the temporary float64 arrays at about 26 MB for 28 x 28 images


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Training, test and perhaps validation data, stored compactly.

    A stored value `v` means the intensity `v / levels`. Under "dynamic" the arrays stay grey and
    training draws 0/1 images from them afresh for every minibatch.

    Attributes:
        name: what to call it.
        train: `[N, *event]`, uint8 or float32.
        test: `[N_test, *event]`.
        valid: `[N_valid, *event]`, or None.
        train_labels: `[N]` int32, or None; `[N, 1]` is taken too.
        test_labels: `[N_test]` int32, or None.
        levels: the stored value that means intensity 1: 255 for grey uint8, 16 for digits, 1 for
            0/1 or real data.
        licence: of the data.
        source: the files that were read.
        binarise: the mode in force: "dynamic", "fixed", "threshold" or "none".
        request: the arguments of `load_data` that give this data set again, or None.
        schema: what the columns are, where the data are a table with holes (`elbax.Table`): then
            the arrays hold its values, float32 with NaN where missing.
        usual: the mode is what is usual for these data, not asked for; see `under`.

    Raises:
        DataError: the splits disagree in event shape or kind, a split is empty or holds masked
            values, labels and data differ in number, or the mode is unknown.

    >>> images = np.array([[0, 255], [255, 255]], dtype=np.uint8)
    >>> data = Dataset(name="two", train=images, test=images, levels=255.0, binarise="dynamic")
    >>> data.num_features, data.mean_intensity().tolist(), data.is_binary
    (2, [0.5, 1.0], True)
    >>> data
    Dataset('two', uint8 levels 0 to 255, binarise dynamic)
      train [2, 2], test [2, 2]
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    valid: np.ndarray | None = None
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    levels: float | int = 1.0
    licence: str = "unknown"
    source: str = "memory"
    binarise: str = "none"
    request: dict[str, Any] | None = None
    usual: bool = False
    schema: Schema | None = None

    def __post_init__(self) -> None:
        if self.binarise not in MODES:
            raise DataError(
                f"expected binarise to be one of {', '.join(MODES)}; got '{self.binarise}'."
            )
        for name, array in self.splits().items():
            _check_split(name, array, self.train)
        for split, labels in (("train", self.train_labels), ("test", self.test_labels)):
            if labels is None:
                continue
            if labels.ndim == 2 and labels.shape[1] == 1:
                labels = labels[:, 0]
                object.__setattr__(self, f"{split}_labels", labels)  # the class is frozen
            if labels.shape != self.split(split).shape[:1]:
                raise DataError(
                    f"expected one label per datum in {split}, shape "
                    f"[{len(self.split(split))}]; got shape {list(labels.shape)}."
                )

    def __repr__(self) -> str:
        """Its splits and what their values mean, rather than the values."""
        splits = [f"{name} {list(array.shape)}" for name, array in self.splits().items()]
        values = str(self.train.dtype)
        values += "" if self.levels == 1 else f" levels 0 to {self.levels:g}"
        splits += ["labels"] if self.train_labels is not None else []
        head = f"Dataset({self.name!r}, {values}, binarise {self.binarise})"
        return f"{head}\n  {', '.join(splits)}"

    def under(self, likelihood: str) -> "Dataset":
        """The data in the mode that is usual under a likelihood, unless a mode was asked for.

        A Bernoulli one sees 0/1 draws of grey images. Every other sees the intensities: a Gaussian
        density of 0/1 draws has no upper limit, and levels of images have more values than two.

        >>> images = np.array([[0, 255], [99, 7]], dtype=np.uint8)
        >>> grey = Dataset(
        ...     name="two", train=images, test=images, levels=255, binarise="dynamic", usual=True)
        >>> grey.under("gaussian").binarise, grey.under("bernoulli").binarise
        ('none', 'dynamic')
        """
        if not (self.usual and likelihood in _OF_INTENSITIES and self.binarise == "dynamic"):
            return self
        request = None if self.request is None else self.request | {"binarise": "none"}
        return replace(self, binarise="none", request=request)

    def splits(self) -> dict[str, np.ndarray]:
        """Return the splits that are there, by name, stored values."""
        named = {"train": self.train, "test": self.test, "valid": self.valid}
        return {name: array for name, array in named.items() if array is not None}

    def split(self, split: str) -> np.ndarray:
        """Return one split, `[N, *event]` stored values; DataError if it is not there."""
        splits = self.splits()
        if split not in splits:
            cure = " Hold one out with num_valid." if split == "valid" else ""
            raise DataError(
                f"expected a split of {self.name}: {', '.join(splits)}; got '{split}'.{cure}"
            )
        return splits[split]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one datum."""
        return self.train.shape[1:]

    @property
    def num_features(self) -> int:
        """How many values one datum has, D."""
        return int(np.prod(self.event_shape))

    @property
    def in_colour(self) -> bool:
        """Whether the data are images in colour, `[H, W, 3]`."""
        return len(self.event_shape) == 3 and self.event_shape[2] == 3

    @cached_property
    def is_binary(self) -> bool:
        """Whether every stored value means intensity 0 or 1."""
        if self.schema is not None:
            return False
        return all(
            bool(np.all((array == 0) | (array == self.levels))) for array in self.splits().values()
        )

    def intensities(self, split: str) -> np.ndarray:
        """Return one split as `[N, *event]` float32, stored values divided by `levels`."""
        return to_float(self.split(split), self.levels)

    def mean_intensity(self) -> np.ndarray:
        """Return the mean of the training split, `[D]` float32, summed in float64.

        Of a table it is that of what was observed, 0 where nothing was.
        """
        if self.schema is not None:
            return _observed_moments(self.train)[0]
        total = self.train.reshape(len(self.train), -1).sum(axis=0, dtype=np.float64)
        return (total / len(self.train) / self.levels).astype(np.float32)

    def standard_deviation(self) -> np.ndarray:
        """Return that of the training split, `[D]` float32, summed in float64; of 0/1 draws if so.

        A value that never changes has 0, exactly. Of a table it is that of what was observed.
        """
        if self.schema is not None:
            return _observed_moments(self.train)[1]
        rows = self.train.reshape(len(self.train), -1)
        mean = rows.sum(axis=0, dtype=np.float64) / len(rows)
        if self.binarise == "dynamic":
            mean = mean / self.levels
            return np.sqrt(mean * (1 - mean)).astype(np.float32)
        squares = np.zeros(rows.shape[1])
        for start in range(0, len(rows), _BLOCK_ROWS):
            squares += ((rows[start : start + _BLOCK_ROWS] - mean) ** 2).sum(axis=0)
        changes = rows.min(axis=0) < rows.max(axis=0)
        return np.where(changes, np.sqrt(squares / len(rows)) / self.levels, 0).astype(np.float32)

    def evaluation_split(
        self, split: str = "test", seed: int = 0, num_data: int | None = None
    ) -> np.ndarray:
        """Return the `[N, *event]` float32 array that likelihoods are reported on.

        Under "dynamic" that is one binarisation, the same as mode "fixed" with this seed, so every
        run is measured on the same 0/1 images. Under every other mode it is the intensities.

        Args:
            split: "test", "train" or "valid".
            seed: of that binarisation.
            num_data: how many data, from the first; all if omitted, or if there are fewer.

        Raises:
            DataError: no such split, or a count below 1.
        """
        if num_data is not None and num_data < 1:
            raise DataError(f"expected num_data >= 1, a number of data; got {num_data}.")
        return self._evaluated(split, seed)[:num_data]

    def _evaluated(self, split: str, seed: int) -> np.ndarray:
        if self.binarise != "dynamic":
            return self.intensities(split)
        return binarise_fixed(self.split(split), self.levels, seed, split).astype(np.float32)

    def fingerprint(self) -> str:
        """Return 16 hex digits of a sha256 over all arrays, their shapes, levels and the mode."""
        digest = hashlib.sha256(f"{self.levels} {self.binarise}".encode())
        if self.schema is not None:
            digest.update(repr(self.schema).encode())
        for field in dataclasses.fields(self):
            array = getattr(self, field.name)
            if isinstance(array, np.ndarray):
                digest.update(f"{field.name} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def _observed_moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the observed cells of each column."""
    there = ~np.isnan(rows)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, rows, 0).sum(axis=0, dtype=np.float64) / count
    squares = (np.where(there, rows - mean, 0) ** 2).sum(axis=0)
    return mean.astype(np.float32), np.sqrt(squares / count).astype(np.float32)


def _check_split(name: str, array: np.ndarray, train: np.ndarray) -> None:
    refuse_masked(array, name)
    if array.dtype not in (np.uint8, np.float32):
        raise DataError(
            f"expected {name} as uint8 or float32; got {array.dtype}. Convert it, such as with "
            "array.astype(numpy.float32)."
        )
    if array.dtype != train.dtype:
        raise DataError(
            f"expected {name} as train, which is {train.dtype}; got {array.dtype}. Convert one of "
            "them with array.astype."
        )
    if array.ndim < 2 or array.size == 0:
        raise DataError(
            f"expected {name} of shape [N, *event], not empty; got shape {list(array.shape)}."
        )
    if array.shape[1:] != train.shape[1:]:
        raise DataError(
            f"expected {name} with the event shape of train, {list(train.shape[1:])}; got "
            f"{list(array.shape[1:])}. All splits must have data of one shape."
        )
