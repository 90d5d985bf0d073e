"""Fleets on engines: what an engine costs, and what is lost when its workers die.

    python benchmarks/engines.py overhead --runs 32 --epochs 40
    python benchmarks/engines.py kills --engines local dask slurm --kills 20

`overhead` trains the same sweep in this process and on one and two workers of each engine, and
prints times as ratios to the first. `kills` disturbs workers in the middle of their runs (SIGKILL;
with SLURM also `scancel` and `scontrol requeue`) and compares every last parameter, and how often
every epoch was trained to its end, with an undisturbed sweep. SLURM takes part where its commands
are there: see benchmarks/slurm/cluster.sh.
"""

import argparse
import contextlib
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import numpy as np

from elbax.launch.engines import Slurm, engine
from elbax.models.config import ModelConfig
from elbax.runs.load import load_runs
from elbax.studies.launched import split, train_on
from elbax.studies.plan import PlannedRun, fleets, grid
from elbax.studies.store import Store
from elbax.training.claims import holder
from elbax.training.config import TrainConfig

METHODS = ("vae(8)", "iwae(8)", "piwae(2, 4)", "ciwae(8, 0.5)")
MODEL = ModelConfig(hidden=(50,), latents=10)


def sweep(num_runs: int, epochs: int) -> list[PlannedRun]:
    """Four methods, so many seeds each, on the digits."""
    seeds = range(-(-num_runs // len(METHODS)))
    return grid("digits", METHODS, tuple(seeds), MODEL, TrainConfig(epochs=epochs))[:num_runs]


def quiet(what: str, done: float) -> None:
    """Nobody looks."""


def here(root: Path, runs: Sequence[PlannedRun], most: int) -> Store:
    """The sweep in this process, in the parts that would travel."""
    store = Store(root)
    for fleet in fleets(runs):
        for part in split(fleet, most):
            store.train(part, quiet)
    return store


def elsewhere(name: str, root: Path, runs, most: int, workers: int) -> Store:
    """The sweep on an engine."""
    store = Store(root)
    with engine(name, workers=workers, logs=str(root.parent / "logs"), slurm=Slurm()) as executor:
        train_on(executor, runs, store, most=most)
    return store


def overhead(names: Sequence[str], num_runs: int, epochs: int, most: int, root: Path) -> dict:
    """Seconds of the sweep, by engine and number of workers, and ratios."""
    runs, found = sweep(num_runs, epochs), {}
    here(root / "warm", sweep(len(METHODS), 1), 1)  # what is compiled is on disk from here on
    jax.clear_caches()
    begun = time.perf_counter()
    here(root / "here", runs, most)
    found["here"] = time.perf_counter() - begun
    for name in names:
        for workers in (1, 2):
            begun = time.perf_counter()
            elsewhere(name, root / f"{name}-{workers}", runs, most, workers)
            found[f"{name}, {workers} worker{'s' * (workers > 1)}"] = time.perf_counter() - begun
    jobs = -(-num_runs // most)
    print(f"{num_runs} runs of {epochs} epochs in {jobs} pieces of work")
    for name, seconds in found.items():
        print(f"{name:18} {seconds:7.1f} s   {seconds / found['here']:.2f} of here")
    return {"pieces": jobs, "seconds": found}


class Killer(threading.Thread):
    """Disturbs workers in the middle of their runs, so many times."""

    def __init__(self, root: Path, kills: int, slurm: bool, seed: int):
        super().__init__(daemon=True)
        self.root, self.left, self.slurm = root, kills, slurm
        self.random, self.told, self.over = random.Random(seed), [], threading.Event()

    def run(self) -> None:
        while self.left and not self.over.wait(self.random.uniform(0.5, 4.0)):
            alive = [
                by
                for path in self.root.glob("*/.claim")
                if (by := holder(path.parent)) is not None and os.path.exists(f"/proc/{by.process}")
            ]
            if alive:
                self.disturb(self.random.choice(alive))

    def disturb(self, by) -> None:
        way = self.random.choice(["SIGKILL", "scancel", "requeue"] if self.slurm else ["SIGKILL"])
        job = by.worker.removeprefix("job ")
        with contextlib.suppress(ProcessLookupError):
            if way == "SIGKILL":
                os.kill(by.process, signal.SIGKILL)
            elif way == "scancel":
                subprocess.run(["scancel", job], check=False)
            else:
                subprocess.run(["scontrol", "requeue", job], check=False)
            self.left -= 1
            self.told.append(way)


def kills(names: Sequence[str], num_kills: int, num_runs: int, epochs: int, root: Path) -> dict:
    """What `num_kills` disturbances of each engine cost."""
    runs = sweep(num_runs, epochs)
    expected = ends(here(root / "here", runs, 1), runs)
    found = {}
    for place, name in enumerate(names):
        store_root = root / name / "store"
        killer = Killer(store_root, num_kills, name == "slurm", place)
        killer.start()
        store = elsewhere(name, store_root, runs, 1, 2)
        killer.over.set()
        killer.join()
        now = ends(store, runs)
        found[name] = {
            "disturbed": {way: killer.told.count(way) for way in sorted(set(killer.told))},
            "lost": len(store.missing(runs)),
            "folders too many": len(list(store_root.glob("*/config.json"))) - num_runs,
            "epochs that are not there once": sum(epochs_wrong(store, run) for run in runs),
            "runs whose bits differ": sum(now[run.name] != expected[run.name] for run in runs),
        }
        print(f"{name:6} {json.dumps(found[name])}", flush=True)
    return found


def ends(store: Store, runs: Sequence[PlannedRun]) -> dict[str, bytes]:
    """The last parameters of every run."""
    found = {}
    for run in runs:
        loaded = load_runs(store.place([run]))
        leaves = jax.tree.leaves(loaded.models[loaded.index_of(run.name)])
        found[run.name] = b"".join(np.asarray(x).tobytes() for x in leaves if hasattr(x, "shape"))
    return found


def epochs_wrong(store: Store, run: PlannedRun) -> bool:
    """Whether a run's lines are not exactly one for each epoch."""
    lines = (store.place([run]) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines] != list(range(1, run.train.epochs + 1))


def main() -> None:
    """Do what is asked, in a folder that goes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("overhead", "kills"))
    parser.add_argument("--engines", nargs="+", default=["local", "dask", "slurm"])
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--runs-per-job", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20, help="of each engine")
    parser.add_argument("--json", help="a file for the figures")
    options = parser.parse_args()
    names = [name for name in options.engines if name != "slurm" or shutil.which("sbatch")]
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # Dask's own, of workers that die
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ELBAX_CACHE", folder)
        root = Path(folder)
        if options.what == "overhead":
            found = overhead(names, options.runs, options.epochs, options.runs_per_job, root)
        else:
            found = kills(names, options.kills, options.runs, options.epochs, root)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
