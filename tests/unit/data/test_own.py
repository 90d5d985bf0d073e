import numpy as np
import pytest
from PIL import Image

from elbax._errors import DataError, ElbaxWarning
from elbax.data.load import load_data
from elbax.data.own import read_own

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 2, 3), np.uint8)
COLOUR = RNG.integers(0, 256, (20, 6, 5, 3), np.uint8)
REAL = RNG.normal(size=(20, 5))
AGES = RNG.integers(18, 90, (20, 3))  # a table of whole numbers
DIGITS = RNG.integers(0, 17, (20, 2, 3), np.uint8)


def write(path, arrays):
    if isinstance(arrays, dict):
        np.savez(path / "x.npz", **arrays)
        return path / "x.npz"
    np.save(path / "x.npy", arrays)
    return path / "x.npy"


@pytest.mark.parametrize(
    ("array", "dtype", "levels", "mode"),
    [
        (GREY, np.uint8, 255.0, "dynamic"),
        (GREY.astype(np.int64), np.uint8, 255.0, "dynamic"),
        (GREY > 99, np.uint8, 1.0, "none"),
        ((GREY > 99).astype(np.int32), np.uint8, 1.0, "none"),
        (GREY / 255, np.float32, 1.0, "none"),
        (REAL, np.float32, 1.0, "none"),
        (GREY.astype(np.int64) - 300, np.float32, 1.0, "none"),
        (AGES, np.float32, 1.0, "none"),
        (AGES.astype(np.uint8), np.float32, 1.0, "none"),
        (AGES > 40, np.uint8, 1.0, "none"),
    ],
)
def test_what_the_values_mean(tmp_path, array, dtype, levels, mode):
    data = read_own(write(tmp_path, array))
    assert data.name == "x"
    assert (data.train.dtype, data.levels, data.binarise) == (dtype, levels, mode)
    assert (len(data.train), len(data.test)) == (18, 2)
    stored = np.concatenate([data.train, data.test]).astype(np.float32)
    expected = array.astype(np.float32)
    np.testing.assert_array_equal(np.sort(stored, axis=None), np.sort(expected, axis=None))


def test_split_follows_the_seed(tmp_path):
    path = write(tmp_path, GREY)
    np.testing.assert_array_equal(read_own(path, seed=1).test, read_own(path, seed=1).test)
    assert (read_own(path, seed=1).test != read_own(path, seed=2).test).any()


@pytest.mark.parametrize(
    ("prefix", "valid"), [("", "valid"), ("", "X_dev"), ("x_", "x_val"), ("X_", "validation")]
)
def test_archive_with_splits(tmp_path, prefix, valid):
    labels = ("train_labels", "test_labels") if not prefix else ("y_train", "y_test")
    arrays = {f"{prefix}train": GREY[:12], f"{prefix}test": GREY[12:16]}
    arrays |= {valid: GREY[16:]}
    arrays |= dict(zip(labels, (np.arange(12), np.arange(4)[:, None]), strict=True))
    data = read_own(write(tmp_path, arrays))
    np.testing.assert_array_equal(data.train, GREY[:12])
    np.testing.assert_array_equal(data.test, GREY[12:16])
    np.testing.assert_array_equal(data.valid, GREY[16:])
    assert data.train_labels.tolist() == list(range(12))
    assert data.test_labels.dtype == np.int32


def test_arrays_that_are_left_out_are_named(tmp_path):
    arrays = {"x_train": GREY[:12], "x_test": GREY[12:], "y_val": np.arange(3), "extra": REAL}
    with pytest.warns(ElbaxWarning, match="left out y_val, extra;"):
        assert read_own(write(tmp_path, arrays)).valid is None


@pytest.mark.parametrize(
    ("array", "message", "levels"),
    [
        (DIGITS, r"255 is white, but no value is above 16\. .*--levels 16", 255.0),
        (GREY.reshape(20, 6), r"a table of real numbers, .* \(--levels 255\)", 1.0),
    ],
)
def test_what_whole_numbers_are_taken_for_is_said_where_it_is_a_guess(
    tmp_path, array, message, levels
):
    with pytest.warns(ElbaxWarning, match=message):
        assert read_own(write(tmp_path, array)).levels == levels


