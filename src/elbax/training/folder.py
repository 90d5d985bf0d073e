"""A run folder: config.json, metrics.jsonl, checkpoints/. One fleet (or one run) each."""

import contextlib
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elbax._errors import CheckpointError, ElbaxWarning, OutputError
from elbax._files import json_bytes, remove_parts, write_atomically
from elbax._reading import UnreadableError, read_json
from elbax._types import PyTree
from elbax.training import checkpoints, metrics
from elbax.training.claims import Claim
from elbax.training.environment import changes, environment
from elbax.training.recorded import (
    Begun,
    completed,
    differences,
    identity_of,
    other_configuration,
    read_account,
    without_place,
)
from elbax.training.state import OK

_KEPT = 2  # the newest checkpoint, and one before it in case the newest is damaged later

# What elbax writes into a run folder, beside config.json; somebody's own files may be called so.
_FILES = (
    "metrics.jsonl",
    "training.json",
    "results.json",
    "per_datum.npz",
    "images.npz",
    "sinks.json",
)
_MEASURED = (
    "results-*.json",
    "per_datum-*.npz",
    "units.json",
    "snr.json",
    "calibration.json",
    "report.html",
)


class RunFolder:
    """Where a fleet's files live; every write is whole or not at all.

    `config` is what the runs' results depend on. A folder that already holds runs is only
    opened to resume the same configuration, or to `overwrite` whatever runs are there. One whose
    runs never got as far as a line or a checkpoint counts as empty.
    """

    def __init__(
        self,
        path: Path,
        config: dict[str, Any],
        *,
        resume: bool,
        overwrite: bool = False,
        claim: Claim | None = None,
    ):
        self.path = path
        self._claim = claim
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
        self._recall()

    @property
    def _config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def _metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def _account_path(self) -> Path:
        return self.path / "training.json"

    def _recall(self) -> None:
        """The time that was spent before, and where; a warning where that was elsewhere."""
        account, self._environment = read_account(self.path), environment()
        self._seconds = float(account.pop("seconds", 0))
        self._earlier = account.pop("earlier", [])
        account.pop("compilations", None)
        if account and (found := changes(account, self._environment)):
            warnings.warn(
                f"the runs in '{self.path}' were trained elsewhere until now ({'; '.join(found)}): "
                "they go on, but not to the bits that they would have had there.",
                ElbaxWarning,
                stacklevel=5,
            )
            self._earlier.append(account)

    def _check_existing(self, resume: bool, overwrite: bool) -> bool:
        """Whether the folder holds the beginning of these runs."""
        existing = self._read_existing()
        if overwrite:
            self._clear()
            return False
        if not self._is_begun():
            return False
        begun = without_place(completed(existing, self._config))
        if found := differences(begun, without_place(self._config)):
            raise CheckpointError(other_configuration(self.path, found))
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
            return read_json(self._config_path, Begun)
        except (OSError, UnreadableError) as error:
            raise CheckpointError(
                f"cannot read '{self._config_path}' ({error}); choose another folder."
            ) from error

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
            if self._account_path.exists():  # which comes with the first checkpoint
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
        ends = {
            run["name"]: _last_step(state)
            for run, state in zip(self._config["runs"], states, strict=False)
            if isinstance(run, dict)
        }
        metrics.cut_back(self._metrics_path, int(states[0].step), ends, per_epoch)
        for damaged in found[found.index(whole) + 1 :]:
            with contextlib.suppress(OSError):
                damaged.rename(damaged.with_name(f"{damaged.name}.damaged"))
        if not self._account_path.exists():  # ended between the first checkpoint and it
            self._write_account(num_compilations=0)
        return states

    def _write_account(self, num_compilations: int) -> None:
        """What the training cost, time over all resumptions, and where it was."""
        now = time.perf_counter()
        self._seconds, self._opened = self._seconds + now - self._opened, now
        account = {
            "seconds": self._seconds,
            "compilations": num_compilations,
            **self._environment,
            "earlier": self._earlier,
        }
        write_atomically(self._account_path, json_bytes(account))

    def tell(self, **told: Any) -> None:
        """Say where training stands, for those who look from elsewhere."""
        if self._claim is not None:
            self._claim.tell(**told)

    def _check_claim(self) -> None:
        if self._claim is not None:
            self._claim.check()

    def append_metrics(self, records: Sequence[dict[str, Any]]) -> None:
        """Add one line per record; numbers that are not finite become null.

        Raises:
            FolderInUseError: somebody else has taken the folder over.
        """
        self._check_claim()
        metrics.append(self._metrics_path, records)

    def records(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; once restored, those up to the checkpoint."""
        return metrics.read(self._metrics_path)

    def checkpoint(self, states: Sequence[PyTree], num_compilations: int = 0) -> None:
        """Save the states and what they cost, then drop all but the newest checkpoints.

        Raises:
            OutputError: the folder is gone, or cannot be written; older checkpoints are whole.
            FolderInUseError: somebody else has taken the folder over.
        """
        self._check_claim()
        if not self._config_path.exists():
            raise OutputError(metrics.GONE.format(self._config_path))
        name = f"step-{int(states[0].step):010d}.safetensors"
        checkpoints.save(self.path / "checkpoints" / name, states, identity=self.identity)
        self._write_account(num_compilations)
        for old in _checkpoints(self.path)[:-_KEPT]:
            with contextlib.suppress(OSError):  # one too many does no harm
                old.unlink()


def _last_step(state: Any) -> int:
    """The last step that a run took: of one that was pruned, the one that it was ended after."""
    status = int(getattr(state, "status", OK))
    return int(state.step) if status >= OK else -status


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


def newest_checkpoint(path: Path) -> Path | None:
    """The newest checkpoint of a run folder, or None."""
    found = _checkpoints(path)
    return found[-1] if found else None


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
