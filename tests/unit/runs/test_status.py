"""Where runs stand, seen from another process: by their folders and what workers say in them."""

import json
import os
import time

import pytest

import elbax
from elbax.cli.main import main
from elbax.runs import status
from elbax.runs.status import status_of, statuses
from elbax.training import claims
from elbax.training.claims import claimed

from ..training.runs import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of 2 epochs of 5 steps."""
    path = tmp_path_factory.mktemp("status") / "store" / "run"
    train(directory=path)
    return path


def test_what_nobody_works_at_is_told_by_its_files(folder, tmp_path):
    found = status_of(folder)
    assert (found.state, found.epoch, found.epochs, found.fraction) == ("trained", 2, 2, 1.0)
    assert (found.num_runs, found.worker, found.left) == (1, "", None)
    assert found.is_trained
    assert not found.is_at_work
    assert status_of(tmp_path).state == "not begun"
    (tmp_path / "config.json").write_text("{")
    assert status_of(tmp_path).state == "unreadable"
    (folder / "results.json").write_text("{}")
    assert status_of(folder).state == "evaluated"
    (folder / "results.json").unlink()


def test_a_worker_is_heard_and_one_that_died_is_called_dead(folder, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    monkeypatch.setenv("ELBAX_WORKER", "job 7_3")
    with claimed(folder) as claim:
        assert status_of(folder).state == "in use"
        claim.tell(doing="training", step=5, left=90.0)
        for _ in range(200):
            time.sleep(0.02)
            if (found := status_of(folder)).state == "training":
                break
        assert (found.state, found.left) == ("training", 90.0)
        assert found.worker == f"job 7_3, process {os.getpid()} on {os.uname().nodename}"
        claim._done.set()
        claim._beating.join()
        then = time.time() - claims.STALE_SECONDS - 1
        os.utime(folder / ".claim", (then, then))
        assert status_of(folder).state == "dead"


def test_where_training_stands_is_told_while_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.01)
    seen = []

    def look(_):
        time.sleep(0.1)
        seen.append(status_of(tmp_path / "run"))

    train(directory=tmp_path / "run", epochs=4, progress=look)
    assert {one.state for one in seen} == {"training"}
    assert [one.fraction for one in seen] == sorted(one.fraction for one in seen)
    assert seen[-1].fraction == 1.0
    assert seen[-1].left == 0.0


def test_runs_are_found_in_the_folder_and_below(folder):
    for root in (folder, folder.parent, folder.parent.parent):
        assert [one.folder for one in statuses(root)] == [folder]
    with pytest.raises(elbax.InputError, match=r"found no config\.json"):
        statuses(folder / "checkpoints")


def test_the_command_says_it_in_80_columns_and_in_json(folder, capsys, monkeypatch):
    root = folder.parent
    assert main(["status", str(root)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[1].split() == ["run", "1", "trained", "2/2"]
    assert "1 of 1 folders are trained, 0 are at work." in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["status", str(root), "--json"]) == 0
    [one] = json.loads(capsys.readouterr().out)["folders"]
    assert (one["folder"], one["state"], one["fraction"]) == (str(folder), "trained", 1.0)
    assert main(["status", str(root / "nothing")]) == 2
    assert "found none at" in capsys.readouterr().err


def test_the_command_watches_until_all_is_trained(folder, capsys, monkeypatch):
    found = [
        [status.FolderStatus(folder, 1, "dead", 1, 2, 0.5, "process 3 on n1")],
        [status.FolderStatus(folder, 1, "training", 1, 2, 0.5, "process 3 on n2", 80.0)],
        [status.FolderStatus(folder, 1, "evaluated", 2, 2, 1.0)],
    ]
    monkeypatch.setattr("elbax.cli.status.statuses", lambda root: found.pop(0))
    monkeypatch.setattr("elbax.cli.status._AGAIN_SECONDS", 0)
    assert main(["status", str(folder), "--watch"]) == 0
    printed = capsys.readouterr()
    assert "evaluated" in printed.out
    assert "dead: its process gave no sign of life for 60 s" in printed.err
    assert "80 s  3 on n2" in printed.err