@pytest.mark.filterwarnings("ignore:.*a table of real numbers")
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
@pytest.mark.parametrize("split", [False, True])
def test_whole_numbers_with_two_axes_are_never_images(tmp_path, dtype, split):
    ages = (np.arange(120).reshape(20, 6) * 2).astype(dtype)
    data = read_own(write(tmp_path, {"train": ages, "test": ages} if split else ages))
    assert (data.levels, data.binarise, data.train.dtype) == (1, "none", np.float32)
    with pytest.raises(DataError, match=r"expected train of .*, to binarise, in"):
        load_data(str(data.source), binarise="threshold")


@pytest.mark.parametrize(
    ("array", "levels", "dtype"),
    [
        (DIGITS, 16, np.uint8),
        (DIGITS.astype(float), 16, np.float32),
        (GREY.reshape(20, 6), 255, np.uint8),
        (GREY.astype(np.uint16) * 257, 65535, np.float32),
    ],
)
def test_levels_that_are_given_hold(tmp_path, array, levels, dtype):
    data = read_own(write(tmp_path, array), levels=levels)
    assert (data.levels, data.binarise, data.train.dtype) == (levels, "dynamic", dtype)
    stored = np.concatenate([data.intensities("train"), data.intensities("test")])
    expected = np.asarray(array, np.float64) / levels
    np.testing.assert_allclose(np.sort(stored, axis=None), np.sort(expected, axis=None), rtol=1e-6)


def test_a_column_that_float32_cannot_hold_is_named(tmp_path):
    seconds = 1.7e9 + 100 * REAL[:, :1]  # neighbors in float32 are 128 apart here
    with pytest.warns(ElbaxWarning, match=r"as float32, column 1 loses .* Subtract a constant"):
        read_own(write(tmp_path, np.hstack([REAL[:, :1], seconds])))


def test_archive_with_one_array(tmp_path):
    assert len(read_own(write(tmp_path, {"images": GREY})).train) == 18


def test_folder_of_images(tmp_path):
    for index, image in enumerate(GREY):
        Image.fromarray(image).save(tmp_path / f"{index:02d}.png")
    data = read_own(tmp_path)
    assert data.event_shape == (2, 3)
    assert data.binarise == "dynamic"


def save_all(folder, images):
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:02d}.png")


def test_folder_in_colour_is_never_binarised_by_guess(tmp_path):
    save_all(tmp_path, COLOUR)
    data = read_own(tmp_path)
    assert (data.event_shape, data.binarise, data.levels) == ((6, 5, 3), "none", 255)
    assert data.in_colour
    stored = np.concatenate([data.train, data.test])
    assert {image.tobytes() for image in stored} == {image.tobytes() for image in COLOUR}
    grey = read_own(tmp_path, colour=False)
    assert (grey.event_shape, grey.binarise) == ((6, 5), "dynamic")


def test_colours_come_last(tmp_path):
    data = read_own(write(tmp_path, COLOUR))
    assert (data.event_shape, data.binarise, data.levels) == ((6, 5, 3), "none", 255)
    with pytest.raises(DataError, match=r"\[20, 3, 6, 5\], which is PyTorch's order. Save numpy"):
        read_own(write(tmp_path, COLOUR.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": GREY, "test": GREY[:, :1]}, r"test with the event shape of train, \[2, 3\]"),
        ({"X": REAL, "y": REAL[:, 0]}, "x_test, or a single array; got X, y"),
        ({}, "got no arrays"),
        ({"train": GREY, "test": GREY, "val": GREY, "valid": GREY}, "one array for valid; got two"),
        ({"train": GREY, "test": GREY, "test_labels": np.zeros(2, int)}, "one label per datum"),
        ({"train": GREY, "test": GREY, "train_labels": np.ones(20)}, "whole numbers; got dtype fl"),
        (REAL[0], r"all of .*x.npy of shape \[N, \*event\]"),
        (REAL[:1], "expected at least 2 rows"),
        (np.where(REAL > 1, np.nan, REAL)[..., None], "NaN or infinity in"),
        (np.array([["a", "b"]]), "real numbers; got dtype <U1"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        read_own(write(tmp_path, arrays))


def test_wrong_paths_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.npy' does not exist"):
        read_own(tmp_path / "nothing.npy")
    (tmp_path / "x.pkl").write_bytes(b"")
    with pytest.raises(DataError, match=r"folder of images; got '\.pkl'"):
        read_own(tmp_path / "x.pkl")
