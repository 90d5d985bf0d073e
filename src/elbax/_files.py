"""Writing a file whole or not at all, and values as JSON."""

import contextlib
import errno
import glob
import json
import math
import os
import socket
import time
from io import FileIO
from pathlib import Path
from typing import Any

from elbax._errors import OutputError

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what space would cure
_OLD = 3600.0  # seconds after which a half-written file of another machine is taken for left over


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: a reader, or a power cut, never meets half a file.

    Raises:
        OutputError: the folder cannot be made or written, or the disk is full; what stood at
            `path` before still does.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> write_atomically(target, b"whole")
    >>> target.read_bytes()
    b'whole'
    """
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path.parent, path.name)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        told = f"{unwritable(path, error)}; what was there before is untouched."
        raise OutputError(told) from error


def unwritable(path: Path, error: OSError) -> str:
    """Why a file cannot be written and what to do, as a sentence to be ended.

    >>> unwritable(Path("a.txt"), OSError(errno.ENOSPC, "No space left on device"))
    "cannot write 'a.txt' (No space left on device). Free some space"
    """
    cure = "Free some space" if error.errno in _FULL else "Check the folder's permissions"
    return f"cannot write '{path}' ({error.strerror}). {cure}"


def write_all(file: FileIO, content: bytes) -> None:
    """Write to an unbuffered file, which may take a part at a time, as a disk does that fills."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def locked(path: Path, seconds: float = 0.0) -> int:
    """A file, made if it is not there, opened for this process alone: its descriptor.

    The lock is the system's: it ends with the descriptor or the process, however that ends, so
    none is ever left over. On a file system without locks the file is opened unprotected.

    Args:
        path: the file; its content is as it was.
        seconds: how long to wait while another process has it.

    Raises:
        BlockingIOError: another process has it still.
        OSError: it cannot be opened.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.lock"
    >>> mine = locked(path)
    >>> try:
    ...     locked(path)
    ... except BlockingIOError:
    ...     print("taken")
    taken
    >>> os.close(mine)
    """
    until = time.monotonic() + seconds
    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            _lock(file, until)
            # Who had it before may have moved or removed it between opening and locking.
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except FileNotFoundError:
            pass  # removed it is, so open it anew
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, until: float) -> None:
    while fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.1)
            continue
        except OSError:
            pass  # no locks on this file system
        return


def json_bytes(value: Any) -> bytes:
    """A value as readable JSON with sorted keys, in numbers that every reader of JSON takes."""
    return (json.dumps(finite(value), indent=2, sort_keys=True) + "\n").encode()


def finite(value: Any) -> Any:
    """The same with null for what JSON has no number for.

    >>> finite({"a": [1.0, math.inf], "b": (math.nan,)})
    {'a': [1.0, None], 'b': [None]}
    """
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what writers that died have left half-written in a folder: of one file, or of all.

    A writer on this machine is known by its process; one elsewhere, whose process cannot be seen
    from here, is taken for dead after an hour.
    """
    pattern = "*" if name is None else f"{glob.escape(name)}.*"
    for part in folder.glob(f".{pattern}.part"):
        writer, _, pid = part.name.removesuffix(".part").rpartition(".")
        with contextlib.suppress(OSError):
            if pid.isdigit() and writer.endswith(f".{socket.gethostname()}"):
                left = not _is_alive(int(pid))
            else:
                left = time.time() - part.stat().st_mtime > _OLD
            if left:
                part.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's
    return True
