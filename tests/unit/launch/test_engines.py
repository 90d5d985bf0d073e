"""Fleets on real engines, with a worker killed in the middle: nothing is lost, no bit differs."""

import importlib.util
import os
import signal

import pytest

import elbax
from elbax.launch.engines import Slurm, engine, needs
from elbax.launch.processes import Processes
from elbax.studies.launched import train_on
from elbax.studies.store import Store

from .fleets import BUDGET, RUNS, Disturbance, bits


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same runs trained here, in one fleet."""
    store = Store(tmp_path_factory.mktemp("here"))
    store.train(RUNS, lambda what, done: None)
    return bits(store)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ELBAX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def check(store, disturbance, undisturbed):
    assert disturbance.done
    assert store.missing(RUNS) == []
    assert all(store.is_evaluated(run, BUDGET) for run in RUNS)
    assert bits(store) == undisturbed
    assert len(list(store.root.glob("*/config.json"))) == 2  # a folder for each part, none twice


def test_processes_of_this_machine(tmp_path, undisturbed):
    store, seen = Store(tmp_path / "store"), []
    disturbance = Disturbance(store.root)
    with Processes(2) as workers:
        train_on(workers, RUNS, store, BUDGET, most=1, watch=seen.append)
    check(store, disturbance, undisturbed)
    states = {one.state for found in seen for one in found}
    assert {"training", "evaluated"} <= states
    assert any(one.worker.startswith("worker ") for found in seen for one in found)
    assert any(one.left is not None for found in seen for one in found)


@pytest.mark.skipif(not importlib.util.find_spec("distributed"), reason="needs elbax[dask]")
@pytest.mark.filterwarnings("ignore")  # Dask's own, of a worker that dies
def test_workers_of_dask(tmp_path, undisturbed):
    store = Store(tmp_path / "store")
    disturbance = Disturbance(store.root)
    with engine("dask", workers=2) as workers:
        train_on(workers, RUNS, store, BUDGET, most=1)
    check(store, disturbance, undisturbed)


@pytest.mark.skipif(not importlib.util.find_spec("submitit"), reason="needs elbax[slurm]")
def test_jobs_that_are_preempted(tmp_path, undisturbed):
    """Under submitit's protocol on this machine: a job is asked to leave, and queued again."""
    from elbax.launch.slurm import Jobs

    store, jobs = (
        Store(tmp_path / "store"),
        Jobs(Slurm(), str(tmp_path / "logs"), 2, cluster="local"),
    )

    disturbance = Disturbance(store.root, lambda pid: os.kill(pid, signal.SIGUSR2))
    try:
        train_on(jobs, RUNS, store, BUDGET, most=1)
    finally:
        jobs.shutdown()
    check(store, disturbance, undisturbed)


def test_an_engine_that_is_not_installed_is_named_with_its_cure():
    with pytest.raises(elbax.InputError, match=r'install it with `pip install "elbax\[dask\]"`'):
        needs("no_such_module", "dask")
    with (
        pytest.raises(elbax.InputError, match="expected local, slurm or dask"),
        engine("kubernetes"),
    ):
        pass
