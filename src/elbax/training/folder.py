"""A run folder: config.json, metrics.jsonl, checkpoints/. One fleet (or one run) each."""

import contextlib
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from elbax._errors import CheckpointError, ElbaxWarning
from elbax._files import remove_parts, write_atomically
from elbax._types import PyTree
from elbax._version import __version__
from elbax.models.config import ModelConfig
from elbax.training import checkpoints, metrics
from elbax.training.config import TrainConfig

_PLACE = ("name", "request", "levels")  # what the fingerprint of the data makes unnecessary
_KEPT = 2  # the newest checkpoint, and one before it in case the newest is damaged later
_SAID = 4  # settings that the refusal of another configuration names

# What elbax writes into a run folder, beside config.json; somebody's own files may be called so.
_FILES = ("metrics.jsonl", "training.json", "results.json", "per_datum.npz", "images.npz")
_MEASURED = ("results-*.json", "per_datum-*.npz", "units.json", "snr.json", "report.html")


class RunFolder:
    """Where a fleet's files live; every write is whole or not at all.

    `config` is what the runs' results depend on. A folder that already holds runs is only
    opened to resume the same configuration, or to `overwrite` whatever runs are there. One whose
    runs never got as far as a line or a checkpoint counts as empty.
    """

    def __init__(
        self, path: Path, config: dict[str, Any], *, resume: bool, overwrite: bool = False
    ):
        self.path = path
        self.identity = identity_of(config)
        self._config = config
        self._opened = time.perf_counter()
        remove_parts(path)
        remove_parts(path / "checkpoints")
        if self._config_path.exists():
            begun = self._check_existing(resume, overwrite)
        else:
            begun = False
            self._check_no_strangers()
        if not begun:
            write_atomically(self._config_path, json_bytes(config))
            write_atomically(self._metrics_path, b"")
        self._seconds = float(read_account(path).get("seconds", 0))

    @property
    def _config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def _metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def _check_existing(self, resume: bool, overwrite: bool) -> bool:
        """Whether the folder holds the beginning of these runs."""
        existing = self._read_existing()
        if overwrite:
            self._clear()
            return False
        if not self._is_begun():
            return False
        begun = _without_place(_completed(existing, self._config))
        differences = _differences(begun, _without_place(self._config))
        if differences:
            raise CheckpointError(_other_configuration(self.path, differences))
        if not resume:
            raise CheckpointError(
                f"folder '{self.path}' already holds these runs; add --resume to go on with them, "
                "--overwrite to lose them, or choose another folder."
            )
        # An older config.json may lack what had no other value then; checkpoints name its hash.
        self.identity = identity_of(existing)
        return True

    def _read_existing(self) -> dict[str, Any]:
        try:
            existing = json.loads(self._config_path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(
                f"cannot read '{self._config_path}' ({error}); choose another folder."
            ) from error
        if not isinstance(existing, dict) or not {"train", "runs"} <= existing.keys():
            raise CheckpointError(
                f"'{self._config_path}' is not one that elbax wrote; choose another folder."
            )
        return existing

    def _is_begun(self) -> bool:
        lines = self._metrics_path
        return bool(_checkpoints(self.path)) or (lines.exists() and lines.stat().st_size > 0)

    def _check_no_strangers(self) -> None:
        """Without config.json the files that elbax would write to are not its own, or lost it."""
        found = [
            name
            for name in _FILES
            if (self.path / name).exists() and (self.path / name).stat().st_size > 0
        ]
        found += ["checkpoints"] if _checkpoints(self.path) else []
        if found:
            raise CheckpointError(
                f"folder '{self.path}' holds {' and '.join(found)} but no config.json, so they are "
                "not known to be runs of elbax; choose another folder, or put config.json back."
            )

    def _clear(self) -> None:
        """Remove what runs have left; other files stay."""
        measured = [path for pattern in _MEASURED for path in self.path.glob(pattern)]
        lines = [self.path / name for name in _FILES]
        # Checkpoints last: while there is one the folder still counts as one of runs.
        for old in [*measured, *lines, *_checkpoints(self.path)]:
            old.unlink(missing_ok=True)

    def restore(self, like: PyTree) -> list[PyTree] | None:
        """The states of the newest whole checkpoint, and metrics.jsonl cut back to it.

        Metrics written after that checkpoint are dropped: the steps are taken again and the lines
        come out the same. A damaged checkpoint is set aside under another name, with a warning.

        Returns:
            One state per run; None where no checkpoint was taken yet.

        Raises:
            CheckpointError: checkpoints were taken and none can be read, or belong to other runs;
                metrics.jsonl has lines that are no records. What is there is left as it is.
        """
        found = _checkpoints(self.path)
        if not found:
            if (self.path / "training.json").exists():  # which comes with the first checkpoint
                raise CheckpointError(
                    f"the checkpoints of '{self.path}' are gone. Put them back to resume, or add "
                    "--overwrite without --resume to begin again."
                )
            write_atomically(self._metrics_path, b"")
            return None
        whole, states = _newest_whole(
            found, lambda path: checkpoints.load(path, like, identity=self.identity)
        )
        per_epoch = self._config.get("data", {}).get("steps_per_epoch", 1 << 62)
        runs = [run["name"] for run in self._config["runs"] if isinstance(run, dict)]
        metrics.cut_back(self._metrics_path, int(states[0].step), runs, per_epoch)
        for damaged in found[found.index(whole) + 1 :]:
            with contextlib.suppress(OSError):
                damaged.rename(damaged.with_name(f"{damaged.name}.damaged"))
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
        metrics.append(self._metrics_path, records)

    def checkpoint(self, states: Sequence[PyTree], num_compilations: int = 0) -> None:
        """Save the states and what they cost, then drop all but the newest checkpoints."""
        name = f"step-{int(states[0].step):010d}.safetensors"
        checkpoints.save(self.path / "checkpoints" / name, states, identity=self.identity)
        write_atomically(self.path / "training.json", json_bytes(self._account(num_compilations)))
        for old in _checkpoints(self.path)[:-_KEPT]:
            with contextlib.suppress(OSError):  # one too many does no harm
                old.unlink()


def _newest_whole(found: Sequence[Path], load) -> tuple[Path, Any]:
    """The newest checkpoint that is not damaged, and what `load` makes of it."""
    newest = None
    for path in reversed(found):
        try:
            loaded = load(path)
        except checkpoints.DamagedError as error:
            newest = newest or error
            continue
        if newest is not None:
            warnings.warn(
                f"{newest} Using '{path.name}', the one before it.", ElbaxWarning, stacklevel=3
            )
        return path, loaded
    assert newest is not None
    raise newest


def load_newest(path: Path, like: PyTree, *, identity: str) -> tuple[Path, list[PyTree]]:
    """The newest whole checkpoint of a run folder, and what of it `like` names.

    Raises:
        CheckpointError: there is none, it cannot be read, or it is of other runs.
    """
    found = _checkpoints(path)
    if not found:
        raise CheckpointError(
            f"folder '{path}' holds no checkpoint yet; train it further with --resume."
        )
    return _newest_whole(
        found, lambda file: checkpoints.load(file, like, identity=identity, partial=True)
    )


def _completed(existing: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """An older configuration with what it does not say yet, as it was then.

    Fields of a later version had their defaults. What an objective or a model of the user's own
    was is not known where it was not recorded; it is then taken to be the same, with a warning.
    """
    existing = json.loads(json.dumps(existing))
    defaults = {"train": asdict(TrainConfig()), "model": asdict(ModelConfig())}
    for part, values in defaults.items():
        known = existing.get(part)
        if isinstance(known, dict) and "custom" not in known and part in config:
            known_fields = json.loads(json.dumps(values))
            existing[part] = {k: v for k, v in known_fields.items() if k in config[part]} | known
    pairs = [(existing.get("model"), config.get("model"), "code")]
    if isinstance(existing["runs"], list):
        runs = zip(existing["runs"], config["runs"], strict=False)
        pairs += [(old, new, "objective") for old, new in runs]
    for old, new, key in pairs:
        if not isinstance(old, dict) or not isinstance(new, dict):
            continue
        if key in new and key not in old and (key != "code" or "custom" in old):
            old[key] = new[key]
            warnings.warn(
                "this folder does not say what its own model or objective was (it was written by "
                "an earlier elbax); taking it for the one that is given now.",
                ElbaxWarning,
                stacklevel=4,
            )
    return existing


def _differences(existing: Any, config: Any, at: str = "") -> list[str]:
    """Settings that differ, with both values: "train.epochs: 200 there, 300 now"."""
    if isinstance(existing, list) and isinstance(config, list):
        existing, config = dict(enumerate(existing)), dict(enumerate(config))
    if isinstance(existing, dict) and isinstance(config, dict):
        names = list(dict.fromkeys([*existing, *config]))
        nothing = "nothing"
        return [
            difference
            for name in names
            for difference in _differences(
                existing.get(name, nothing), config.get(name, nothing), f"{at}.{name}".strip(".")
            )
        ]
    # As JSON, so that a tuple and a list of the same numbers are the same.
    same = json.dumps(existing) == json.dumps(config)
    return [] if same else [f"{at}: {_short(existing)} there, {_short(config)} now"]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _other_configuration(path: Path, differences: list[str]) -> str:
    more = len(differences) - _SAID
    listed = "; ".join(differences[:_SAID]) + (f"; and {more} more" if more > 0 else "")
    hint = ""
    if [d for d in differences if not d.startswith("train.epochs:")] == []:
        hint = (
            " The schedule runs over the epochs, so a run cannot be lengthened; a new one can "
            f"start from it (--from {path})."
        )
    return (
        f"folder '{path}' already holds another configuration ({listed}); choose another folder, "
        f"or resume with that configuration.{hint}"
    )


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
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read '{file}' ({error}); the file is damaged.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"expected a JSON object in '{file}'; the file is damaged.")
    return config


def read_account(path: Path) -> dict[str, Any]:
    """What training.json says of the time, device and versions; without what it says wrongly."""
    try:
        account = json.loads((path / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    kinds = {"seconds": int | float, "compilations": int, "device": str, "versions": dict}
    if not isinstance(account, dict):
        return {}
    known = {
        name: account[name]
        for name, kind in kinds.items()
        if isinstance(account.get(name), kind) and not isinstance(account[name], bool)
    }
    if not 0 <= known.get("seconds", 0) < math.inf:
        del known["seconds"]
    return known


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
    """The checkpoints of a folder, oldest first.

    Raises:
        CheckpointError: they cannot be listed; that is not the same as having none.
    """
    folder = path / "checkpoints"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(
            f"cannot read '{folder}' ({error.strerror}); make it a readable folder, or choose "
            "another one for the runs."
        ) from error
    known = (name for name in names if name.startswith("step-") and name.endswith(".safetensors"))
    return [folder / name for name in sorted(known)]


def json_bytes(value: Any) -> bytes:
    """A value as readable JSON with sorted keys."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
