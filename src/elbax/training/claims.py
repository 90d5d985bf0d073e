"""One writer at a time in a run folder."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from elbax._errors import CheckpointError, OutputError
from elbax._files import locked


class FolderInUseError(CheckpointError):
    """Another process, or another thread of this one, is writing into a run folder."""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Have a run folder for oneself; made if it is not there.

    The claim is a lock on the file `.claim`, which says whose it is. The system lets go of it when
    its process ends, however that ends, so no claim is ever left over: one that compiles for an
    hour keeps it, one that was killed does not. A file system without locks is written
    unprotected.

    Raises:
        FolderInUseError: somebody else has it; the message says who.
        OutputError: the folder cannot be made or written.
    """
    path = folder / ".claim"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _claimed(path)
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        cure = "A file is in the way." if in_the_way else "Check the folder's permissions."
        raise OutputError(f"cannot write '{path}' ({error.strerror}). {cure}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while the lock is held: whoever waits for it looks again
        os.close(file)


def _claimed(path: Path) -> int:
    """The open claim file, with the lock on it and this process named in it."""
    try:
        file = locked(path)
    except BlockingIOError:
        holder = ""
        with contextlib.suppress(OSError):  # gone meanwhile
            holder = path.read_bytes()[:300].decode(errors="replace")
        raise FolderInUseError(
            f"folder '{path.parent}' is in use by {holder or 'another process'}; wait for it to "
            "end, or choose another folder."
        ) from None
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
    except OSError:  # a full disk; the lock must not outlive this
        os.close(file)
        raise
    return file
