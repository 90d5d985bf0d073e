from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from elbax._errors import DataError
from elbax.data.binarise import binarise_fixed
from elbax.data.dataset import Dataset


@pytest.fixture
def grey() -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(
        name="grey",
        train=rng.integers(0, 256, (7, 2, 3), np.uint8),
        test=rng.integers(0, 256, (5, 2, 3), np.uint8),
        train_labels=np.arange(7, dtype=np.int32),
        levels=255.0,
        binarise="dynamic",
    )


def test_shapes_and_intensities(grey):
    assert grey.event_shape == (2, 3)
    assert grey.num_features == 6
    assert grey.intensities("train").dtype == np.float32
    np.testing.assert_allclose(grey.intensities("test"), grey.test / 255, rtol=1e-6)


def test_mean_intensity(grey):
    mean = grey.mean_intensity()
    assert mean.shape == (6,)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, (grey.train / 255).reshape(7, 6).mean(0), rtol=1e-6)


def test_is_binary(grey):
    assert not grey.is_binary
    black_white = replace(grey, train=(grey.train > 99) * np.uint8(255), test=grey.test * 0)
    assert black_white.is_binary
    assert not replace(black_white, levels=1.0).is_binary


def test_evaluation_split_draws_once_under_dynamic(grey):
    drawn = grey.evaluation_split("test", seed=3)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, binarise_fixed(grey.test, 255, 3, "test"))
    np.testing.assert_array_equal(grey.evaluation_split(), grey.evaluation_split("test", seed=0))
    as_it_is = replace(grey, binarise="none").evaluation_split()
    np.testing.assert_array_equal(as_it_is, grey.intensities("test"))


def test_fingerprint_sees_every_change(grey):
    def changed(array):
        array = array.copy()
        array.flat[0] += 1
        return array

    variants = [
        grey,
        replace(grey, train=changed(grey.train)),
        replace(grey, test=changed(grey.test)),
        replace(grey, train_labels=changed(grey.train_labels)),
        replace(grey, valid=grey.test),
        replace(grey, train=grey.train.reshape(7, 3, 2), test=grey.test.reshape(5, 3, 2)),
        replace(grey, levels=256.0),
        replace(grey, binarise="none"),
    ]
    assert len({data.fingerprint() for data in variants}) == len(variants)
    assert replace(grey, train=grey.train.copy()).fingerprint() == grey.fingerprint()
    assert len(grey.fingerprint()) == 16


def test_is_frozen(grey):
    with pytest.raises(FrozenInstanceError):
        grey.levels = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"binarise": "dynamik"}, "one of dynamic, fixed, threshold, none; got 'dynamik'"),
        (
            {"test": np.zeros((5, 2, 4), np.uint8)},
            r"expected test with the event shape of train, \[2, 3\]; got \[2, 4\]",
        ),
        ({"valid": np.zeros((5, 6), np.uint8)}, r"event shape of train, \[2, 3\]; got \[6\]"),
        ({"test": np.zeros((5, 2, 3), np.float32)}, "which is uint8; got float32"),
        ({"train": np.zeros((5, 2, 3))}, "expected train as uint8 or float32"),
        ({"test": np.zeros((0, 2, 3), np.uint8)}, r"not empty; got shape \[0, 2, 3\]"),
        ({"test_labels": np.zeros(3, np.int32)}, r"datum in test, shape \[5\]; got shape \[3\]"),
    ],
)
def test_wrong_parts_are_refused(grey, changes, message):
    with pytest.raises(DataError, match=message):
        replace(grey, **changes)


@pytest.mark.parametrize("split", ["valid", "tset"])
def test_missing_split_is_refused(grey, split):
    with pytest.raises(DataError, match=f"split of grey: train, test; got '{split}'"):
        grey.intensities(split)
