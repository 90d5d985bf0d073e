"""metrics.jsonl: one line per run and epoch, written as training goes and read back with care."""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from elbax._errors import CheckpointError, ElbaxWarning, OutputError
from elbax._files import finite, unwritable, write_all, write_atomically
from elbax._reading import MOST_LINES, UnreadableError, decoded, read_bytes

GONE = (
    "'{}' is gone, or its folder is: somebody has moved or removed it while the runs trained. Put "
    "it back, then resume from the last checkpoint."
)


class Record(TypedDict):
    """What every line has; it has more."""

    run: str
    step: int
    epoch: NotRequired[int]


def append(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Add one line per record, for good; numbers that are not finite become null.

    Raises:
        OutputError: the file is gone, or cannot be written; what was there before still is.
    """
    lines = "".join(json.dumps(finite(record)) + "\n" for record in records).encode()
    try:
        # The file was there when the runs began: one made anew here would have lost their past.
        with open(path, "r+b", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                write_all(file, lines)
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
    except FileNotFoundError as error:
        raise OutputError(GONE.format(path)) from error
    except OSError as error:
        raise OutputError(
            f"{unwritable(path, error)}, then resume: the last checkpoint is whole."
        ) from error


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file; none where there is no file.

    A write cut short leaves a last line without an end, which is left out.

    Raises:
        CheckpointError: the file cannot be read, or another line is no record of a run.
    """
    return [record for _, record in _lines(path)]


def cut_back(path: Path, step: int, ends: Mapping[str, int], per_epoch: int) -> None:
    """Drop what was written after `step`: those steps are taken again, the lines come out the same.

    Lines before it that are gone are warned of: one every `per_epoch` steps of each run, up to the
    step that `ends` has by its name.

    Raises:
        CheckpointError: see `read`; nothing has been changed then.
    """
    kept = [(line, record) for line, record in _lines(path) if record["step"] <= step]
    found = {(record["run"], record["step"]) for _, record in kept}
    due = {(run, at) for run, end in ends.items() for at in range(per_epoch, end + 1, per_epoch)}
    if lost := len(due - found):
        warnings.warn(
            f"'{path}' has lost {lost} of the {len(due)} lines that led to step {step}: learning "
            "curves will have gaps, the runs themselves are not affected.",
            ElbaxWarning,
            stacklevel=2,
        )
    write_atomically(path, b"".join(line for line, _ in kept))


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    try:
        content = read_bytes(path, MOST_LINES)
    except FileNotFoundError:
        content = b""
    except UnreadableError as error:
        raise CheckpointError(f"cannot read '{path}' ({error}); check what it is.") from error
    whole = content.split(b"\n")[:-1]
    return [(line + b"\n", _record(path, place, line)) for place, line in enumerate(whole, 1)]


def _record(path: Path, place: int, line: bytes) -> dict[str, Any]:
    try:
        return decoded(line, Record)
    except UnreadableError:
        raise CheckpointError(
            f"line {place} of '{path}' is no record of a run: the file is damaged, or not of "
            "elbax. Remove that line to resume without it, or choose another folder."
        ) from None
