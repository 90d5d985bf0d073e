"""Differences paired by seed and datum, with an error that holds the spread over both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

CONFIDENCE = 0.975  # one-sided; quantiles are Student's where few seeds give the error


@dataclass(frozen=True)
class Difference:
    """A mean with its standard error, and how many errors away from 0 is beyond doubt."""

    mean: float
    error: float
    limit: float
    num_seeds: int

    @property
    def z(self) -> float:
        """The mean in units of its standard error; infinite where that is 0, NaN for 0 of 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.mean) / np.float64(self.error))

    @property
    def is_resolved(self) -> bool:
        """Whether the mean lies beyond its error."""
        return math.isfinite(self.error) and abs(self.mean) > self.limit * self.error


def paired(more: Sequence[np.ndarray], less: Sequence[np.ndarray]) -> Difference:
    """The mean of `more - less` of values per datum `[N]`, one array for each seed.

    Both hold the same seeds and data in the same order; data that are not finite in every seed of
    both are left out. The error is that over seeds and, in quadrature, that over data; a single
    seed has the latter alone.

    >>> found = paired([np.array([1.0, 2.0, 3.0])], [np.array([0.0, 1.1, 1.9])])
    >>> round(found.mean, 3), round(found.error, 3)
    (1.0, 0.058)
    """
    per_datum = np.stack(more).astype(np.float64) - np.stack(less).astype(np.float64)
    per_datum = per_datum[:, np.isfinite(per_datum).all(axis=0)]
    num_seeds, num_data = per_datum.shape
    if num_data < 2:
        return Difference(math.nan, math.nan, math.inf, 0)
    over_data = per_datum.mean(axis=0).std(ddof=1) / num_data**0.5
    if num_seeds == 1:
        limit = scipy.stats.t.ppf(CONFIDENCE, num_data - 1)
        return Difference(float(per_datum.mean()), float(over_data), float(limit), 1)
    over_seeds = per_datum.mean(axis=1).std(ddof=1) / num_seeds**0.5
    limit = scipy.stats.t.ppf(CONFIDENCE, num_seeds - 1)
    error = float(np.hypot(over_data, over_seeds))
    return Difference(float(per_datum.mean()), error, float(limit), num_seeds)


def over_seeds(differences: Sequence[float]) -> Difference:
    """The mean of one number per seed; a single seed has no error, and decides nothing."""
    values, count = np.array(differences, np.float64), len(differences)
    if count < 2:
        mean = float(values.mean()) if count else math.nan
        return Difference(mean, math.nan, math.inf, count)
    limit = float(scipy.stats.t.ppf(CONFIDENCE, count - 1))
    return Difference(float(values.mean()), float(values.std(ddof=1) / count**0.5), limit, count)
