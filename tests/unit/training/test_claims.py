"""One writer at a time in a run folder; what a dead one leaves is no hindrance."""

import os
import socket
import subprocess
import sys
import threading

import pytest

import elbax
from elbax.training.claims import FolderInUseError, claimed

from .runs import train

HOLDER = """
import sys, time
from pathlib import Path
from elbax.training.claims import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_two_processes_do_not_train_in_one_folder(tmp_path, holder):
    who = f"in use by process {holder.pid} on {socket.gethostname()}; wait for it"
    with pytest.raises(elbax.CheckpointError, match=who):
        train(directory=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".claim"]


def test_a_killed_holder_is_succeeded_at_once(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / ".claim").exists()
    with claimed(tmp_path / "run"):
        said = (tmp_path / "run" / ".claim").read_text()
        assert said == f"process {os.getpid()} on {socket.gethostname()}"
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_is_free_again_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), claimed(tmp_path):
        raise ZeroDivisionError
    with claimed(tmp_path), pytest.raises(FolderInUseError, match="in use"), claimed(tmp_path):
        pass


def test_of_many_only_one_has_it_at_a_time(tmp_path):
    inside, most, refused = [], [], []

    def work():
        for _ in range(100):
            try:
                with claimed(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except FolderInUseError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) + len(refused) == 800


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(elbax.OutputError, match=r"cannot write .*\.claim"),
        claimed(tmp_path / "file" / "run"),
    ):
        pass


def test_a_claim_that_cannot_be_written_is_given_up(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(elbax.OutputError, match="No space left"), claimed(tmp_path / "run"):
            pass
    with claimed(tmp_path / "run"):
        pass
