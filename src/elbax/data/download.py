"""One file from the network: bounded in bytes and time, and taken up where it broke off.

pooch checks hashes too, but waits for ever for a slow server, stores an endless answer before it
looks at it, tries once, and begins again from nothing.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

from elbax._errors import DataError, OutputError
from elbax._files import locked, unwritable, write_all
from elbax.data.registry import SourceFile
from elbax.data.verify import file_digest

OFFLINE_VARIABLE = "ELBAX_OFFLINE"  # set and not 0: nothing is asked of the network
TIMEOUT_SECONDS = 20.0  # without a connection, an answer or a byte
PAUSES = (0.0, 2.0, 8.0)  # seconds before each round over the mirrors
WINDOW_SECONDS = 30.0
SLOWEST = 20_000  # bytes a second over a window; a mirror below it is given up
MOST_BYTES = 2**28  # of a file whose size is not known
WAIT_SECONDS = 3600.0  # for another process that downloads the same file
_BLOCK = 2**16
_LATER = (408, 425, 429)  # statuses that may be others in a moment, as those from 500 may


class DownloadError(DataError):
    """Why no mirror gave the file, mirror by mirror."""


class _FailedError(Exception):
    """Why one mirror did not, and whether it may in a moment."""

    def __init__(self, reason: str, later: bool):
        super().__init__(reason)
        self.later = later


def is_offline() -> bool:
    """Whether the environment forbids the network."""
    return os.environ.get(OFFLINE_VARIABLE, "0").lower() not in ("", "0", "false", "no")


def is_whole(path: Path, file: SourceFile) -> bool:
    """Whether a file is there, with the hash of the download."""
    try:
        return file_digest(path, file.hashes[0].partition(":")[0]) == file.hashes[0]
    except OSError:
        return False


def download(file: SourceFile, target: Path) -> None:
    """Put a file at `target`, whole or not at all; what broke off stays beside it to be resumed.

    Any number of processes may do so at once: one downloads, the others wait for it.

    Raises:
        DownloadError: no mirror gave it, or the network is forbidden.
        OutputError: it cannot be written.
    """
    if is_offline():
        raise DownloadError(f"offline, as {OFFLINE_VARIABLE} or --offline asks")
    with _part_of(target) as part:
        if is_whole(target, file):  # another process was faster
            os.unlink(part.name)
            return
        _from_mirrors(file, part)
        os.fsync(part.fileno())
        os.replace(part.name, target)


@contextlib.contextmanager
def _part_of(target: Path) -> Iterator[FileIO]:
    """What there is of the file, for this process alone."""
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = open(part, "r+b", buffering=0, opener=lambda *_: locked(part, WAIT_SECONDS))
    except BlockingIOError:
        raise DownloadError(
            f"another process has been downloading it for {WAIT_SECONDS:.0f} s"
        ) from None
    except OSError as error:
        raise OutputError(f"{unwritable(part, error)}.") from error
    with file:
        yield file


def _from_mirrors(file: SourceFile, part: FileIO) -> None:
    """Ask the mirrors in turn, those that may answer later again after a pause."""
    log, reasons = logging.getLogger("elbax"), dict.fromkeys(file.urls, "")
    mirrors = list(file.urls)
    for pause in PAUSES:
        time.sleep(pause)
        for url in list(mirrors):
            size = f", {file.num_bytes:,} bytes" if file.num_bytes else ""
            log.info("downloading %s from %s%s", file.names[0], urlsplit(url).netloc, size)
            try:
                return _receive(url, file, part)
            except _FailedError as failure:
                reasons[url] = str(failure)
                if not failure.later:
                    mirrors.remove(url)
        if not mirrors:
            break
    told = "; ".join(f"{urlsplit(url).netloc}: {reason}" for url, reason in reasons.items())
    raise DownloadError(told)


def _receive(url: str, file: SourceFile, part: FileIO) -> None:
    """The rest of the file from one mirror, its hash checked."""
    import requests
    import urllib3

    begun = part.seek(0, os.SEEK_END)
    if begun >= _most(file):  # no beginning of this file
        begun = part.truncate(0)
    headers = {"Accept-Encoding": "identity"}  # bytes as they are hashed
    if begun:
        headers["Range"] = f"bytes={begun}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            if response.status_code == 416:  # the file there ends sooner
                part.truncate(0)
            if not response.ok:
                code = response.status_code
                raise _FailedError(f"HTTP status {code}", code in (416, *_LATER) or code >= 500)
            if begun and not _goes_on(response.headers, begun):
                begun = part.truncate(0)
            _copy(response.raw, part, file, begun, response.headers.get("Content-Length", ""))
    except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise _FailedError(type(error).__name__, later=True) from error
    if not is_whole(Path(part.name), file):
        part.truncate(0)
        raise _FailedError(
            "the file there is truncated or changed, its hash does not match", later=begun > 0
        )


def _copy(source, part: FileIO, file: SourceFile, begun: int, promised: str) -> None:
    """Write what comes, as long as it is not too much, too slow or too little."""
    part.seek(begun)
    since, then, size = time.monotonic(), begun, begun
    while block := source.read1(_BLOCK, decode_content=False):
        size += len(block)
        if size > _most(file):
            part.truncate(0)
            raise _FailedError(f"it sends more than {_most(file):,} bytes", later=False)
        try:
            write_all(part, block)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.truncate(0)
            raise OutputError(f"{unwritable(Path(part.name), error)}.") from error
        passed = time.monotonic() - since
        if passed > WINDOW_SECONDS:
            if size - then < SLOWEST * passed:
                raise _FailedError(f"slower than {SLOWEST // 1000} kB a second", later=False)
            since, then = time.monotonic(), size
    if promised.isdigit() and size < begun + int(promised):
        raise _FailedError("the connection broke off", later=True)


def _goes_on(headers, begun: int) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {begun}-")


def _most(file: SourceFile) -> int:
    return file.num_bytes or MOST_BYTES
