"""The median rule: a trial whose best is below the median of finished ones, at that epoch, ends."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

STARTUP = 5  # finished trials before any is pruned

Curve = Mapping[int, float]  # what a trial was worth, by epoch


def medians(finished: Sequence[Curve], after: float | int, epochs: int) -> dict[int, float]:
    """The median of finished trials by epoch, for the epochs at which a trial may be pruned.

    It is the rule of Optuna's `MedianPruner`, with the trials finished when this is asked: whoever
    trains, on whatever machine, need not see the study.

    Args:
        finished: the values of every finished trial.
        after: epochs before which none is pruned.
        epochs: of a whole training; at its end there is nothing to prune any more.

    >>> medians([{1: 0.0, 2: 1.0}, {1: 2.0, 2: 3.0}] * 3, after=2, epochs=3)
    {2: 2.0}
    """
    if len(finished) < STARTUP:
        return {}
    found = {}
    for epoch in sorted({epoch for curve in finished for epoch in curve}):
        values = [curve[epoch] for curve in finished if epoch in curve]
        if after <= epoch < epochs and not np.isnan(values).all():
            found[epoch] = float(np.nanmedian(values))
    return found


def falls_behind(curve: Curve, epoch: int, limits: Mapping[int, float]) -> bool:
    """Whether a trial ends after an epoch: its best so far is below the median there.

    >>> falls_behind({1: -5.0, 2: -4.0}, 2, {2: -3.0})
    True
    """
    if epoch not in limits or epoch not in curve:
        return False
    known = [value for at, value in curve.items() if at <= epoch and not math.isnan(value)]
    return not known or max(known) < limits[epoch]
