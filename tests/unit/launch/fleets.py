"""A small fleet that trains for some seconds, long enough to be killed, and its bits."""

import os
import signal
import threading
import time
from pathlib import Path

from elbax.models.config import ModelConfig
from elbax.runs.load import load_runs
from elbax.studies.plan import grid
from elbax.studies.store import Budget, Store
from elbax.training.claims import holder
from elbax.training.config import TrainConfig

from ..training.runs import bits as bits_of

MODEL = ModelConfig(hidden=(4,), latents=2)
TRAIN = TrainConfig(epochs=24, batch_size=100)
RUNS = grid("digits", ["vae(4)", "iwae(4)"], (0,), MODEL, TRAIN)
BUDGET = Budget((1, 8), 20)


def bits(store: Store, planned=RUNS) -> list[dict[str, bytes]]:
    """The last parameters of every run, whichever folder it is in."""
    found = []
    for run in planned:
        runs = load_runs(store.place([run]))
        found.append(bits_of(runs.models[runs.index_of(run.name)]))
    return found


def mid_run(root: Path, seconds: float = 120.0) -> tuple[Path, int]:
    """A folder that is being trained just now, with the process that does it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path in root.glob("*/.claim"):
            by, lines = holder(path.parent), path.with_name("metrics.jsonl")
            done = lines.read_text().count("\n") if lines.exists() else 0
            if by is not None and 3 <= done < 0.8 * TRAIN.epochs:
                return path.parent, by.process
        time.sleep(0.05)
    raise AssertionError("no fleet was seen in training")


class Disturbance(threading.Thread):
    """Kills one worker in the middle of its run, or does something else to it."""

    def __init__(self, root: Path, act=lambda pid: os.kill(pid, signal.SIGKILL)):
        super().__init__(daemon=True)
        self.root, self.act, self.done = root, act, []
        self.start()

    def run(self):
        folder, process = mid_run(self.root)
        self.act(process)
        self.done.append(folder)
