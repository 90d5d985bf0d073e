"""Train the fleet of test_resume in a folder until told to stop, then die of SIGKILL.

`python -m tests.unit.training.killed FOLDER WHERE AT`: WHERE is "progress" (die when told
that step AT is done) or "checkpoint" (die in the middle of writing checkpoint number AT).
"""

import os
import signal
import sys
from pathlib import Path

import elbax.training.loop as loop_module
from elbax.training import checkpoints

from .runs import Clock, grey_dataset, train

EPOCHS, PER_EPOCH = 6, 20
METHODS = ("iwae(k=4, gradient=dreg)", "ciwae(k=4, beta=0.5)")


def train_in(folder: Path, **options):
    """Four runs of six epochs of 20 steps each, on images binarised afresh at every step."""
    protocol = {"epochs": EPOCHS, "batch_size": 2, "learning_rate": 0.01}
    fleet = {"seeds": (0, 1), "data": grey_dataset(), "fleet_map": "sequential"}
    return train(METHODS, **fleet, **protocol, directory=folder, **options)


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


def main(folder: str, where: str, at: int) -> None:
    # By this clock a chunk is a few steps, and every second epoch ends with a checkpoint.
    loop_module.time = Clock()
    if where == "checkpoint":
        die_while_writing(at)

    def progress(told):
        if where == "progress" and told.step == at:
            die()

    train_in(Path(folder), resume=True, progress=progress, checkpoint_seconds=20.0)


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]))
