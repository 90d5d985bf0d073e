"""A column by itself: what may be said of a cell without the rest of its row."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

from elbax.tables.schema import Column
from elbax.tables.units import log_jacobian, to_user

_LIGHT = 1e-3  # excess kurtosis up to which tails are normal


@dataclass(frozen=True, eq=False)
class Alone:
    """One column's cells, from which others are guessed.

    Attributes:
        column: which.
        cells: `[n]` observed, as a model sees them.

    >>> alone = Alone(Column("a", "gaussian", center=1.0, scale=2.0), np.array([-1.0, 0.0, 4.0]))
    >>> alone.mean, alone.median
    (3.0, 1.0)
    """

    column: Column
    cells: Float[np.ndarray, " n"]

    @property
    def mean(self) -> float:
        """In the user's units; of categories the index of the most frequent one."""
        return self._most_frequent if self.column.is_category else float(self._in_units.mean())

    @property
    def median(self) -> float:
        """Likewise."""
        if self.column.is_category:
            return self._most_frequent
        return float(np.median(self._in_units))

    @property
    def sd(self) -> float:
        """In the user's units; of categories the share of the others."""
        if self.column.is_category:
            return float((self.cells != self._most_frequent).mean())
        return float(self._in_units.std())

    def log_prob(self, values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """Log p of cells as a model sees them, in nats and the user's units; NaN stays.

        Of the column's own kind, by its moments: normal (of the logarithm), Student's t, Poisson or
        negative binomial; of categories their frequencies, one more of each.
        """
        kind = self.column.kind
        if self.column.is_category:
            size = len(self.column.categories)
            count = np.bincount(self.cells.astype(int), minlength=size) + 1
            known = np.nan_to_num(values).astype(int)
            return np.where(np.isnan(values), np.nan, np.log(count / count.sum())[known])
        mean, sd = float(self.cells.mean()), float(max(self.cells.std(), 1e-9))
        if self.column.is_count:
            return _count_log_prob(values, mean, sd)
        offset, slope = log_jacobian(self.column)
        excess = float(scipy.stats.kurtosis(self.cells)) if kind == "student" else 0.0
        if excess > _LIGHT:
            df = 4 + 6 / excess
            log_prob = scipy.stats.t.logpdf(values, df, mean, sd * np.sqrt(1 - 2 / df))
        else:
            log_prob = scipy.stats.norm.logpdf(values, mean, sd)
        return log_prob + offset + slope * values

    @property
    def _in_units(self) -> np.ndarray:
        return to_user(self.cells, self.column)

    @property
    def _most_frequent(self) -> float:
        return float(np.bincount(self.cells.astype(int)).argmax())


def _count_log_prob(values: np.ndarray, mean: float, sd: float) -> np.ndarray:
    if sd**2 <= mean:
        return scipy.stats.poisson.logpmf(values, max(mean, 1e-9))
    size = mean**2 / (sd**2 - mean)
    return scipy.stats.nbinom.logpmf(values, size, size / (size + mean))
