"""Which units of trained runs are active, and what pruning the others changes."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from elbax._files import json_bytes, write_atomically
from elbax._keys import key_of
from elbax.data.dataset import Dataset
from elbax.evaluation.likelihood import compare, evaluate, sample_counts
from elbax.evaluation.posterior import posterior_means
from elbax.evaluation.units import unit_variances, which_active
from elbax.models.pruning import pruned
from elbax.runs.load import Runs

THRESHOLD = 0.01  # Burda et al. 2015, section 5.2


def units_study(
    runs: Runs,
    dataset: Dataset,
    *,
    ks: Sequence[int] = (1, 64, 5000),
    num_data: int | None = None,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
    write: bool = True,
) -> dict[str, Any]:
    """Variance of each unit's posterior mean, and log p-hat without the inactive units.

    Writes units.json into the folder, unless `write` says not to. The model and its pruned self
    are evaluated on the same data by the same draws, so their difference is paired.

    Args:
        runs: from `load_runs`, of normal latents.
        dataset: from `load_data_of`.
        ks: sample counts; the largest gives log p-hat.
        num_data: how many test data, from the first; all if omitted.
        seed: of the binarisation and of the samples.
        progress: told the run's number and the fraction of it that is done.
        write: leave out to only return what was found.

    Returns:
        `{"format", "threshold", "runs": [{"name", "active", "variances", "errors", "log_p_hat",
        "change", "standard_error"}]}`; variances and their standard errors, one list per layer,
        nearest to the data first.

    Raises:
        InputError: too few data to tell which units are active.
    """
    ks = sample_counts(ks)
    x = dataset.evaluation_split("test", seed, num_data)
    entries = []
    for index, spec in enumerate(runs.specs):

        def told(done: float, index: int = index) -> None:
            if progress is not None:
                progress(index, done)

        entries.append({"name": spec.name} | _entry(runs.models[index], x, ks[-1:], seed, told))
    content = {"format": 1, "threshold": THRESHOLD, "num_data": len(x), "runs": entries}
    if write:
        write_atomically(runs.path / "units.json", json_bytes(content))
    return content


def _entry(model, x, ks, seed: int, told: Callable[[float], None]) -> dict[str, Any]:
    key = key_of(seed)
    layers = unit_variances(model, x, key=key)
    means = [np.mean(layer, axis=0) for layer in jax.tree.leaves(posterior_means(model, x))]
    inactive = [~active for active in which_active(layers, THRESHOLD)]
    without = pruned(model, inactive, means)
    whole = evaluate(model, x, key=key, ks=ks, progress=lambda done: told(done / 2))
    rest = evaluate(without, x, key=key, ks=ks, progress=lambda done: told((1 + done) / 2))
    change = compare(whole, rest)
    return {
        "active": [int((~layer).sum()) for layer in inactive],
        "variances": [layer.value.tolist() for layer in layers],
        "errors": [layer.error.tolist() for layer in layers],
        "log_p_hat": whole.log_p_hat.mean,
        "change": change.difference,
        "standard_error": change.standard_error,
    }
