"""A store finds runs by what they are, trains the rest, and goes on after an interruption."""

import json
from dataclasses import replace

import pytest

from elbax.experiments.plan import grid
from elbax.experiments.store import Budget, Store
from elbax.models.config import ModelConfig
from elbax.training.config import TrainConfig

MODEL = ModelConfig(hidden=(4,), latents=2)
TRAIN = TrainConfig(epochs=2, batch_size=400)
RUNS = grid("digits", ["vae(4)", "iwae(4)"], (0, 1), MODEL, TRAIN)
BUDGET = Budget((1, 8), 20)


def quiet(what, done):
    pass


def stamps(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    store = Store(root)
    store.train(RUNS, quiet)
    store.evaluate(RUNS, BUDGET, quiet)
    return root


def test_one_fleet_in_one_folder(trained):
    assert [path.name.rsplit("-", 1)[0] for path in trained.iterdir()] == ["digits-own-t4"]


def test_what_is_there_is_neither_trained_nor_evaluated_again(trained):
    before = stamps(trained)
    store = Store(trained)
    assert store.missing(RUNS) == []
    store.train(RUNS, quiet)
    found = store.evaluate(RUNS[::-1], BUDGET, quiet)
    assert stamps(trained) == before
    assert [run.plan for run in found] == RUNS[::-1]
    assert all(run.ok for run in found)
    content = json.loads((found[0].folder / "results.json").read_text())
    by_name = {entry["name"]: entry for entry in content["runs"]}
    for run in found:
        assert run.metric("log_p_hat") == by_name[run.plan.name]["metrics"]["log_p_hat"]
        assert run.per_datum("log_p_hat").mean() == pytest.approx(run.metric("iwae_8"), rel=1e-5)
        assert (run.per_datum("gap_1") == run.per_datum("iwae_1") - run.per_datum("iwae_8")).all()
        assert run.per_datum("ssim").shape == (20,)
        assert [record["epoch"] for record in run.curve] == [1, 2]


def test_runs_of_another_kind_are_not_taken_for_these(trained):
    store = Store(trained)
    others = [
        replace(RUNS[0], seed=2),
        replace(RUNS[0], method="vae(8)"),
        replace(RUNS[0], model=replace(MODEL, activation="elu")),
        replace(RUNS[0], train=replace(TRAIN, learning_rate=1e-2)),
        replace(RUNS[0], start=RUNS[1]),
    ]
    for run in others:
        assert run in store.missing([run])


def test_a_second_stage_starts_each_seed_from_its_own(trained):
    store = Store(trained)
    second = grid("digits", ["iwae(4)"], (0, 1), MODEL, TRAIN, starts=RUNS[:2])
    store.train(second, quiet)
    assert store.missing(second) == []
    [folder] = [path for path in trained.iterdir() if "stage2" in path.name]
    origin = json.loads((folder / "config.json").read_text())["origin"]
    assert origin["runs"] == ["vae-m4-seed0", "vae-m4-seed1"]
    # The same methods from scratch, or from other runs, are other runs.
    assert store.missing([replace(second[0], start=RUNS[2])])
    assert store.evaluate(second, BUDGET, quiet)[0].plan.label == "IWAE(4) from VAE(4)"


def test_an_interrupted_store_goes_on_where_it_stopped(tmp_path):
    long = grid("digits", ["vae(4)"], (0,), MODEL, replace(TRAIN, epochs=3))

    def stop(what, done):
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).train(long, stop)
    [folder] = tmp_path.iterdir()
    assert Store(tmp_path).missing(long) == long
    Store(tmp_path).train(long, quiet)
    assert list(tmp_path.iterdir()) == [folder]
    assert Store(tmp_path).missing(long) == []


def test_strangers_in_the_folder_are_passed_over(tmp_path):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text('{"model": 3}')
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse" / "config.json").write_text("not JSON")
    assert Store(tmp_path).missing(RUNS[:1]) == RUNS[:1]
