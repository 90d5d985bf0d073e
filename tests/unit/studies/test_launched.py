"""What a study hands to an engine, and in which order; the engines are tested by themselves."""

import json
import socket

import msgspec
import pytest

import elbax
from elbax.studies.launched import split, train_on, train_part
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Store
from elbax.training import claims
from elbax.training.claims import claimed

from ..launch.test_work import Inline
from .test_store import BUDGET, MODEL, RUNS, TRAIN


class Recording(Inline):
    """Remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.tasks = []

    def submit(self, fn, /, task):
        self.tasks.append(json.loads(json.dumps(task)))
        return super().submit(fn, self.tasks[-1])


def members(task):
    return msgspec.convert(task["with"]["members"], list[PlannedRun])


def test_runs_wait_for_those_they_start_from_and_nothing_is_done_twice(tmp_path):
    starts = RUNS[:1]
    after = grid("digits", ["iwae(4)"], (0,), MODEL, TRAIN, starts)
    store, executor = Store(tmp_path), Recording()
    train_on(executor, after, store, BUDGET)
    assert [members(task) for task in executor.tasks] == [starts, after]
    assert store.missing([*starts, *after]) == []
    assert store.is_evaluated(after[0], BUDGET)
    assert not store.is_evaluated(starts[0], BUDGET)  # nobody asked for it
    train_on(executor, after, store, BUDGET)
    assert len(executor.tasks) == 2
    train_on(executor, starts, store, BUDGET)  # trained, and not evaluated yet
    assert len(executor.tasks) == 3
    assert store.is_evaluated(starts[0], BUDGET)


def test_parts_hold_every_run_once_and_no_more_than_asked():
    fleet = grid(
        "digits", [f"vae({2**i})" for i in range(3)] + ["iwae(8)"], (0, 1, 2), MODEL, TRAIN
    )
    for most in range(1, 14):
        parts = split(fleet, most)
        assert [run for part in parts for run in part] == fleet
        assert all(len(part) <= most for part in parts)
        for part in parts:  # a part is a fleet: all its methods have the same seeds
            seeds = {tuple(r.seed for r in part if r.method == m.method) for m in part}
            assert len(seeds) == 1


def test_a_part_that_somebody_else_trains_is_held(tmp_path):
    store = Store(tmp_path)
    with claimed(store.place(RUNS)):
        found = train_part(str(tmp_path), None, msgspec.to_builtins(RUNS), None)
    assert "is in use by process" in found["held"]


def test_a_store_is_not_shared_with_another_version(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(claims, "__version__", "9.9")
        other = claimed(tmp_path / "digits-own-t4-0a1b2c3d")
        other.__enter__()
    said = rf"expected elbax .* alone at work in .* on {socket.gethostname()} with elbax 9\.9 too"
    for begin in (
        lambda: train_on(Recording(), RUNS, Store(tmp_path)),
        lambda: Store(tmp_path).train(RUNS, print),
    ):
        with pytest.raises(elbax.InputError, match=said):
            begin()
    other.__exit__(None, None, None)
    assert not list((tmp_path / "digits-own-t4-0a1b2c3d").iterdir())
