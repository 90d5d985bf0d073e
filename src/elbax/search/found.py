"""What a search found: its trials, the best of them, and tune.json."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elbax._files import json_bytes, write_atomically
from elbax._version import __version__
from elbax.data.dataset import Dataset
from elbax.search.fleets import Common
from elbax.search.journal import Journal
from elbax.search.settings import Setting, command_of
from elbax.search.space import Value
from elbax.training.config import listed
from elbax.training.environment import environment


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Attributes:
        number: counted from 0.
        status: finished, pruned, diverged, failed or running.
        value: the held-out bound at its last epoch, in nats per datum; None where it has none.
        error: the standard error of that over the held-out data.
        epochs: done.
        point: what was searched, by name.
        setting: what was trained.
        fleet: the folder of its runs within that of the search, None where it has none.
        runs: their names there.
        reason: why it failed.
    """

    number: int
    status: str
    value: float | None
    error: float | None
    epochs: int
    point: dict[str, Value]
    setting: Setting | None = field(repr=False)
    fleet: str | None = None
    runs: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class TuneResult:
    """What a search found so far.

    Attributes:
        folder: of the search.
        k: samples of the held-out bound that trials are judged by.
        trials: by number.
        importances: the share of the values' variation that each name accounts for.
        commands: of each finished trial, by number: the command that trains it on all data.

    >>> from elbax.models.config import ModelConfig
    >>> from elbax.training.config import TrainConfig
    >>> setting = Setting("iwae(k=8)", ModelConfig(), TrainConfig())
    >>> trial = Trial(0, "finished", -17.21, 0.1, 30, {"learning_rate": 0.003}, setting)
    >>> TuneResult(Path("runs/tune"), 64, (trial,), {}, {})
    TuneResult(1 of 1 trial finished; IWAE-64 on validation data, nats per datum)
      trial 0: -17.21, learning_rate 0.003
    """

    folder: Path
    k: int
    trials: tuple[Trial, ...]
    importances: dict[str, float]
    commands: dict[int, str]

    @property
    def ranked(self) -> list[Trial]:
        """The finished trials, the best first."""
        finished = [t for t in self.trials if t.status == "finished" and t.value is not None]
        return sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))

    @property
    def best(self) -> Trial | None:
        """The finished trial of the largest value; None where none finished."""
        return next(iter(self.ranked), None)

    @property
    def command(self) -> str | None:
        """The command that trains the best setting on all training data."""
        return None if self.best is None else self.commands[self.best.number]

    def __repr__(self) -> str:
        """The best trials."""
        ranked, num = self.ranked, len(self.trials)
        head = f"{len(ranked)} of {num} trial{'s' * (num != 1)} finished"
        lines = [
            f"trial {trial.number}: {trial.value:.2f}, "
            + ", ".join(f"{name} {value}" for name, value in trial.point.items())
            for trial in ranked
        ]
        return listed(
            f"TuneResult({head}; IWAE-{self.k} on validation data, nats per datum)", lines
        )


def found_in(journal: Journal, base: Setting, common: Common, folder: Path) -> TuneResult:
    """The trials of a journal."""
    trials = tuple(_trial(one, journal, base) for one in journal.trials())
    commands = {
        trial.number: command_of(
            trial.setting,
            common.seeds,
            common.request,
            data_dir=common.data_dir,
            binarise=common.binarise,
        )
        for trial in trials
        if trial.status == "finished" and trial.setting is not None
    }
    return TuneResult(folder, common.k, trials, journal.importances(), commands)


def _trial(told: Any, journal: Journal, base: Setting) -> Trial:
    attributes, curve = told.user_attrs, told.intermediate_values
    whole = set(journal.names) <= set(told.params)  # a process may be asking for it just now
    point = journal.point(told.params) if whole else dict(told.params)
    status = attributes.get("status", "failed") if told.state.is_finished() else "running"
    last = max(curve, default=0)
    return Trial(
        number=told.number,
        status=status,
        value=curve.get(last),
        error=attributes.get("error"),
        epochs=last,
        point=point,
        setting=base.at(point) if whole and status != "failed" else None,
        fleet=attributes.get("fleet"),
        runs=tuple(attributes.get("runs", ())),
        reason=str(attributes.get("reason", "")),
    )


def write_found(
    result: TuneResult, search: dict[str, Any], dataset: Dataset, seconds: float
) -> None:
    """Write tune.json, which is all that the page shows."""
    content = {
        "format": 1,
        "elbax": __version__,
        "data": dataset.name,
        "search": search,
        "num_valid": len(dataset.split("valid")),
        "trials": [_told(trial) for trial in result.trials],
        "best": None if result.best is None else result.best.number,
        "command": result.command,
        "importances": result.importances,
        "seconds": seconds,
        **environment(),
    }
    write_atomically(result.folder / "tune.json", json_bytes(content))


def _told(trial: Trial) -> dict[str, Any]:
    """A trial as JSON has it."""
    names = ("number", "status", "value", "error", "epochs", "point", "fleet", "runs", "reason")
    method = None if trial.setting is None else trial.setting.method
    return {name: getattr(trial, name) for name in names} | {"method": method}
