import numpy as np
import pytest
from PIL import Image

from elbax._errors import DataError
from elbax.data.own import read_own

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 2, 3), np.uint8)
REAL = RNG.normal(size=(20, 5))


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


@pytest.mark.parametrize("prefix", ["", "x_"])
def test_archive_with_splits(tmp_path, prefix):
    labels = ("train_labels", "test_labels") if not prefix else ("y_train", "y_test")
    arrays = {f"{prefix}train": GREY[:12], f"{prefix}test": GREY[12:16], "extra": REAL}
    arrays |= {f"{prefix}valid": GREY[16:]}
    arrays |= dict(zip(labels, (np.arange(12), np.arange(4)), strict=True))
    data = read_own(write(tmp_path, arrays))
    np.testing.assert_array_equal(data.train, GREY[:12])
    np.testing.assert_array_equal(data.test, GREY[12:16])
    np.testing.assert_array_equal(data.valid, GREY[16:])
    assert data.train_labels.tolist() == list(range(12))
    assert data.test_labels.dtype == np.int32


def test_archive_with_one_array(tmp_path):
    assert len(read_own(write(tmp_path, {"images": GREY})).train) == 18


def test_folder_of_images(tmp_path):
    for index, image in enumerate(GREY):
        Image.fromarray(image).save(tmp_path / f"{index:02d}.png")
    data = read_own(tmp_path)
    assert data.event_shape == (2, 3)
    assert data.binarise == "dynamic"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": GREY, "test": GREY[:, :1]}, r"test with the event shape of train, \[2, 3\]"),
        ({"X": REAL, "y": REAL[:, 0]}, "x_test, or a single array; got X, y"),
        ({}, "got no arrays"),
        ({"train": GREY, "test": GREY, "test_labels": np.zeros(2, int)}, "one label per datum"),
        ({"train": GREY, "test": GREY, "train_labels": np.ones(20)}, "whole numbers; got dtype fl"),
        (REAL[0], r"all of .*x.npy of shape \[N, \*event\]"),
        (REAL[:1], "expected at least 2 rows"),
        (np.where(REAL > 1, np.nan, REAL), "NaN or infinity in"),
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
