"""One writer at a time in a run folder, on this machine or on any that shares it."""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from elbax._errors import CheckpointError, OutputError
from elbax._files import locked, unwritable
from elbax._reading import UnreadableError, decoded, read_bytes
from elbax._version import __version__

BEAT_SECONDS = 5.0  # between two signs of life in a claim
STALE_SECONDS = 60.0  # after which the claim of another machine is a dead one's
_NAME = ".claim"
_LENGTH = 1024  # bytes of a claim, always, so that one write replaces all of it


class FolderInUseError(CheckpointError):
    """Another process, or another thread of this one, is writing into a run folder."""


class _Content(TypedDict):
    """What a claim says; what its holder is doing comes with it."""

    host: str
    process: int
    token: str
    elbax: str
    worker: NotRequired[str]
    told: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class Holder:
    """Who has a folder, and what it last said of its work.

    Attributes:
        host: its machine.
        process: its number there.
        elbax: its version.
        worker: what an engine calls it; "" where none started it.
        told: where its work stands (see `Claim.tell`).
        seconds: since its last sign of life.
    """

    host: str
    process: int
    elbax: str
    worker: str
    told: dict[str, Any]
    seconds: float

    @property
    def is_alive(self) -> bool:
        """Whether it gave a sign of life of late."""
        return self.seconds < STALE_SECONDS

    def __str__(self) -> str:
        """As errors name it: process 12 on node3."""
        return f"process {self.process} on {self.host}"


class Claim:
    """A folder that this process has: its file `.claim`, kept fresh by a thread.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with claimed(folder) as claim:
    ...     claim.tell(doing="training", step=3)
    ...     claim.check()
    """

    def __init__(self, path: Path, file: int):
        self._path, self._file = path, file
        self._said: dict[str, Any] = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "token": secrets.token_hex(8),
            "elbax": __version__,
            "worker": os.environ.get("ELBAX_WORKER", ""),
        }
        self._told: dict[str, Any] = {}
        self._lost = False
        self._done = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def tell(self, **told: Any) -> None:
        """Say where the work stands, for those who look: it goes out with the next sign of life."""
        self._told = told

    def check(self) -> None:
        """Refuse to write where somebody else has taken the folder over.

        Raises:
            FolderInUseError: this process was taken for dead: it was suspended, or could not reach
                the folder, for a minute.
        """
        if self._lost:
            raise FolderInUseError(
                f"folder '{self._path.parent}' was taken over by {holder(self._path.parent)} when "
                "this process gave no sign of life for too long; the runs go on there."
            )

    def begin(self) -> None:
        """Say whose the folder is, and go on saying so."""
        self._write()
        self._beating.start()

    def end(self) -> None:
        """Give the folder back."""
        self._done.set()
        if self._beating.is_alive():
            self._beating.join()
        if not self._lost and self._is_mine():
            with contextlib.suppress(OSError):
                self._path.unlink()  # while the lock is held: whoever waits for it looks again

    def _beat(self) -> None:
        # The first look is early: where the file system has no locks that reach other machines,
        # two that claimed at once see it here, and the one that wrote first gives way.
        pause = min(1.0, BEAT_SECONDS)
        while not self._done.wait(pause):
            pause = BEAT_SECONDS
            with contextlib.suppress(OSError):  # out of reach for now; the next may succeed
                if not self._is_mine():
                    self._lost = True
                    return
                self._write()

    def _is_mine(self) -> bool:
        found = _read(self._path)  # by its name, as another machine may have put a file there
        return found is None or found["token"] == self._said["token"]

    def _write(self) -> None:
        content = json.dumps({**self._said, "told": self._told}).encode()
        if len(content) > _LENGTH:
            content = json.dumps(self._said).encode()
        os.pwrite(self._file, content.ljust(_LENGTH), 0)
        os.fsync(self._file)  # which also gives it a new time on the file server


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Claim]:
    """Have a run folder for oneself; made if it is not there.

    The claim is a lock on the file `.claim`, which says whose it is. The system lets go of it when
    its process ends, however that ends: one that compiles for an hour keeps it, one that was
    killed does not. Not every shared file system has locks that other machines see, so the holder
    also writes a sign of life into the file, and a claim of another machine counts until it has
    given none for a minute. One that was taken over finds its claim replaced, and writes no more.

    Raises:
        FolderInUseError: somebody else has it; the message says who.
        OutputError: the folder cannot be made or written.
    """
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _locked(path)
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        cure = "A file is in the way." if in_the_way else "Check the folder's permissions."
        raise OutputError(f"cannot write '{path}' ({error.strerror}). {cure}") from error
    try:
        claim = Claim(path, file)
        claim.begin()
    except OSError as error:  # a full disk; the lock must not outlive this
        os.close(file)
        raise OutputError(f"{unwritable(path, error)}.") from error
    try:
        yield claim
    finally:
        claim.end()
        os.close(file)


def _locked(path: Path) -> int:
    """The open claim file with the lock on it, unless a machine elsewhere is alive in it."""
    try:
        file = locked(path)
    except BlockingIOError:
        raise _in_use(path.parent, holder(path.parent)) from None
    said = _read(path)
    if said is not None and said["host"] != socket.gethostname():
        found = holder(path.parent)
        if found is not None and found.is_alive:
            os.close(file)
            raise _in_use(path.parent, found)
    return file


def _in_use(folder: Path, by: Holder | None) -> FolderInUseError:
    elsewhere = by is not None and by.host != socket.gethostname()
    signs = f", whose last sign of life is {by.seconds:.0f} s old" if by and elsewhere else ""
    dead = f" After {STALE_SECONDS:.0f} s without one it may be taken over." if elsewhere else ""
    return FolderInUseError(
        f"folder '{folder}' is in use by {by or 'another process'}{signs}; wait for it to end, or "
        f"choose another folder.{dead}"
    )


def holder(folder: Path) -> Holder | None:
    """Who has a folder, dead or alive; None where nobody has, or it has not said so yet."""
    path = folder / _NAME
    try:
        found = _read(path)
        # By the clock of the file server, which is not that of this machine.
        seconds = 0.0 if found is None else _now(folder) - path.stat().st_mtime
    except OSError:
        return None
    if found is None:
        return None
    worker, told = found.get("worker", ""), found.get("told", {})
    return Holder(found["host"], found["process"], found["elbax"], worker, told, max(0.0, seconds))


def _read(path: Path) -> _Content | None:
    """What a claim says; None where there is none, or none that is whole."""
    try:
        return decoded(read_bytes(path, _LENGTH), _Content)
    except (FileNotFoundError, UnreadableError):
        return None


def _now(folder: Path) -> float:
    """The time of the file system that holds a folder; of this machine where it is not writable."""
    probe = folder / f"{_NAME}.{socket.gethostname()}.{os.getpid()}.part"
    try:
        with probe.open("wb") as file:
            file.write(b"\0")  # a time is set by the server only when something is written
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
