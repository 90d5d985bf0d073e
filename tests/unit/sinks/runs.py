"""Tiny runs on images of 4 x 4 that are logged: whole ones, and ones that end and go on."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elbax.training.folder import newest_checkpoint
from tests.conftest import REPOSITORY
from tests.unit.training.runs import binary_images, train

IMAGES = binary_images(40, 16).reshape(40, 4, 4)
RUNS = ("iwae-k4-seed0", "iwae-k4-seed1")
EPOCHS, PER_EPOCH = 4, 5


def logged(log, **options):
    """Two runs of four epochs of five steps: one program for all tests."""
    return train("iwae(k=4)", data=IMAGES, seeds=(0, 1), log=log, epochs=EPOCHS, **options)


class PowerCutError(Exception):
    """What ends a training in the middle."""


def interrupted(folder: Path, log) -> None:
    """Train for three of four epochs, and lose the checkpoint of the third."""

    def monitor(look):
        if look.epoch == 4:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        logged(log, directory=folder, monitor=monitor, checkpoint_seconds=0.0)
    newest_checkpoint(folder).unlink()
    assert newest_checkpoint(folder).stem.endswith(str(2 * PER_EPOCH))


def killed(folder: Path, log: str) -> None:
    """The same by SIGKILL, in a process of its own."""
    command = [sys.executable, "-m", "tests.unit.sinks.killed", str(folder), log]
    options = {
        "cwd": folder.parent,  # where some tools leave files
        "env": {**os.environ, "PYTHONPATH": str(REPOSITORY)},
        "capture_output": True,
        "text": True,
    }
    done = subprocess.run(command, **options, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert newest_checkpoint(folder).stem.endswith(str(2 * PER_EPOCH))


ENDS = [interrupted, pytest.param(killed, marks=pytest.mark.slow)]


def gone_on_with(folder: Path, log):
    """Resume those runs, to their end."""
    return logged(log, directory=folder, resume=True)


def expected(folder: Path) -> dict[str, dict[str, dict[int, float]]]:
    """Every number of metrics.jsonl: by run, by name, by step."""
    found: dict = {run: {} for run in RUNS}
    for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        run, step = line.pop("run"), line.pop("step")
        for name, value in line.items():
            if isinstance(value, int | float):
                found[run].setdefault(name, {})[step] = value
    assert set(found[RUNS[0]]["epoch"]) == {PER_EPOCH * (n + 1) for n in range(EPOCHS)}
    assert {"bound", "epoch", "learning_rate", "ess"} <= set(found[RUNS[1]])
    return found


def same(found: dict, wanted: dict, tolerance: float = 0.0) -> bool:
    """Whether the same numbers were told, each at the same step; float32 where a tool keeps it."""
    if isinstance(wanted, dict):
        return set(found) == set(wanted) and all(
            same(found[name], wanted[name], tolerance) for name in wanted
        )
    return math.isclose(found, wanted, rel_tol=tolerance)


def is_picture(pixels: np.ndarray, columns: int) -> bool:
    """Whether pixels are two rows of images of 32 x 32 with margins, and not one grey."""
    return pixels.shape[:2] == (68, 34 * columns) and len(np.unique(pixels)) > 3
