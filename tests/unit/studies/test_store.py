"""A store finds runs by what they are, trains the rest, and goes on after an interruption."""

import json
import shutil
import threading
from dataclasses import replace

import pytest

import elbax
from elbax._errors import CheckpointError, StoppedError
from elbax.models.config import ModelConfig
from elbax.studies.plan import grid
from elbax.studies.store import Budget, Store
from elbax.training.claims import claimed
from elbax.training.config import TrainConfig
from elbax.training.folder import newest_checkpoint

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


def test_evaluations_of_several_settings_lie_side_by_side(trained):
    store = Store(trained)
    other = store.evaluate(RUNS, Budget((1, 4), 20), quiet)
    before = stamps(trained)
    found = store.evaluate(RUNS, BUDGET, quiet)
    assert store.evaluate(RUNS, Budget((1, 4), 20), quiet)[0].entry == other[0].entry
    assert stamps(trained) == before
    assert [run.results["evaluation"]["ks"] for run in (found[0], other[0])] == [[1, 8], [1, 4]]
    for run, k in ((found[1], 8), (other[1], 4)):
        assert run.per_datum("log_p_hat").mean() == pytest.approx(run.metric(f"iwae_{k}"), rel=1e-5)
    latest = json.loads((found[0].folder / "results.json").read_text())
    assert latest["evaluation"]["ks"] == [1, 4]


def test_several_processes_share_a_store(tmp_path):
    """Threads stand for them: a claim tells two openings of a folder apart, not two processes."""
    fits, failures = [], []

    def counted(*arguments, **options):
        result = elbax.fit(*arguments, **options)
        fits.append(len(result.metrics))
        return result

    def work():
        try:
            store = Store(tmp_path, train=counted)
            store.train(RUNS[:1], quiet)
            [found] = store.evaluate(RUNS[:1], BUDGET, quiet)
            assert found.ok
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(fits) == TRAIN.epochs  # trained once, whoever did it
    assert len(list(tmp_path.iterdir())) == 1


def test_what_another_process_trains_is_waited_for_and_the_rest_goes_on(tmp_path, monkeypatch):
    store, said = Store(tmp_path), []
    others = [replace(run, train=replace(TRAIN, epochs=1)) for run in RUNS[:1]]
    busy = claimed(store._new_folder(RUNS[:1]))
    monkeypatch.setattr("elbax.studies.store._WAIT_SECONDS", 0)
    busy.__enter__()

    def told(what, done):
        said.append(what)
        if what.startswith("waiting"):
            assert store.missing([*RUNS[:1], *others]) == RUNS[:1]
            busy.__exit__(None, None, None)

    store.train([*RUNS[:1], *others], told)
    assert sum(what.startswith("waiting: folder") for what in said) == 1
    assert store.missing([*RUNS[:1], *others]) == []


def test_a_trainer_that_is_told_to_stop_ends_the_store_and_it_goes_on_later(tmp_path):
    def stopped(*arguments, **options):
        return elbax.fit(*arguments, stop=lambda: True, **options)

    with pytest.raises(StoppedError, match="what was trained is saved"):
        Store(tmp_path, train=stopped).train(RUNS[:1], quiet)


def test_a_last_checkpoint_that_is_damaged_is_trained_again(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    [folder] = [path for path in (tmp_path / "copy").iterdir() if "own-t4" in path.name]
    newest = newest_checkpoint(folder)
    for older in set(newest.parent.iterdir()) - {newest}:  # there is one on a slow machine
        older.unlink()
    whole = newest.read_bytes()
    newest.write_bytes(whole[:-1])
    store = Store(tmp_path / "copy")
    assert store.missing(RUNS) == RUNS
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        store.train(RUNS, quiet)  # it was the only one
    newest.write_bytes(whole)
    assert store.missing(RUNS) == []


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
