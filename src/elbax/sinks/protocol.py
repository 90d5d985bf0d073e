"""What a sink is: five calls, each about one run. Nothing here knows a tool."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

METHODS = ("start", "metrics", "image", "artifact", "finish")
_NO_METRICS = ("run", "step")  # of a record: whose it is, and when


@dataclass(frozen=True)
class LoggedRun:
    """A run that a sink is about to hear of.

    Attributes:
        name: of the run, as in metrics.jsonl; every later call says it.
        group: what the runs of one fleet have in common: the name of their folder, or the time of
            their start where they have none.
        hyperparameters: `method`, `seed`, `learning_rate`, and `model`, `train` and `data` (name,
            fingerprint, ..) as config.json has them.
        folder: the run folder, or None.
        step: metrics will come for the steps after this one. 0 for a new run; of one that goes on,
            what stands: no later than its checkpoint, and than what the sink was told before.
        logged: the last step that the sink was told of before; it is after `step` where a run was
            killed when its last checkpoint was older.
        memory: what `start` returned when the run began; None for a new run.

    >>> LoggedRun("iwae-k4-seed0", "trial", {"method": "iwae(k=4)", "seed": 0}).resumes
    False
    """

    name: str
    group: str
    hyperparameters: Mapping[str, Any]
    folder: Path | None = None
    step: int = 0
    logged: int = 0
    memory: Mapping[str, str] | None = field(default=None)

    @property
    def resumes(self) -> bool:
        """Whether the sink has heard of this run before."""
        return self.memory is not None


@runtime_checkable
class Sink(Protocol):
    """Takes what runs tell. `fit(log=...)` takes any object with these methods.

    They are called in one thread, not that of the training, in this order: `start` for each run of
    a fleet, `metrics` after each epoch, and at the end `image`, `artifact` and `finish`. What one
    of them raises is told in a warning, and the sink is not called again; the training goes on.

    A sink may have `needs_folder = True`, to be refused where the runs have no folder, and
    `needs_all = True`, to be told of runs that go on from their beginning, as metrics.jsonl has it.

    >>> class Best:
    ...     def start(self, run):
    ...         self.bound = -float("inf")
    ...     def metrics(self, run, step, values):
    ...         self.bound = max(self.bound, values["bound"])
    ...     def image(self, run, step, name, pixels): ...
    ...     def artifact(self, run, path): ...
    ...     def finish(self, run, status): ...
    >>> import elbax
    >>> best = Best()
    >>> result = elbax.fit(
    ...     "iwae(k=4)", np.eye(20, 6), model=elbax.ModelConfig(hidden=(8,), latents=2),
    ...     config=elbax.TrainConfig(epochs=1, batch_size=5), log=best)
    >>> best.bound == result.metrics[-1]["bound"]
    True
    """

    def start(self, run: LoggedRun) -> Mapping[str, str] | None:
        """A run begins, or goes on. What is returned comes back as `memory` when it is resumed."""
        ...

    def metrics(self, run: str, step: int, values: Mapping[str, int | float]) -> None:
        """The numbers of a run after an epoch, by their names in metrics.jsonl, the epoch too."""
        ...

    def image(self, run: str, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture: uint8 `[H, W]` of grey levels, or `[H, W, 3]` of colours."""
        ...

    def artifact(self, run: str, path: Path) -> None:
        """A file that belongs to the run, there to be copied."""
        ...

    def finish(self, run: str, status: str) -> None:
        """The run has ended: "ok", "diverged", "pruned", "stopped" (to go on) or "failed"."""
        ...


def numbers(record: Mapping[str, Any]) -> dict[str, int | float]:
    """The metrics of a line of metrics.jsonl: its finite numbers, by the same names.

    >>> numbers({"run": "a", "step": 72, "epoch": 1, "status": "ok", "bound": -3.5, "ess": None})
    {'epoch': 1, 'bound': -3.5}
    """
    return {
        name: value
        for name, value in record.items()
        if name not in _NO_METRICS
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def flat(hyperparameters: Mapping[str, Any], at: str = "") -> dict[str, str | int | float | bool]:
    """Hyperparameters without nesting, for tools that know numbers and texts alone.

    >>> flat({"seed": 0, "model": {"hidden": [100], "channels": None}})
    {'seed': 0, 'model.hidden': '[100]', 'model.channels': 'null'}
    """
    found: dict[str, str | int | float | bool] = {}
    for name, value in hyperparameters.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{at}{name}.")
        elif isinstance(value, str | int | float):  # a bool is an int
            found[f"{at}{name}"] = value
        else:
            found[f"{at}{name}"] = json.dumps(value)
    return found
