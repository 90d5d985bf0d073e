"""What is measured on held-out data while a study's run trains."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from elbax.data.dataset import Dataset
from elbax.evaluation.annealing import ais
from elbax.evaluation.likelihood import evaluate, mean_and_error
from elbax.studies.plan import PlannedRun
from elbax.training.records import Look

_MONITORED = 100  # held-out data of the learning curves
_MONITORED_KS = (64, 512)
_LOOKS = 20  # at held-out data while a run trains, about
_K, _LARGE_K = 64, 5000
_STEPS, _CHAINS = 100, 4  # of the annealing, at a look
_CORRECTED = 512  # held-out data with so many samples each, to correct the mean of all


def looks(run: PlannedRun, dataset: Dataset) -> dict[str, Any]:
    """The arguments of `fit` that say what is looked at, and when."""
    if run.looks:
        monitor = log_p_hat_at(run.looks, dataset, annealed=run.annealed)
        return {"monitor": monitor, "monitor_every": 1}
    return {"monitor": _bounds(dataset), "monitor_every": max(1, run.epochs // _LOOKS)}


def _bounds(dataset: Dataset) -> Callable[[Look], dict[str, float]]:
    """Held-out bounds for the learning curves: IWAE-64, and IWAE-512 near log p-hat."""
    x = dataset.evaluation_split("test")[:_MONITORED]

    def monitor(seen: Look) -> dict[str, float]:
        found = evaluate(seen.model, x, key=jax.random.key(0), ks=_MONITORED_KS)
        return {f"iwae_{k}": found.estimate(f"iwae_{k}").mean for k in _MONITORED_KS}

    return monitor


def log_p_hat_at(
    epochs: tuple[int, ...],
    dataset: Dataset,
    *,
    k: int = _LARGE_K,
    corrected: int = _CORRECTED,
    annealed: int = 0,
) -> Callable[[Look], dict[str, float] | None]:
    """A monitor of log p-hat over all test data at a fraction of its cost.

    IWAE-64 of every datum, and of `corrected` data, drawn once, how much k samples add to it: their
    sum is an unbiased estimate of the mean IWAE-k over all test data. What k samples add varies
    little beside the spread between data, so few of them suffice. What annealing adds to that is
    likewise taken from `annealed` of them.

    Returns:
        A monitor of iwae_64, log_p_hat and log_p_hat_error, its standard error as an estimate for
        these test data; with annealed data of ais and ais_error too. In nats per datum.
    """
    x = dataset.evaluation_split("test")
    rows = np.random.default_rng(0).permutation(len(x))[: min(corrected, len(x))]
    few = rows[:annealed]

    def monitor(seen: Look) -> dict[str, float] | None:
        if seen.epoch not in epochs:
            return None
        keys = jax.random.split(jax.random.key(0), 3)
        iwae_64 = evaluate(seen.model, x, key=keys[0], ks=(_K,)).log_p_hat.mean
        deep = evaluate(seen.model, x[rows], key=keys[1], ks=(_K, k))
        gap = deep.estimate(f"gap_{_K}")
        found = {"iwae_64": iwae_64, "log_p_hat": iwae_64 - gap.mean}
        found |= {"log_p_hat_error": gap.standard_error}
        if annealed:
            log_p = ais(seen.model, x[few], key=keys[2], steps=_STEPS, chains=_CHAINS).log_p
            more = mean_and_error(log_p - deep.bounds[-1][: len(few)])
            error = float(np.hypot(gap.standard_error, more.standard_error))
            found |= {"ais": found["log_p_hat"] + more.mean, "ais_error": error}
        return found

    return monitor
