import numpy as np
import pytest

from elbax._errors import DataError
from elbax.data.checks import check_images

HOLED = np.ma.masked_equal(np.array([[1.0, 2], [9, 9], [3, 4]], np.float32), 9)


@pytest.mark.parametrize(
    ("array", "likelihood", "message"),
    [
        (np.array([[None]]), "normal", "expected x to be an array of real numbers; got dtype obj"),
        (np.array([["a"]]), "normal", "real numbers; got dtype <U1"),
        (np.zeros((2, 2), complex), "normal", "real numbers; got dtype complex128"),
        (np.zeros(3), "normal", r"shape \[N, \*event\], with at least 2 axes; got shape \[3\]"),
        (np.zeros((0, 3)), "normal", r"at least one datum .* got shape \[0, 3\], which is empty"),
        (np.zeros((3, 0)), "normal", r"got shape \[3, 0\], which is empty"),
        (np.array([[0.0], [np.nan]]), "normal", "NaN or infinity in 1 of 2 rows, first in row 1"),
        (np.array([[np.inf]]), "bernoulli", "expected finite values in x"),
        (np.array([[1.5]]), "bernoulli", "Bernoulli likelihood; got values from 1.5 to 1.5"),
        (np.array([[-0.5, 1.0]]), "Bernoulli", "got values from -0.5 to 1. Rescale them"),
        (np.array([[255]], np.uint8), "bernoulli", "got values from 255 to 255"),
        (HOLED, "any", "x without masked values; got a masked array with 2 of 6 .* in 1 rows"),
    ],
)
def test_wrong_arrays_are_refused(array, likelihood, message):
    with pytest.raises(DataError, match=message):
        check_images(array, likelihood=likelihood, name="x")


@pytest.mark.parametrize(
    ("array", "likelihood", "levels"),
    [
        (np.array([[-3.0, 1e6]]), "normal", 1.0),
        (np.array([[0, 255]], np.uint8), "bernoulli", 255),
        (np.array([[True, False]]), "bernoulli", 1),
        (np.array([[0.0, 16.0]], np.float32), "bernoulli", 16.0),
        (np.ma.masked_equal(np.ones((2, 2)), 9), "bernoulli", 1),
    ],
)
def test_good_arrays_pass(array, likelihood, levels):
    check_images(array, likelihood=likelihood, name="x", levels=levels)
