"""Training killed by SIGKILL and resumed gives what it gives uninterrupted, byte for byte."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import elbax
from elbax.training.fleet import compiled
from elbax.training.folder import newest_checkpoint

from .killed import EPOCHS, PER_EPOCH, train_in
from .runs import model_bits

REPOSITORY = Path(__file__).resolve().parents[3]


def kill(folder: Path, where: str, at: int) -> None:
    """Train in `folder`, or go on there, in a process that kills itself."""
    command = [sys.executable, "-m", "tests.unit.training.killed", str(folder), where, str(at)]
    options = {"cwd": REPOSITORY, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(command, **options, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """Everything a folder holds that must not depend on interruptions."""
    files = (folder / "config.json", folder / "metrics.jsonl", newest_checkpoint(folder))
    return {path.name: path.read_bytes() for path in files}


def last_steps(folder: Path) -> tuple[int, int]:
    """The last step that metrics.jsonl tells of, and that of the newest checkpoint."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["step"], int(newest_checkpoint(folder).stem[5:])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return SimpleNamespace(folder=folder, result=train_in(folder, checkpoint_seconds=0.0))


def assert_same_models(first, second) -> None:
    bits = [[model_bits(model) for model in result.models] for result in (first, second)]
    assert bits[0] == bits[1]


def test_killed_twice_and_resumed_it_ends_as_it_does_uninterrupted(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    # Within the fourth epoch. The third was told after the checkpoint: it is cut and comes again.
    kill(folder, "progress", 3 * PER_EPOCH + 12)
    assert last_steps(folder) == (3 * PER_EPOCH, 2 * PER_EPOCH)
    # At the end of the fourth epoch, with half of a checkpoint written under another name.
    kill(folder, "checkpoint", 1)
    assert last_steps(folder) == (4 * PER_EPOCH, 2 * PER_EPOCH)
    assert [path.stat().st_size for path in (folder / "checkpoints").glob(".*.part")] == [100]

    compiled.cache_clear()
    resumed = train_in(folder, resume=True)
    assert contents(folder) == contents(uninterrupted.folder)
    assert_same_models(resumed, uninterrupted.result)
    assert resumed.num_compilations == 1


def test_resuming_a_finished_run_does_nothing(uninterrupted):
    before, told = contents(uninterrupted.folder), []
    written = {
        path: path.stat().st_mtime_ns for path in uninterrupted.folder.rglob("*.safetensors")
    }
    again = train_in(uninterrupted.folder, resume=True, progress=told.append)
    assert (again.num_compilations, again.metrics, told) == (0, (), [])
    assert contents(uninterrupted.folder) == before
    assert written == {path: path.stat().st_mtime_ns for path in written}
    assert again.status == uninterrupted.result.status
    assert_same_models(again, uninterrupted.result)


def test_metrics_hold_every_epoch_of_every_run_once(uninterrupted):
    lines = (uninterrupted.folder / "metrics.jsonl").read_text().splitlines()
    found = [(record["epoch"], record["run"]) for record in map(json.loads, lines)]
    names = [run.name for run in uninterrupted.result.runs]
    assert found == [(epoch, name) for epoch in range(1, EPOCHS + 1) for name in names]


def test_a_finished_run_is_not_overwritten_without_resume(uninterrupted):
    before = contents(uninterrupted.folder)
    with pytest.raises(elbax.CheckpointError, match="already holds these runs; add --resume"):
        train_in(uninterrupted.folder)
    assert contents(uninterrupted.folder) == before


def test_a_prefix_of_the_schedule_is_a_result_and_goes_on_to_the_same_bits(uninterrupted, tmp_path):
    folder, looks = tmp_path / "run", []

    def monitor(look):
        looks.append((look.run.name, look.epoch))

    seen = {"monitor": monitor, "monitor_every": EPOCHS}
    names = [run.name for run in uninterrupted.result.runs]
    first = train_in(folder, until=2, **seen)
    assert (first.epochs, first.finished, last_steps(folder)) == (2, True, (2 * PER_EPOCH,) * 2)
    assert looks == [(name, 2) for name in names]
    # An epoch that is done already trains nothing, and the runs go no way back.
    again = train_in(folder, until=1, resume=True, **seen)
    assert (again.epochs, again.metrics) == (2, ())
    last = train_in(folder, resume=True, **seen)
    assert last.epochs == EPOCHS
    assert contents(folder) == contents(uninterrupted.folder)
    assert_same_models(last, uninterrupted.result)


@pytest.mark.parametrize("until", [0, EPOCHS + 1])
def test_only_an_epoch_of_the_schedule_can_be_trained_to(until, tmp_path):
    with pytest.raises(elbax.InputError, match="expected until"):
        train_in(tmp_path / "run", until=until)
    assert not (tmp_path / "run").exists()
