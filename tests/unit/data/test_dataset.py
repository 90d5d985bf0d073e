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


def test_standard_deviation_is_numpys_and_that_of_the_draws_under_dynamic(grey):
    values = (grey.train / 255).reshape(7, 6)
    found = replace(grey, binarise="none").standard_deviation()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values.std(axis=0), rtol=1e-6)
    # The variance of a draw: of its probability over the data, and its own given that.
    drawn = values.var(axis=0) + (values * (1 - values)).mean(axis=0)
    np.testing.assert_allclose(grey.standard_deviation(), np.sqrt(drawn), rtol=1e-6)


def test_a_column_that_never_changes_has_no_standard_deviation():
    train = np.full((9, 2), 0.1, np.float32)  # no sum of these is exact
    train[0, 1] = 0.2
    found = Dataset(name="flat", train=train, test=train).standard_deviation()
    assert found[0] == 0
    assert found[1] > 0


def test_the_usual_mode_follows_the_likelihood_and_a_chosen_one_does_not(grey):
    request = {"name_or_path": "grey", "binarise": "dynamic"}
    usual = replace(grey, usual=True, request=request)
    assert usual.under("gaussian").binarise == "none"
    assert usual.under("gaussian").request == request | {"binarise": "none"}
    assert usual.under("bernoulli") is usual
    assert grey.under("gaussian") is grey
    np.testing.assert_allclose(usual.under("gaussian").evaluation_split(), grey.test / 255)


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


def test_labels_in_a_column_are_taken(grey):
    data = replace(grey, train_labels=np.arange(7)[:, None])
    assert data.train_labels.tolist() == list(range(7))
    with pytest.raises(DataError, match=r"one label per datum in train, shape \[7\]; got shape"):
        replace(grey, train_labels=np.zeros((7, 2), int))


def test_masked_values_are_refused(grey):
    holed = np.ma.masked_less(grey.train, 99)
    with pytest.raises(DataError, match="expected train without masked values"):
        replace(grey, train=holed)


@pytest.mark.parametrize("num_data", [0, -1])
def test_counts_below_one_are_refused(grey, num_data):
    with pytest.raises(DataError, match=f"num_data >= 1, a number of data; got {num_data}"):
        grey.evaluation_split("test", 0, num_data)
    assert len(grey.evaluation_split("test", 0, 2)) == 2
    assert len(grey.evaluation_split("test", 0, 99)) == 5


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
