"""Runs on disk: loaded as they were trained, evaluated as they would be in memory."""

import json
import shutil

import jax
import numpy as np
import pytest

import elbax
from elbax._errors import CheckpointError, DataError, InputError
from elbax.runs.evaluate import evaluate_runs
from elbax.runs.load import load_data_of, load_runs
from elbax.runs.results import evaluation_of, find_results, setting_of
from elbax.training.folder import newest_checkpoint

CONFIG = elbax.TrainConfig(epochs=1, batch_size=100)
MODEL = elbax.ModelConfig(hidden=(8,), latents=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    data = elbax.load_data("digits")
    result = elbax.fit(
        ["vae(m=4)", "iwae(k=4)"], data, model=MODEL, config=CONFIG, directory=folder
    )
    return folder, result, data


def same(first, second) -> bool:
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all((a == b).all() for a, b in pairs if hasattr(a, "shape"))


def test_models_come_back_as_they_were_trained(trained):
    folder, result, _ = trained
    runs = load_runs(folder)
    assert runs.specs == result.runs
    assert runs.status == ("ok", "ok")
    assert runs.epochs_done == 1
    assert all(same(a, b) for a, b in zip(runs.models, result.models, strict=True))


def test_results_are_those_of_evaluate(trained):
    folder, result, data = trained
    results = evaluate_runs(load_runs(folder), data, ks=(1, 4, 16), num_data=50)
    x = data.evaluation_split("test", 0)[:50]
    expected = elbax.evaluate(result.models[1], x, key=jax.random.key(0), ks=(1, 4, 16))
    assert results["runs"][1]["metrics"]["log_p_hat"] == expected.log_p_hat.mean
    assert (
        results["runs"][1]["standard_errors"]["iwae_4"]
        == expected.estimate("iwae_4").standard_error
    )
    assert json.loads((folder / "results.json").read_text()) == results
    with np.load(folder / "images.npz", allow_pickle=False) as images:
        assert images["reconstructions"].shape == (2, 20, 8, 8)
        assert images["samples"].shape == (2, 20, 8, 8)
    assert -1 <= results["runs"][0]["metrics"]["ssim"] <= 1


def test_results_of_every_setting_are_kept_and_say_what_they_are_of(trained, tmp_path):
    _, _, data = trained
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    for file in (*folder.glob("results*"), *folder.glob("per_datum*")):
        file.unlink()
    runs = load_runs(folder)
    settings = [{"ks": (1, 4), "num_data": 30}, {"ks": (1, 4), "num_data": 20, "seed": 1}]
    written = [evaluate_runs(runs, data, **setting) for setting in settings]
    for name, setting, results in zip(("n30-seed0", "n20-seed1"), settings, written, strict=True):
        kept = json.loads((folder / f"results-k1-4-{name}.json").read_text())
        assert kept == results
        assert kept["evaluation"]["checkpoint"] == runs.checkpoint
        with np.load(folder / f"per_datum-k1-4-{name}.npz", allow_pickle=False) as arrays:
            said = json.loads(str(arrays["setting"]))
            assert arrays["bounds"].shape == (2, 2, setting["num_data"])
        assert said == {name: kept["evaluation"][name] for name in said}
        assert set(said) == {"ks", "num_data", "seed", "checkpoint"}
    # The latest, under the names that the report reads.
    assert json.loads((folder / "results.json").read_text()) == written[1]
    assert evaluation_of(folder / "per_datum.npz") == evaluation_of(folder / "images.npz")
    wanted = setting_of((4, 1), 30, 0)
    assert find_results(folder, wanted)[0] == written[0]
    # A file of another evaluation under this name, or of another checkpoint, is not taken.
    shutil.copy(folder / "per_datum.npz", folder / "per_datum-k1-4-n30-seed0.npz")
    assert find_results(folder, wanted) is None
    assert find_results(folder, setting_of((1, 4), 21, 1)) is None


def test_results_of_an_earlier_version_are_found_and_kept(trained, tmp_path):
    _, _, data = trained
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    results = evaluate_runs(load_runs(folder), data, ks=(1, 4), num_data=25)
    del results["evaluation"]["checkpoint"]
    results["runs"][0]["label"] = "of an earlier version"
    for file in folder.glob("*-k1-4-n25-*"):
        file.unlink()
    (folder / "results.json").write_text(json.dumps(results))
    wanted = setting_of((1, 4), 25, 0)
    assert find_results(folder, wanted)[0] == results
    evaluate_runs(load_runs(folder), data, ks=(1, 8), num_data=25)
    assert find_results(folder, wanted)[0] == results
    assert find_results(folder, setting_of((1, 8), 25, 0)) is not None


def test_an_odd_configuration_is_refused(tmp_path):
    for text in ("{}", '{"runs": 3}', '{"runs": [{}], "model": 3, "data": []}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=r"cannot read .*config\.json"):
            load_runs(tmp_path)


def test_the_data_of_the_runs_come_back_and_must_be_unchanged(trained, tmp_path):
    folder, _, data = trained
    runs = load_runs(folder)
    assert load_data_of(runs).fingerprint() == data.fingerprint()
    array = np.random.default_rng(0).random((40, 6)).astype(np.float32)
    np.save(tmp_path / "own.npy", array)
    own = elbax.load_data(tmp_path / "own.npy")
    elbax.fit(
        "iwae(k=2)", own, model=MODEL, config=elbax.TrainConfig(epochs=1), directory=tmp_path / "r"
    )
    runs = load_runs(tmp_path / "r")
    assert load_data_of(runs).train.shape == (36, 6)
    np.save(tmp_path / "own.npy", array[::-1])
    with pytest.raises(DataError, match="fingerprint differs"):
        load_data_of(runs)


def test_models_of_the_users_own_need_their_builder(tmp_path):
    def build(key):
        return elbax.linear_gaussian(4, 2, key=key)

    data = np.random.default_rng(0).normal(size=(40, 4))
    config = elbax.TrainConfig(epochs=1)
    result = elbax.fit("iwae(k=2)", data, model=build, config=config, directory=tmp_path)
    with pytest.raises(InputError, match="model of your own"):
        load_runs(tmp_path)
    runs = load_runs(tmp_path, model=build)
    assert same(runs.models[0], result.models[0])
    with pytest.raises(DataError, match="array in memory"):
        load_data_of(runs)
    results = elbax.evaluate_runs(runs, data, ks=(1, 4))
    x = np.asarray(data, np.float32)
    expected = elbax.evaluate(result.models[0], x, key=jax.random.key(0), ks=(1, 4))
    assert results["runs"][0]["metrics"]["log_p_hat"] == expected.log_p_hat.mean
    with np.load(tmp_path / "per_datum.npz") as found:
        np.testing.assert_array_equal(found["ess"][0], expected.ess)
    assert "IWAE(2)" in elbax.write_report(tmp_path).read_text()
    with pytest.raises(CheckpointError, match="another model"):
        load_runs(tmp_path, model=lambda key: elbax.linear_gaussian(4, 3, key=key))


def test_folders_that_hold_no_runs_are_refused(trained, tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_runs(tmp_path)
    shutil.copytree(trained[0], tmp_path / "copy")
    newest = newest_checkpoint(tmp_path / "copy")
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_runs(tmp_path / "copy")
    newest.unlink()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_runs(tmp_path / "copy")
