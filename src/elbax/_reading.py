"""The one way in: files are regular, not too large, and what their schema says.

Nothing here trusts a file: what it claims of its sizes is held against what it holds, before
anything is allocated. Rooms add to the reason what to do about it, and their own kind of error.
"""

import io
import math
import os
import stat
import struct
import zipfile
import zlib
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from tokenize import TokenError
from typing import Any

import msgspec
import numpy as np

from elbax._checks import memory_bytes
from elbax._errors import InputError

LIMIT_VARIABLE = "ELBAX_MAX_BYTES"  # what a single file may take in memory, instead of the defaults
MOST_TEXT = 2**26  # bytes of a JSON document; a study of many figures has one million
MOST_LINES = 2**30  # bytes of a metrics.jsonl: five million epochs
_SHARE = 8  # of the machine's memory, which the arrays of a file may take
_NUMBERS = "biufU"  # kinds of arrays that are read: numbers, and names


# What the libraries that parse files raise on one that is damaged.
DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    OverflowError,
    MemoryError,
    SyntaxError,  # NumPy and PIL, on a header
    RuntimeError,  # a password; RecursionError and NotImplementedError, a strange compression
    TokenError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class UnreadableError(Exception):
    """Why a file cannot be read, as a clause: "it is no regular file"."""


def opened(path: Path) -> BufferedReader:
    """A regular file, opened for reading bytes; a pipe or a device is refused and never waited for.

    Raises:
        UnreadableError: it is something else than a file, or cannot be opened.
        FileNotFoundError: there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UnreadableError(getattr(error, "strerror", None) or str(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableError("it is no regular file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The whole file, if it has at most so many bytes; by default as many as fit.

    Raises:
        UnreadableError: see `opened`, or it is larger.
        FileNotFoundError: there is none.
    """
    with opened(path) as file:
        check_size("the file", os.fstat(file.fileno()).st_size, most)
        try:
            return file.read()
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error


def check_size(what: str, size: int, most: int | None = None) -> None:
    """Refuse what would take more bytes than a file may.

    Raises:
        UnreadableError: naming the limit, and how to raise it.

    >>> check_size("the file", 10, most=20)
    """
    limit = _limit(memory_bytes() // _SHARE if most is None else most)
    if size > limit:
        raise UnreadableError(
            f"{what} takes {size:,} bytes, more than the {limit:,} that are read; set "
            f"{LIMIT_VARIABLE} to read more"
        )


def read_json(path: Path, schema: Any = dict[str, Any], most: int = MOST_TEXT) -> Any:
    """A JSON document, held against a type: a `TypedDict`, `dict[str, float]` and the like.

    What the schema does not name is kept.

    Raises:
        UnreadableError: no JSON, another type somewhere (the reason says where), or too large.
        FileNotFoundError: there is none.
    """
    return decoded(read_bytes(path, most), schema)


def decoded(text: bytes, schema: Any = dict[str, Any]) -> Any:
    """The same of bytes that were read.

    >>> decoded(b'{"epochs": 2, "own": 1}', dict[str, int])
    {'epochs': 2, 'own': 1}
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UnreadableError(_reason(error)) from error
    return held(found, schema)


def held(value: Any, schema: Any) -> Any:
    """A value held against a type, and as it was.

    Raises:
        UnreadableError: saying where it is something else.
    """
    try:
        msgspec.convert(value, schema)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnreadableError(_reason(error)) from error
    return value


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive, by key; pickled objects are refused, and so are bombs.

    Raises:
        UnreadableError: no such archive, or its arrays are too large.
        FileNotFoundError: there is none.
    """
    with opened(path) as file:
        try:
            if file.read(6) == b"\x93NUMPY":
                raise UnreadableError("it holds a single array; name it .npy")
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                check_size("its content", sum(member.file_size for member in members))
                return {
                    member.filename.removesuffix(".npy"): _array(archive, member)
                    for member in members
                }
        except DAMAGED as error:
            raise UnreadableError(_reason(error)) from error


def read_npy(path: Path) -> np.ndarray:
    """One array; pickled objects are refused.

    Raises:
        UnreadableError: no such file, or too large.
        FileNotFoundError: there is none.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_size("the file", size)
        try:
            if file.read(4) == b"PK\x03\x04":
                raise UnreadableError("it is an archive; name it .npz")
            file.seek(0)
            return _parsed(file, size)
        except DAMAGED as error:
            raise UnreadableError(_reason(error)) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    # Read no further than its size was said to be, which was held against the limit.
    with archive.open(member) as file:
        content = file.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise ValueError(f"'{member.filename}' is not of the size that the archive says")
    return _parsed(io.BytesIO(content), len(content))


def _parsed(file: BufferedIOBase, size: int) -> np.ndarray:
    """An array whose header claims no more than there is."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"it holds {dtype}, not numbers")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != size - file.tell():
        raise ValueError(f"its header claims {claimed:,} bytes; there are {size - file.tell():,}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _limit(usual: int) -> int:
    """The limit that the environment sets, or the usual one."""
    asked = os.environ.get(LIMIT_VARIABLE)
    if asked is None:
        return usual
    try:
        return int(float(asked))
    except (ValueError, OverflowError):
        raise InputError(
            f"expected {LIMIT_VARIABLE} as a number of bytes, such as 4e9; got '{asked}'."
        ) from None


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
