"""Posterior means of trained runs on the data of their evaluation."""

import jax
import numpy as np

from elbax.evaluation.posterior import posterior_means
from elbax.runs.load import Runs, load_data_of


def posterior_means_of(
    runs: Runs, *, num_data: int | None = None, seed: int = 0, data_dir: str | None = None
) -> list[np.ndarray]:
    """E_q[z | x] of every run and test datum, one array `[R, N, Z]` per layer, raveled.

    Args:
        runs: from `load_runs`.
        num_data: how many test data, from the first; all if omitted.
        seed: of the binarisation.
        data_dir: where the data are.

    Raises:
        DataError: they cannot be found, or have changed since.
    """
    x = load_data_of(runs, data_dir=data_dir).evaluation_split("test", seed)[:num_data]
    found = [jax.tree.leaves(posterior_means(model, x)) for model in runs.models]
    return [
        np.stack([layer.reshape(len(x), -1) for layer in layers])
        for layers in zip(*found, strict=True)
    ]
