"""What an array of data must be before anything is trained on it."""

import warnings
from typing import Any

import numpy as np

from elbax._errors import DataError, ElbaxWarning

_BLOCK_ROWS = 4096  # bounds the temporary float64 arrays
LEVEL_ERROR = 0.05  # of a level: float32 keeps 16 bits nearer than that
_COARSE = 1e-2  # a rounding error that is this part of a column's standard deviation matters


def warn(sentence: str) -> None:
    """Say something about data that is allowed but probably not meant; the CLI prints it."""
    warnings.warn(sentence, ElbaxWarning, stacklevel=3)


def to_float32(array: np.ndarray, name: str) -> np.ndarray:
    """The array as float32, with a warning where rounding drowns what a column varies by.

    >>> to_float32(np.array([[1, 2]]), "x")
    array([[1., 2.]], dtype=float32)
    """
    single = array.astype(np.float32)
    if array.dtype.itemsize <= 2 or array.dtype == np.float32:
        return single  # exact
    rows, rounded = array.reshape(len(array), -1), single.reshape(len(array), -1)
    error = np.abs(rounded.astype(np.float64) - rows).max(axis=0)
    coarse = np.flatnonzero(error > _COARSE * rows.std(axis=0, dtype=np.float64))
    if coarse.size and len(rows) > 1:
        warn(
            f"{name}: as float32, {columns(coarse)} lose{'s' if coarse.size == 1 else ''} more "
            "than a hundredth of a standard deviation to rounding. Subtract a constant first."
        )
    return single


def columns(indices: np.ndarray) -> str:
    """Name columns in a sentence, the first few by number.

    >>> columns(np.array([3])), columns(np.arange(9))
    ('column 3', 'columns 0, 1, 2, 3, 4 and 4 more')
    """
    shown = ", ".join(str(index) for index in indices[:5])
    more = f" and {len(indices) - 5} more" if len(indices) > 5 else ""
    return f"column{'s' if len(indices) > 1 else ''} {shown}{more}"


def check_images(array: Any, *, likelihood: str, name: str, levels: float | int = 1.0) -> None:
    """Refuse an array that no model with this likelihood could be trained on.

    Args:
        array: `[N, *event]` stored values.
        likelihood: "bernoulli" and "continuous-bernoulli" ask for intensities in [0, 1]; every
            other name only for finite numbers.
        name: what to call the array in the message, for example "train".
        levels: the stored value that means intensity 1.

    Raises:
        DataError: the array is no array of numbers, has fewer than two axes, is empty, holds NaN
            or infinity or masked values, or leaves [0, 1] under a Bernoulli likelihood.

    >>> check_images(np.zeros((2, 3)), likelihood="bernoulli", name="train")
    """
    refuse_masked(array, name)
    array = np.asarray(array)
    if array.dtype.kind not in "buif":
        raise DataError(
            f"expected {name} to be an array of real numbers; got dtype {array.dtype}. "
            "Convert it with array.astype('float32')."
        )
    if array.ndim < 2:
        raise DataError(
            f"expected {name} of shape [N, *event], with at least 2 axes; got shape "
            f"{list(array.shape)}. Give one row per datum, as array.reshape(num_data, -1) does."
        )
    if array.size == 0:
        raise DataError(
            f"expected {name} with at least one datum of at least one value; got shape "
            f"{list(array.shape)}, which is empty. Give another file or split."
        )
    _check_finite(array, name)
    if likelihood.lower() in ("bernoulli", "continuous-bernoulli"):
        kind = "Bernoulli" if likelihood.lower() == "bernoulli" else "continuous Bernoulli"
        _check_unit_interval(array, name, levels, kind)


def check_levels(array: np.ndarray, *, levels: int, intensity: float | int, name: str) -> None:
    """Refuse stored values that are no levels, which a discretised logistic gives probabilities.

    Args:
        array: `[N, *event]` stored values.
        levels: the level that means intensity 1.
        intensity: the stored value that does.
        name: what to call the array in the message.

    Raises:
        DataError: a value outside [0, 1], or between two levels.

    >>> check_levels(np.array([[0, 51, 255]], np.uint8), levels=255, intensity=255, name="train")
    """
    for row in np.array_split(array, -(-len(array) // _BLOCK_ROWS)):
        level = row.astype(np.float64) * (levels / intensity)
        bad = (np.abs(level - np.round(level)) > LEVEL_ERROR) | (level < 0) | (level > levels + 0.5)
        if bad.any():
            raise DataError(
                f"expected {name} in whole levels for a discretised logistic likelihood, from 0 to "
                f"{intensity:g} in steps of {intensity / levels:g}; got {row[bad][0]:g}. Give the "
                "bytes of the images themselves, say which value means 1 with levels (--levels "
                "255), or take --likelihood continuous-bernoulli for values in [0, 1], or gaussian."
            )


def refuse_masked(array: Any, name: str) -> None:
    """Refuse a masked array with masked values: `np.asarray` would put their fill values in.

    Raises:
        DataError: at least one value is masked.

    >>> refuse_masked(np.ma.masked_array([[1.0, 2.0]], mask=[[False, False]]), "x")
    """
    if np.ma.is_masked(array):
        mask = np.ma.getmaskarray(array)
        rows = mask.reshape(len(mask), -1).any(axis=1).sum() if mask.ndim else 1
        raise DataError(
            f"expected {name} without masked values; got a masked array with {mask.sum()} of "
            f"{mask.size} values masked, in {rows} rows. Drop those rows, or fill the values in."
        )


def _check_finite(array: np.ndarray, name: str) -> None:
    if array.dtype.kind != "f":
        return
    bad_rows = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if bad_rows.any():
        raise DataError(
            f"expected finite values in {name}; got NaN or infinity in {bad_rows.sum()} of "
            f"{len(array)} rows, first in row {bad_rows.argmax()}. Drop or fill those rows."
        )


def _check_unit_interval(array: np.ndarray, name: str, levels: float | int, kind: str) -> None:
    low, high = float(array.min()) / levels, float(array.max()) / levels
    if low < 0 or high > 1:
        raise DataError(
            f"expected {name} in [0, 1] for a {kind} likelihood; got values from {low:g} to "
            f"{high:g}. Rescale them to [0, 1], say which value means 1 with levels (--levels 255 "
            "for grey bytes), or take a likelihood of real data: --likelihood gaussian, in Python "
            "ModelConfig(likelihood='gaussian')."
        )
