"""Writing a file whole or not at all."""

import contextlib
import os
from pathlib import Path

from elbax._errors import OutputError


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
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write '{path}' ({error.strerror}). Check the folder's permissions and the "
            "free space; what was there before is untouched."
        ) from error
