"""stdout and stderr as they are: in any encoding, full, closed, or with nobody left to read.

The work a command did is in its folder by the time it prints, so a stream never undoes it: what an
encoding lacks is written in its nearest ASCII, what stderr cannot take is dropped, and what stdout
cannot take is an exit code and at most one sentence.
"""

import codecs
import contextlib
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell reports of a program that its reader left
_ERRORS = "elbax-ascii"
# Signs that no decomposition turns into ASCII: dashes, quotes, the lines that boxes are drawn with.
_ASCII = {"\N{PLUS-MINUS SIGN}": "+-", "\N{MULTIPLICATION SIGN}": "x", "\N{BULLET}": "*"}
_ASCII |= {"\N{HORIZONTAL ELLIPSIS}": "~"}  # of a label that was cut: as wide as it is
_ASCII |= dict.fromkeys("\u2013\u2014\u2212\u2500\u2501\u2550\u2578\u257a", "-")
_ASCII |= dict.fromkeys("\u2502\u2503\u2551", "|") | dict.fromkeys("\u256d\u256e\u256f\u2570", "+")
_ASCII |= dict.fromkeys("\u2018\u2019", "'") | dict.fromkeys("\u201c\u201d", '"')


def ascii_of(text: str) -> str:
    r"""The nearest ASCII: a sign in words, a letter without its accent, else its code point.

    >>> ascii_of("0.50 ± 0.01"), ascii_of("Müller"), ascii_of("路")
    ('0.50 +- 0.01', 'Muller', '\\u8def')
    """
    return "".join(map(_ascii, text))


def _ascii(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or character.encode("ascii", "backslashreplace").decode()


def _replace(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: what cannot be encoded becomes ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text, start, end = error.object, error.start, error.end
    if text[start] == "±" and text[start + 1 : start + 2] == " ":
        return "+-", start + 2  # columns stay columns
    return ascii_of(text[start:end]), end


codecs.register_error(_ERRORS, _replace)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Make stdout and stderr safe to write to, and closed ones something."""
    _occupy_closed()
    stdout, stderr = (_any_encoding(stream) for stream in (sys.stdout, sys.stderr))
    output = _Closed() if stdout is None else stdout
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(_Forgiving(stderr)),  # type: ignore[arg-type]
    ):
        yield


def _occupy_closed() -> None:
    """Give closed standard descriptors to the null device.

    The next file opened would get their numbers, and a checkpoint the warnings of a C library.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _any_encoding(stream: Any) -> Any:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_ERRORS)
    return stream


def deliver(text: str = "") -> int:
    """Write to stdout and see that it arrived, with all that was written before.

    Returns:
        0, BROKEN_PIPE where the reader has gone, or 1 with a sentence on stderr.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        return lost(error)
    return 0


def lost(error: OSError) -> int:
    """The exit code of a stdout that cannot be written; nothing more goes there."""
    _to_null(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    sys.stderr.write(
        f"elbax: cannot write to stdout: {error.strerror}. What a command keeps in a folder is "
        "there.\n"
    )
    return 1


def _to_null(stream: Any) -> None:
    """Point a failing stream's descriptor at the null device, or Python flushes it once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


class _Closed(io.TextIOBase):
    """In the place of a stdout that was closed from the start."""

    def write(self, text: str, /) -> int:
        """There is nowhere to write to; nothing to write is no failure."""
        if text:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return 0


class _Forgiving:
    """stderr, where progress and notes are lost rather than the work they tell of."""

    def __init__(self, stream: Any):
        self._stream = io.StringIO() if stream is None else stream

    def write(self, text: str) -> int:
        """Write, or give up for good."""
        try:
            return self._stream.write(text)
        except OSError:
            _to_null(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, or give up for good."""
        try:
            self._stream.flush()
        except OSError:
            _to_null(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
