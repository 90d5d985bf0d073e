"""What an array of data must be before anything is trained on it."""

from typing import Any

import numpy as np

from elbax._errors import DataError


def check_images(array: Any, *, likelihood: str, name: str, levels: float | int = 1.0) -> None:
    """Refuse an array that no model with this likelihood could be trained on.

    Args:
        array: `[N, *event]` stored values.
        likelihood: "bernoulli" asks for intensities in [0, 1]; every other name only for finite
            numbers.
        name: what to call the array in the message, for example "train".
        levels: the stored value that means intensity 1.

    Raises:
        DataError: the array is no array of numbers, has fewer than two axes, is empty, holds NaN
            or infinity, or leaves [0, 1] under a Bernoulli likelihood.

    >>> check_images(np.zeros((2, 3)), likelihood="bernoulli", name="train")
    """
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
    if likelihood.lower() == "bernoulli":
        _check_unit_interval(array, name, levels)


def _check_finite(array: np.ndarray, name: str) -> None:
    if array.dtype.kind != "f":
        return
    bad_rows = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if bad_rows.any():
        raise DataError(
            f"expected finite values in {name}; got NaN or infinity in {bad_rows.sum()} of "
            f"{len(array)} rows, first in row {bad_rows.argmax()}. Drop or fill those rows."
        )


def _check_unit_interval(array: np.ndarray, name: str, levels: float | int) -> None:
    low, high = float(array.min()) / levels, float(array.max()) / levels
    if low < 0 or high > 1:
        raise DataError(
            f"expected {name} in [0, 1] for a Bernoulli likelihood; got values from {low:g} to "
            f"{high:g}. Rescale them to [0, 1], or choose a likelihood for real data."
        )
