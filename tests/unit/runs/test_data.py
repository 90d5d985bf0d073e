"""The data of runs are known by their fingerprint, wherever they lie and however they are named."""

import shutil

import numpy as np
import pytest

import elbax
from elbax._errors import DataError, InputError
from elbax.runs.data import as_begun, find, refuse_overlap

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(40, 3)).astype(np.float32)
AGES = RNG.integers(18, 90, (40, 3))


def config_of(data: elbax.Dataset) -> dict:
    """The part of config.json that says which data these are."""
    return {
        "data": {
            "name": data.name,
            "request": data.request,
            "fingerprint": data.fingerprint(),
            "event_shape": list(data.event_shape),
            "binarise": data.binarise,
        }
    }


def saved(path, array):
    np.save(path, array)
    return path


@pytest.fixture
def own(tmp_path):
    path = saved(tmp_path / "own.npy", REAL)
    return path, config_of(elbax.load_data(path, seed=4, num_valid=3))


def test_moved_data_are_found_by_the_name_that_is_given(own, tmp_path):
    path, config = own
    moved = str(shutil.move(path, tmp_path / "moved.npy"))
    with pytest.raises(DataError, match=r"own\.npy' does not exist.* name them with --data"):
        find(config, tmp_path)
    found = find(config, tmp_path, data=moved)
    assert found.fingerprint() == config["data"]["fingerprint"]
    assert len(found.valid) == 3


def test_changed_data_are_refused(own, tmp_path):
    saved(own[0], REAL + 1)
    with pytest.raises(DataError, match=r"their fingerprint differs.*name it with --data"):
        find(own[1], tmp_path)


@pytest.mark.parametrize(("split", "num"), [("train", 33), ("valid", 3), ("test", 4)])
def test_other_splits_stand_in_for_the_test_data(own, tmp_path, split, num):
    data = elbax.load_data(own[0], seed=4, num_valid=3)
    found = find(own[1], tmp_path, split=split)
    assert len(found.test) == num
    np.testing.assert_array_equal(found.test, data.split(split))
    assert (found.test is found.train) == (split == "train")  # which tells tables what to say


def test_all_rows_of_another_file_are_scored(own, tmp_path):
    other = saved(tmp_path / "other.npy", REAL[:7] + 1)
    found = find(own[1], tmp_path, data=str(other))
    np.testing.assert_array_equal(found.test, REAL[:7] + 1)


def test_other_data_are_read_as_the_runs_own_were(tmp_path):
    grey = RNG.integers(0, 17, (40, 2, 3), np.uint8)
    config = config_of(elbax.load_data(saved(tmp_path / "a.npy", grey), levels=16))
    found = find(config, tmp_path, data=str(saved(tmp_path / "b.npy", grey[:5])))
    assert (found.levels, found.binarise) == (16.0, "dynamic")


def test_wrong_data_and_splits_are_refused(own, tmp_path):
    wide = saved(tmp_path / "wide.npy", np.hstack([REAL, REAL]))
    with pytest.raises(DataError, match=r"data of shape \[3\], .* got \[6\] in"):
        find(own[1], tmp_path, data=str(wide))
    with pytest.raises(InputError, match="split to be test, train or valid; got 'all'"):
        find(own[1], tmp_path, split="all")
    with pytest.raises(DataError, match="array in memory"):
        find({"data": own[1]["data"] | {"request": None}}, tmp_path)


def before_levels(path, data: elbax.Dataset) -> dict:
    """A config.json from before requests had levels."""
    config = config_of(data)
    request = {"name_or_path": str(path), "binarise": data.binarise, "seed": 0, "num_valid": 0}
    config["data"]["request"] = request
    return config


def test_a_table_that_was_read_as_grey_is_so_for_its_old_runs(tmp_path):
    path = saved(tmp_path / "ages.npy", AGES)
    order = elbax.load_data(path)
    grey = elbax.Dataset(
        name="ages",
        train=order.train.astype(np.uint8),
        test=order.test.astype(np.uint8),
        levels=255.0,
        binarise="dynamic",
    )
    config = before_levels(path, grey)
    assert find(config, tmp_path).binarise == "dynamic"
    assert as_begun(config, str(path), binarise=None, seed=0, levels=None).levels == 255.0
    assert as_begun(config, str(path), binarise="none", seed=0, levels=None) is None
    assert as_begun(config, str(path), binarise=None, seed=1, levels=None) is None


def test_validation_data_that_were_not_read_stay_out_of_old_runs(tmp_path):
    np.savez(tmp_path / "x.npz", train=REAL[:20], test=REAL[20:30], val=REAL[30:])
    data = elbax.Dataset(name="x", train=REAL[:20], test=REAL[20:30])
    assert find(before_levels(tmp_path / "x.npz", data), tmp_path).valid is None


@pytest.mark.parametrize("moved", [False, True])
def test_test_data_that_the_first_stage_was_trained_on_are_refused(tmp_path, moved):
    path = saved(tmp_path / "own.npy", RNG.normal(size=(200, 3)))
    config = config_of(elbax.load_data(path, seed=4))
    if moved:
        path = shutil.move(path, tmp_path / "moved.npy")
    with pytest.raises(DataError, match=r"are among its training data\. Give its --data-seed, 4"):
        refuse_overlap(config, tmp_path, elbax.load_data(path, seed=5))


def test_test_data_that_the_first_stage_has_not_seen_are_taken(own, tmp_path):
    path, config = own
    refuse_overlap(config, tmp_path, elbax.load_data(path, seed=4))
    refuse_overlap(config, tmp_path, elbax.load_data(saved(tmp_path / "new.npy", REAL + 9)))
