"""sinks.json: what sinks need to go on with the runs of a folder that is resumed."""

import contextlib
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from elbax._errors import ElbaxWarning, OutputError
from elbax._files import json_bytes, write_atomically
from elbax._reading import UnreadableError, read_json


class _Entry(TypedDict):
    logged: int
    memory: NotRequired[dict[str, str]]


class Memory:
    """By sink and run: what `start` returned, and the last step that was handed over.

    Kept in the folder's sinks.json, or only for this call where there is no folder. What cannot be
    written is not kept; the runs themselves do not depend on it.
    """

    def __init__(self, folder: Path | None):
        self._path = None if folder is None else folder / "sinks.json"
        self._lock = threading.Lock()  # each sink writes from its own thread
        self._entries = {} if self._path is None else _read(self._path)

    def of(self, sink: str, run: str) -> tuple[int, dict[str, str] | None]:
        """The last step that was logged, and the sink's own words; (0, None) of a new run."""
        with self._lock:
            entry = self._entries.get(sink, {}).get(run)
        return (0, None) if entry is None else (entry["logged"], entry.get("memory", {}))

    def began(self, sink: str, run: str, memory: Mapping[str, str]) -> None:
        """Keep what a sink said when a run began; the steps before are logged as far as known."""
        with self._lock:
            runs = self._entries.setdefault(sink, {})
            runs[run] = {"logged": runs.get(run, {"logged": 0})["logged"], "memory": dict(memory)}
            self._write()

    def logged(self, sink: str, steps: Mapping[str, int]) -> None:
        """Keep how far runs are logged."""
        with self._lock:
            for run, step in steps.items():
                entry = self._entries[sink][run]
                entry["logged"] = max(step, entry["logged"])
            self._write()

    def _write(self) -> None:
        # Not where the folder has gone: it would come back, with nothing else in it.
        if self._path is not None and self._path.parent.is_dir():
            with contextlib.suppress(OutputError):
                write_atomically(self._path, json_bytes(self._entries))


def _read(path: Path) -> dict[str, dict[str, _Entry]]:
    try:
        return read_json(path, dict[str, dict[str, _Entry]])
    except FileNotFoundError:
        return {}
    except UnreadableError as error:
        warnings.warn(
            f"cannot read '{path}' ({error}), so these runs begin anew where they are logged, "
            "beside what is there of them.",
            ElbaxWarning,
            stacklevel=2,
        )
        return {}
