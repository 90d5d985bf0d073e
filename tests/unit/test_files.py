import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest

import elbax
from elbax._files import remove_parts, write_atomically


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def raising(number: int):
    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("content", [b"", b"whole", bytes(range(256)) * 5000])
def test_the_content_is_written_and_nothing_else_is_left(tmp_path, content):
    write_atomically(tmp_path / "a.txt", content)
    assert (tmp_path / "a.txt").read_bytes() == content
    assert names_in(tmp_path) == ["a.txt"]


def test_folders_above_are_made(tmp_path):
    write_atomically(tmp_path / "deep" / "er" / "a.txt", b"whole")
    assert (tmp_path / "deep" / "er" / "a.txt").read_bytes() == b"whole"


def test_what_was_there_is_replaced(tmp_path):
    write_atomically(tmp_path / "a.txt", b"a longer first version")
    write_atomically(tmp_path / "a.txt", b"second")
    assert (tmp_path / "a.txt").read_bytes() == b"second"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, step, number):
    target = tmp_path / "a.txt"
    target.write_bytes(b"before")
    monkeypatch.setattr(os, step, raising(number))
    cure = "Free some space" if number == errno.ENOSPC else "Check the folder's permissions"
    message = rf"cannot write '.*a\.txt' \({os.strerror(number)}\)\. {cure}; .*untouched"
    with pytest.raises(elbax.OutputError, match=message):
        write_atomically(target, b"after")
    assert target.read_bytes() == b"before"
    assert names_in(tmp_path) == ["a.txt"]


def test_a_reader_meets_the_old_file_until_the_new_one_is_safe_on_disk(tmp_path, monkeypatch):
    target, seen = tmp_path / "a.txt", []
    target.write_bytes(b"before")
    synced, replaced = os.fsync, os.replace

    def fsync(file):
        seen.append(("fsync", target.read_bytes()))
        synced(file)

    def replace(source, destination):
        seen.append(("replace", target.read_bytes(), Path(source).read_bytes()))
        replaced(source, destination)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(target, b"after")
    assert seen == [("fsync", b"before"), ("replace", b"before", b"after")]


def test_what_an_earlier_process_left_does_no_harm(tmp_path):
    part = tmp_path / ".a.txt.1.part"
    part.write_bytes(b"half")
    write_atomically(tmp_path / "a.txt", b"whole")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    assert part.read_bytes() == b"half"


def test_parts_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path):
    here, dead = socket.gethostname(), subprocess.Popen(["true"])
    dead.wait()
    left = [f".a.{here}.{dead.pid}.part", ".old.elsewhere.1.part", f".older.{dead.pid}.part"]
    living = [f".a.{here}.{os.getpid()}.part", f".b.{here}.1.part", ".new.elsewhere.1.part"]
    for name in (*left, *living, "a.part"):
        (tmp_path / name).write_bytes(b"half")
    for name in left[1:]:  # of another machine, or of a version that did not name it
        os.utime(tmp_path / name, (0, 0))
    remove_parts(tmp_path)
    assert names_in(tmp_path) == sorted([*living, "a.part"])
    remove_parts(tmp_path / "none")


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(elbax.OutputError, match=r"cannot write '.*file/a\.txt'"):
        write_atomically(tmp_path / "file" / "a.txt", b"whole")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_folder_in_the_place_of_the_file_is_refused_and_kept(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(elbax.OutputError, match="Is a directory"):
        write_atomically(tmp_path / "a.txt", b"whole")
    assert names_in(tmp_path) == ["a.txt"]
