"""Train a case of test_resume in a folder until told to stop, then die as by a power cut.

`python -m tests.unit.training.killed FOLDER CASE WHERE AT`: WHERE is "progress" (die when told
that step AT is done) or "checkpoint" (die in the middle of writing checkpoint number AT).
"""

import os
import signal
import sys
from pathlib import Path

import elbax.training.fit as fit_module
from elbax.training import checkpoints

from .runs import Clock, grey_dataset, train

EPOCHS, PER_EPOCH = 6, 20
CASES = {
    "one run": {"objectives": "piwae(m=2, k=2)"},
    "fleet, dynamic": {
        "objectives": ["iwae(k=4, gradient=dreg)", "ciwae(k=4, beta=0.5)"],
        "seeds": (0, 1),
        "data": grey_dataset(),
    },
}


def train_case(case: str, folder: Path, **options):
    """Six epochs of 20 steps each, in chunks of a few steps, a checkpoint every second epoch."""
    protocol = {"epochs": EPOCHS, "batch_size": 2, "learning_rate": 0.01}
    options = {"fleet_map": "sequential", "directory": folder, **options}
    return train(**CASES[case], **protocol, **options)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_writing(at: int) -> None:
    """Let checkpoint number `at` reach the disk by half, under its temporary name."""
    save, written = checkpoints.save, []

    def save_or_die(path, states, *, identity):
        written.append(path)
        if len(written) == at:
            os.fsync = lambda file: (os.ftruncate(file, 100), die())
        save(path, states, identity=identity)

    checkpoints.save = save_or_die


def main(folder: str, case: str, where: str, at: int) -> None:
    fit_module.time = Clock()
    if where == "checkpoint":
        die_while_writing(at)

    def progress(told):
        if where == "progress" and told.step == at:
            die()

    train_case(case, Path(folder), resume=True, progress=progress, checkpoint_seconds=20.0)


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
