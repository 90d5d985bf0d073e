"""A real SLURM: an array of four fleets, one cancelled and one queued again by the scheduler.

`eval "$(benchmarks/slurm/cluster.sh start)"` brings one up on this machine.
"""

import shutil
import subprocess

import pytest

import elbax
from elbax.launch.engines import Slurm, engine
from elbax.studies.launched import train_on
from elbax.studies.plan import grid
from elbax.studies.store import Store
from elbax.training.claims import holder

from .fleets import BUDGET, MODEL, TRAIN, Disturbance, bits

RUNS = grid("digits", ["vae(4)", "iwae(4)"], (0, 1), MODEL, TRAIN)


def why_not():
    """Why there is no SLURM here, or ""."""
    if shutil.which("scontrol") is None:
        return "no SLURM on this machine"
    try:
        said = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=5)
    except subprocess.TimeoutExpired:
        return "SLURM does not answer"
    return "" if said.returncode == 0 else "SLURM's scheduler is down"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "SLURM answers")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELBAX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def test_an_array_of_fleets_with_one_cancelled_and_one_requeued(tmp_path):
    here = Store(tmp_path / "here")
    here.train(RUNS, lambda what, done: None)
    store, jobs = Store(tmp_path / "store"), []

    def command(*words):
        def act(process):
            [by] = [
                by
                for path in store.root.glob("*/.claim")
                if (by := holder(path.parent)) and by.process == process
            ]
            jobs.append(by.worker.removeprefix("job "))
            subprocess.run([*words, jobs[-1]], check=True)

        return act

    cancelled = Disturbance(store.root, command("scancel"))
    with engine("slurm", workers=4, logs=str(tmp_path / "logs")) as executor:
        requeued = None

        def watch(found):
            nonlocal requeued
            if requeued is None and cancelled.done:
                requeued = Disturbance(store.root, command("scontrol", "requeue"))

        train_on(executor, RUNS, store, BUDGET, most=1, watch=watch)
    assert len(jobs) == 2
    assert "_" in jobs[0]  # a task of an array
    assert store.missing(RUNS) == []
    assert all(store.is_evaluated(run, BUDGET) for run in RUNS)
    assert bits(store, RUNS) == bits(here, RUNS)
    assert len(list(store.root.glob("*/config.json"))) == len(RUNS)


def test_jobs_that_could_never_run_are_refused_before_anything_is_written(tmp_path):
    for asked in (Slurm(partition="no-such-partition"), Slurm(cores=100_000)):
        with (
            pytest.raises(elbax.InputError, match="SLURM does not take such jobs"),
            engine("slurm", logs=str(tmp_path / "logs"), slurm=asked),
        ):
            pass
    assert not list(tmp_path.iterdir())
