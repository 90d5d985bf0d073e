"""Training killed by SIGKILL and resumed gives what it gives uninterrupted, byte for byte."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import elbax
from elbax.training.folder import newest_checkpoint

from .killed import CASES, EPOCHS, train_case
from .runs import model_bits

REPOSITORY = Path(__file__).resolve().parents[3]


def kill(folder: Path, case: str, where: str, at: int) -> None:
    """Train or resume `case` in `folder` in a process that kills itself."""
    module = "tests.unit.training.killed"
    command = [sys.executable, "-m", module, str(folder), case, where, str(at)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Everything a folder holds that must not depend on interruptions."""
    files = (folder / "config.json", folder / "metrics.jsonl", newest_checkpoint(folder))
    return {path.name: path.read_bytes() for path in files}


def last_steps(folder: Path) -> tuple[int, int]:
    """The last step that metrics.jsonl tells of, and that of the newest checkpoint."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    newest = newest_checkpoint(folder)
    return json.loads(lines[-1])["step"] if lines else 0, int(newest.stem[5:]) if newest else 0


@pytest.fixture(scope="module", params=CASES)
def uninterrupted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = train_case(request.param, folder, checkpoint_seconds=0.0)
    return SimpleNamespace(case=request.param, folder=folder, result=result)


# Where each case is killed, one time after another, and the last steps of metrics.jsonl and of
# the newest checkpoint then. 72 is within the fourth epoch: what was written of the third is later
# than the checkpoint, so it is cut and comes again. 40 and 80 are edges.
KILLS = {
    "one run": [(("progress", 40), (20, 0)), (("progress", 72), (60, 40))],
    "fleet, dynamic": [(("checkpoint", 2), (80, 40))],
}


def test_killed_and_resumed_it_ends_as_it_does_uninterrupted(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    for (where, at), steps in KILLS[uninterrupted.case]:
        kill(folder, uninterrupted.case, where, at)
        assert last_steps(folder) == steps
        left = [path.stat().st_size for path in (folder / "checkpoints").glob(".*.part")]
        assert left == ([100] if where == "checkpoint" else [])
    resumed = train_case(uninterrupted.case, folder, resume=True)
    assert contents(folder) == contents(uninterrupted.folder)
    assert resumed.status == uninterrupted.result.status
    for model, expected in zip(resumed.models, uninterrupted.result.models, strict=True):
        assert model_bits(model) == model_bits(expected)


def test_resuming_a_finished_run_does_nothing(uninterrupted):
    before = contents(uninterrupted.folder)
    files = {
        path: path.stat().st_mtime_ns for path in (uninterrupted.folder / "checkpoints").iterdir()
    }
    told = []
    again = train_case(uninterrupted.case, uninterrupted.folder, resume=True, progress=told.append)
    assert (again.num_compilations, again.metrics, told) == (0, (), [])
    assert contents(uninterrupted.folder) == before
    assert files == {path: path.stat().st_mtime_ns for path in files}
    for model, expected in zip(again.models, uninterrupted.result.models, strict=True):
        assert model_bits(model) == model_bits(expected)


def test_metrics_hold_every_epoch_of_every_run_once(uninterrupted):
    lines = (uninterrupted.folder / "metrics.jsonl").read_text().splitlines()
    found = [(record["epoch"], record["run"]) for record in map(json.loads, lines)]
    names = [run.name for run in uninterrupted.result.runs]
    assert found == [(epoch, name) for epoch in range(1, EPOCHS + 1) for name in names]


def test_a_finished_run_is_not_overwritten_without_resume(uninterrupted):
    before = contents(uninterrupted.folder)
    with pytest.raises(elbax.CheckpointError, match="already holds these runs; add --resume"):
        train_case(uninterrupted.case, uninterrupted.folder)
    assert contents(uninterrupted.folder) == before
