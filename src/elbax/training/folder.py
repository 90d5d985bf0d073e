"""A run folder: config.json, metrics.jsonl, checkpoints/. One fleet (or one run) each."""

import hashlib
import importlib.metadata
import json
import math
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from elbax._errors import CheckpointError, OutputError
from elbax._files import write_atomically
from elbax._types import PyTree
from elbax._version import __version__
from elbax.training import checkpoints

_PLACE = ("name", "request", "levels")  # what the fingerprint of the data makes unnecessary
_KEPT = 2  # the newest checkpoint, and one before it in case the newest is damaged later


class RunFolder:
    """Where a fleet's files live; every write is whole or not at all.

    `config` is what the runs' results depend on. A folder that already holds runs is only
    opened to resume the same configuration.
    """

    def __init__(self, path: Path, config: dict[str, Any], *, resume: bool):
        self.path = path
        self.config = config
        self.identity = identity_of(config)
        self._opened = time.perf_counter()
        self._seconds = float(read_account(path).get("seconds", 0))
        if self._config_path.exists():
            self._check_existing(resume)
        else:
            write_atomically(self._config_path, json_bytes(config))
            # A folder without config.json holds no run of ours; stray metrics are not kept.
            write_atomically(self._metrics_path, b"")

    @property
    def _config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def _metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def _check_existing(self, resume: bool) -> None:
        try:
            existing = json.loads(self._config_path.read_text())
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"cannot read '{self._config_path}' ({error}); choose another folder."
            ) from error
        if _without_place(existing) != _without_place(self.config):
            raise CheckpointError(
                f"folder '{self.path}' already holds another configuration (see its config.json); "
                "choose another folder, or resume with that configuration."
            )
        if not resume:
            raise CheckpointError(
                f"folder '{self.path}' already holds these runs; add --resume to go on with them, "
                "or choose another folder."
            )
        self.identity = identity_of(existing)  # which its checkpoints bear

    def restore(self, like: PyTree) -> list[PyTree] | None:
        """The states of the newest checkpoint, and metrics.jsonl cut back to it; None at the start.

        Metrics written after that checkpoint are dropped: the steps are taken again and the lines
        come out the same.
        """
        newest = newest_checkpoint(self.path)
        if newest is None:
            write_atomically(self._metrics_path, b"")
            return None
        states = checkpoints.load(newest, like, identity=self.identity)
        step = int(states[0].step)
        lines = _whole_lines(self._metrics_path)
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        write_atomically(self._metrics_path, "".join(kept).encode())
        return states

    def _account(self, num_compilations: int) -> dict[str, Any]:
        """What the training cost: time over all resumptions, compilations of the last, device."""
        now = time.perf_counter()
        self._seconds, self._opened = self._seconds + now - self._opened, now
        return {
            "seconds": self._seconds,
            "compilations": num_compilations,
            "device": jax.devices()[0].device_kind,
            "versions": _versions(),
        }

    def append_metrics(self, records: Sequence[dict[str, Any]]) -> None:
        """Add one line per record; numbers that are not finite become null."""
        lines = "".join(json.dumps(_finite(record)) + "\n" for record in records)
        try:
            with self._metrics_path.open("a") as file:
                file.write(lines)
        except OSError as error:
            raise OutputError(
                f"cannot write '{self._metrics_path}' ({error.strerror}). Free some space, then "
                "resume: the last checkpoint is whole."
            ) from error

    def checkpoint(self, states: Sequence[PyTree], num_compilations: int = 0) -> None:
        """Save the states and what they cost, then drop all but the newest checkpoints."""
        name = f"step-{int(states[0].step):010d}.safetensors"
        checkpoints.save(self.path / "checkpoints" / name, states, identity=self.identity)
        write_atomically(self.path / "training.json", json_bytes(self._account(num_compilations)))
        for old in _checkpoints(self.path)[:-_KEPT]:
            old.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    names = ("jax", "equinox", "optax", "numpy")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"elbax": __version__, "python": platform.python_version(), **found}


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the runs in a folder.

    Raises:
        CheckpointError: the folder holds no runs, or its config.json is not readable.
    """
    file = path / "config.json"
    if not file.is_file():
        raise CheckpointError(
            f"expected a run folder with a config.json; found none in '{path}'. Train one with "
            f"`elbax train --out {path}`."
        )
    try:
        config = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read '{file}' ({error}); the file is damaged.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"expected a JSON object in '{file}'; the file is damaged.")
    return config


def read_account(path: Path) -> dict[str, Any]:
    """What training.json says of the time, device and versions; empty if there is none yet."""
    try:
        account = json.loads((path / "training.json").read_text())
    except (OSError, ValueError):
        return {}
    return account if isinstance(account, dict) else {}


def newest_checkpoint(path: Path) -> Path | None:
    """The newest checkpoint of a run folder, or None."""
    found = _checkpoints(path)
    return found[-1] if found else None


def _without_place(config: Any) -> Any:
    """A configuration without where its data lie: their fingerprint says which they are."""
    if not isinstance(config, dict) or not isinstance(config.get("data"), dict):
        return config
    data = {key: value for key, value in config["data"].items() if key not in _PLACE}
    return json.loads(json_bytes(config | {"data": data}))


def identity_of(config: dict[str, Any]) -> str:
    """A hash of a configuration; two runs with equal hashes give equal results.

    >>> identity_of({"a": 1}) == identity_of({"a": 2})
    False
    """
    return hashlib.sha256(json_bytes(config)).hexdigest()


def _checkpoints(path: Path) -> list[Path]:
    return sorted((path / "checkpoints").glob("step-*.safetensors"))


def json_bytes(value: Any) -> bytes:
    """A value as readable JSON with sorted keys."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }


def _whole_lines(path: Path) -> list[str]:
    """Lines that end in a newline; a write cut short leaves a last one that does not."""
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
