"""What metrics.jsonl says of a run after an epoch, and the monitor that adds to it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from elbax._errors import InputError
from elbax.models.interface import Model
from elbax.objectives import Objective
from elbax.training.config import RunSpec
from elbax.training.diagnosis import cause
from elbax.training.fleet import Fleet
from elbax.training.schedules import learning_rate_factor
from elbax.training.state import OK, status_of


@dataclass(frozen=True)
class Look:
    """What a monitor is shown of one run at the end of an epoch.

    Attributes:
        run: its name, method and seed.
        model: the model as it stands; the next step takes its arrays, so keep what you compute of
            it, not itself.
        objective: its objective with the numbers of that time, learned ones too.
        epoch: epochs done.
        metrics: the epoch's record so far, as it goes to metrics.jsonl: means over the training
            data in nats per datum (bound, ..), step, learning rate, numbers that change.

    >>> import elbax
    >>> import numpy as np
    >>> def monitor(look):
    ...     return {"half": look.epoch / 2}
    >>> result = elbax.fit(
    ...     "iwae(k=4)", np.eye(20, 6), model=elbax.ModelConfig(hidden=(8,), latents=2),
    ...     config=elbax.TrainConfig(epochs=1, batch_size=5), monitor=monitor)
    >>> result.metrics[-1]["half"]
    0.5
    """

    run: RunSpec
    model: Model = field(repr=False)
    objective: Objective
    epoch: int
    metrics: dict[str, Any]


Monitor = Callable[[Look], Mapping[str, Any] | None]  # the metrics to add to the record


def epoch_records(fleet: Fleet, runs, epoch: int, monitor: Monitor | None) -> list[dict]:
    """One record per run that goes on: the epoch's means, and held-out metrics where it is time."""
    records = []
    config = fleet.program.config
    for index, (run, state) in enumerate(zip(runs, fleet.states, strict=True)):
        if int(state.status) < OK:
            continue
        sums = {name: float(value) for name, value in state.sums._asdict().items()}
        steps = sums.pop("steps")
        objective = fleet.program.objectives.objectives[index]
        if not objective.is_annealed:
            del sums["annealed_bound"]  # it is the bound
        total = int(state.step) // epoch * config.epochs
        factor = learning_rate_factor(config.schedule, total, state.step - 1)
        record = {
            "run": run.name,
            "epoch": epoch,
            "step": int(state.step),
            "status": status_of(state.status),
            "learning_rate": float(state.learning_rate * factor),
            "num_nonfinite": int(sums.pop("num_nonfinite")),
        }
        record |= {name: value / steps for name, value in sums.items()}
        last = (int(state.step) - 1) * config.epochs / total
        learned = state.adaptive.learned
        learned = None if learned is None else float(learned.value)
        record |= objective.numbers(last, learned)
        if monitor is not None and int(state.status) == OK:
            now = objective.at(last, learned)
            found = monitor(Look(run, fleet.model(index), now, epoch, dict(record)))
            record |= _measured(found)
        if int(state.step) - steps < int(state.status):  # in this epoch
            record["cause"] = cause(fleet.program, state, fleet.images, objective.needs)
        records.append(record)
    return records


def _measured(found: Any) -> dict[str, float]:
    """What a monitor found, as metrics.jsonl can hold it."""
    if found is None:
        return {}
    try:
        return {str(name): float(value) for name, value in dict(found).items()}
    except (TypeError, ValueError):
        raise InputError(
            "expected a monitor to return numbers by name, such as {'iwae_64': -86.1}, or None; "
            f"got {found!r}."
        ) from None


def check_monitor(monitor: Monitor | None) -> None:
    """Refuse what cannot be called with one argument, before the first epoch and not after it."""
    if monitor is None:
        return
    try:
        inspect.signature(monitor).bind(None)
    except TypeError:
        raise InputError(
            "expected a monitor that takes one argument, a Look (.run, .model, .objective, .epoch, "
            f".metrics); got {monitor}."
        ) from None
    except ValueError:
        return  # a built-in without a signature
