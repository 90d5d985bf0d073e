"""How many epochs suit a table: as many as rows that a first training leaves out can bear."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from elbax.evaluation.scores import score
from elbax.models.config import ModelConfig
from elbax.tables.table import Table
from elbax.training.config import TrainConfig
from elbax.training.fit import FitResult, fit
from elbax.training.records import Look

MOST = 200  # epochs, where none are asked for
_FEWEST_ROWS = 20  # of a table that has some to leave out
_LEFT_OUT = 100  # at least, or a third of a small table
_SAMPLES = 100  # of the rows left out, the same ones at every look
_PATIENCE = 3  # looks in a row below the best


def chosen_epochs(
    method: Any,
    table: Table,
    *,
    model: ModelConfig,
    config: TrainConfig,
    seed: int,
    train: Callable[..., FitResult] = fit,
    **options: Any,
) -> int:
    """Epochs to train a model of a table for: `config.epochs` at most.

    One training leaves a tenth of the rows out (at least 100, or a third of a small table) and
    looks at their log p-hat at epochs 1, 2, 3, 4, 6, 8, 11, 16, .., until that falls. Of these it
    takes the first that is within one standard error of the best, row against row. Tables of
    fewer than 20 rows have none to leave out, and get `config.epochs`.

    Args:
        method: the objective.
        table: all rows.
        model: the model.
        config: the training, with the most epochs.
        seed: of that training, of the rows left out and of the draws.
        train: a function like `fit`.
        options: more arguments of it.

    Source: the one-standard-error rule is that of Breiman et al. 1984, Classification and
    Regression Trees, section 3.4.3.

    >>> import elbax
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> config = TrainConfig(epochs=8, batch_size=10)
    >>> chosen_epochs("iwae(k=2)", elbax.table_of(x), model=ModelConfig(hidden=(4,), latents=1),
    ...     config=config, seed=0) in (1, 2, 3, 4, 6, 8)
    True
    """
    if len(table) < _FEWEST_ROWS:
        return config.epochs
    num_out = max(len(table) // 10, min(_LEFT_OUT, len(table) // 3))
    order = np.random.default_rng(seed).permutation(len(table))
    held = table.rows(np.sort(order[:num_out]))
    rest = table.rows(np.sort(order[num_out:]))
    looks = _Looks(held, config.epochs, seed)
    config = replace(config, batch_size=min(config.batch_size, len(rest)), bootstrap=False)
    train(
        method,
        rest,
        model=model,
        config=config,
        seeds=(seed,),
        monitor=looks.look,
        stop=looks.stop,
        **options,
    )
    return looks.first_of_the_best()


class _Looks:
    """Log p-hat of rows left out, by epoch."""

    def __init__(self, held: Table, most: int, seed: int):
        self.held, self.most, self.seed = held, most, seed
        self.found: dict[int, np.ndarray] = {}

    def look(self, seen: Look) -> None:
        if seen.epoch not in _looked_at(self.most):
            return
        log_p = score(
            seen.model, self.held, num_samples=_SAMPLES, most_samples=_SAMPLES, seed=self.seed
        ).log_p_hat
        if np.isfinite(log_p).all():
            self.found[seen.epoch] = log_p

    def stop(self) -> bool:
        return bool(self.found) and sum(one > self.best for one in self.found) >= _PATIENCE

    @property
    def best(self) -> int:
        return max(self.found, key=lambda epoch: float(self.found[epoch].mean()))

    def first_of_the_best(self) -> int:
        if not self.found:  # it diverged at once, as the training to come will say
            return self.most
        for epoch, log_p in self.found.items():
            lost = self.found[self.best] - log_p
            if lost.mean() <= lost.std(ddof=1) / np.sqrt(len(lost)):
                return epoch
        raise AssertionError("the best is within any error of itself")


def _looked_at(most: int) -> set[int]:
    """Epochs, each about 1.4 times the one before, and the last.

    >>> sorted(_looked_at(12))
    [1, 2, 3, 4, 6, 8, 11, 12]
    """
    return {round(2 ** (i / 2)) for i in range(64) if 2 ** (i / 2) < most} | {most}
