"""One writer at a time in a run folder; what a dead one leaves is no hindrance."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

import elbax
from elbax.training import claims
from elbax.training.claims import FolderInUseError, claimed
from elbax.training.claims import holder as holder_of
from elbax.training.folder import RunFolder

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
        found = holder_of(tmp_path / "run")
        assert (found.process, found.host) == (os.getpid(), socket.gethostname())
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
        patch.setattr("os.pwrite", full)
        with pytest.raises(elbax.OutputError, match="No space left"), claimed(tmp_path / "run"):
            pass
    with claimed(tmp_path / "run"):
        pass


@pytest.fixture
def no_locks(monkeypatch):
    """A file system whose locks, if it has any, other machines do not see."""
    monkeypatch.setattr("elbax._files.fcntl", None)
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.05)


def as_another_machine(monkeypatch, name="node7"):
    monkeypatch.setattr("socket.gethostname", lambda: name)


def aged(folder, seconds):
    then = time.time() - seconds
    os.utime(folder / ".claim", (then, then))


def test_a_machine_that_gives_signs_of_life_keeps_its_claim(tmp_path, monkeypatch, no_locks):
    with claimed(tmp_path):
        as_another_machine(monkeypatch)
        with pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()} on "):
            claimed(tmp_path).__enter__()
        aged(tmp_path, 3600)  # and a sign of life later
        time.sleep(0.5)
        with pytest.raises(FolderInUseError, match="in use by"):
            claimed(tmp_path).__enter__()
    with claimed(tmp_path):
        assert holder_of(tmp_path).host == "node7"


def test_a_claim_of_a_dead_machine_is_taken_over(tmp_path, monkeypatch, no_locks):
    dead = claimed(tmp_path)
    claim = dead.__enter__()
    claim._done.set()  # no sign of life from here on
    claim._beating.join()
    as_another_machine(monkeypatch)
    said = r"last sign of life is \d s old; wait .* After 60 s without one it may be taken over"
    with pytest.raises(FolderInUseError, match=said):
        claimed(tmp_path).__enter__()
    aged(tmp_path, claims.STALE_SECONDS + 1)
    with claimed(tmp_path) as taken:
        assert holder_of(tmp_path).host == "node7"
        taken.check()
        dead.__exit__(None, None, None)
        assert holder_of(tmp_path).host == "node7"  # the dead one, back again, removes nothing


def test_who_was_taken_for_dead_writes_no_more(tmp_path, monkeypatch, no_locks):
    """Suspended for long, then back while another goes on with the runs."""
    suspended = claimed(tmp_path / "run")
    claim = suspended.__enter__()
    monkeypatch.setattr(claim, "_write", lambda: None)
    aged(tmp_path / "run", claims.STALE_SECONDS + 1)
    claim.check()
    as_another_machine(monkeypatch)
    with claimed(tmp_path / "run") as other:
        for _ in range(100):
            time.sleep(0.05)
            if claim._lost:
                break
        with pytest.raises(FolderInUseError, match=r"taken over by process \d+ on node7"):
            claim.check()
        other.check()
        folder = RunFolder.__new__(RunFolder)
        folder._claim = claim
        for write in (lambda: folder.append_metrics([]), lambda: folder.checkpoint([])):
            with pytest.raises(FolderInUseError, match="taken over"):
                write()
    suspended.__exit__(None, None, None)


def test_of_two_machines_that_claim_at_once_one_gives_way(tmp_path, monkeypatch, no_locks):
    """Neither saw the other: the one that wrote first finds the other's name at its first look."""
    first = claimed(tmp_path)
    early = first.__enter__()
    early._done.set()
    early._beating.join()
    monkeypatch.setattr(claims, "_read", lambda path: None)
    with claimed(tmp_path) as late:
        monkeypatch.undo()
        assert late._is_mine()
        assert not early._is_mine()
    first.__exit__(None, None, None)


def test_a_claim_tells_where_the_work_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    monkeypatch.setenv("ELBAX_WORKER", "slurm job 7_3")
    assert holder_of(tmp_path) is None
    with claimed(tmp_path) as claim:
        assert holder_of(tmp_path).told == {}
        claim.tell(doing="training", step=3)
        for _ in range(200):
            time.sleep(0.02)
            if holder_of(tmp_path).told:
                break
        found = holder_of(tmp_path)
        assert found.told == {"doing": "training", "step": 3}
        assert (found.worker, found.elbax) == ("slurm job 7_3", elbax.__version__)
        assert found.is_alive
        claim.tell(doing="x" * 5000)  # too long to be said: left out, not cut in half
        time.sleep(0.2)
        assert holder_of(tmp_path).told == {}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"host": 3}', b"process 3 on node2"])
def test_a_claim_that_says_nothing_hinders_nobody(tmp_path, content):
    (tmp_path / ".claim").write_bytes(content)
    assert holder_of(tmp_path) is None
    with claimed(tmp_path):
        pass
