"""What is measured on held-out data while a study's run trains."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from elbax.data.dataset import Dataset
from elbax.evaluation.likelihood import evaluate
from elbax.studies.plan import PlannedRun
from elbax.training.records import Look

_MONITORED = 100  # held-out data of the learning curves
_MONITORED_KS = (64, 512)
_LOOKS = 20  # at held-out data while a run trains, about
_K, _LARGE_K = 64, 5000
_CORRECTED = 512  # held-out data with so many samples each, to correct the mean of all


def looks(run: PlannedRun, dataset: Dataset) -> dict[str, Any]:
    """The arguments of `fit` that say what is looked at, and when."""
    if run.looks:
        return {"monitor": log_p_hat_at(run.looks, dataset), "monitor_every": 1}
    return {"monitor": _bounds(dataset), "monitor_every": max(1, run.epochs // _LOOKS)}


def _bounds(dataset: Dataset) -> Callable[[Look], dict[str, float]]:
    """Held-out bounds for the learning curves: IWAE-64, and IWAE-512 near log p-hat."""
    x = dataset.evaluation_split("test")[:_MONITORED]

    def monitor(seen: Look) -> dict[str, float]:
        found = evaluate(seen.model, x, key=jax.random.key(0), ks=_MONITORED_KS)
        return {f"iwae_{k}": found.estimate(f"iwae_{k}").mean for k in _MONITORED_KS}

    return monitor


def log_p_hat_at(
    epochs: tuple[int, ...], dataset: Dataset, k: int = _LARGE_K, corrected: int = _CORRECTED
) -> Callable[[Look], dict[str, float] | None]:
    """A monitor of log p-hat over all test data at a fraction of its cost.

    IWAE-64 of every datum, and of `corrected` data, drawn once, how much k samples add to it: their
    sum is an unbiased estimate of the mean IWAE-k over all test data. What k samples add varies
    little beside the spread between data, so few of them suffice.

    Returns:
        A monitor of iwae_64 and log_p_hat, and of the standard error of the latter as an estimate
        for these test data, in nats per datum.
    """
    x = dataset.evaluation_split("test")
    rows = np.random.default_rng(0).permutation(len(x))[: min(corrected, len(x))]

    def monitor(seen: Look) -> dict[str, float] | None:
        if seen.epoch not in epochs:
            return None
        wide_key, deep_key = jax.random.split(jax.random.key(0))
        iwae_64 = evaluate(seen.model, x, key=wide_key, ks=(_K,)).log_p_hat.mean
        gap = evaluate(seen.model, x[rows], key=deep_key, ks=(_K, k)).estimate(f"gap_{_K}")
        error = gap.standard_error
        return {"iwae_64": iwae_64, "log_p_hat": iwae_64 - gap.mean, "log_p_hat_error": error}

    return monitor
