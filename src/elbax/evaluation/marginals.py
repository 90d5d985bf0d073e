"""Columns of data beside columns of samples: their histograms, and how two go together."""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from jaxtyping import Float

from elbax.tables.schema import Column, Schema
from elbax.tables.units import to_user

_BINS = 20
_FEW = 100  # cells, below which there are half as many bins
_TRIM = 0.01  # of the cells on each side, which do not widen the axis
_SHOWN = 12  # categories, the rarer ones together
_COMMON = 20  # rows that have both cells, at least, for a rank correlation
OTHERS = "others"


def in_units(values: Float[np.ndarray, "n c"], schema: Schema) -> Float[np.ndarray, "n c"]:
    """Cells as a model sees them in the user's units; categories by their index."""
    columns = [
        values[:, i].astype(np.float64) if one.is_category else to_user(values[:, i], one)
        for i, one in enumerate(schema.columns)
    ]
    return np.stack(columns, axis=1)


class Bins:
    """Where the cells of one column are counted.

    Intervals for numbers, the outermost of which hold what lies beyond; for categories one bin
    each, of which the rarer ones share the last.

    Args:
        column: which.
        cells: `[n]` in the user's units, NaN where missing: those of the data.

    >>> bins = Bins(Column("a", "binary", "text", ("no", "yes")), np.array([0.0, 1.0, 1.0, np.nan]))
    >>> bins.names, bins.shares(np.array([0.0, 1.0, 1.0, 0.0])).tolist()
    (['no', 'yes'], [0.5, 0.5])
    """

    def __init__(self, column: Column, cells: Float[np.ndarray, " n"]):
        self.names: list[str] = []
        seen = cells[~np.isnan(cells)]
        if column.is_category:
            count = np.bincount(seen.astype(int), minlength=len(column.categories))
            kept = range(len(count))
            if len(count) > _SHOWN:
                kept = sorted(np.argsort(-count, kind="stable")[: _SHOWN - 1].tolist())
            self._place = np.full(len(count), len(kept))
            self._place[list(kept)] = np.arange(len(kept))
            self.names = [column.categories[i] for i in kept]
            self.names += [OTHERS] * (len(count) > _SHOWN)
            self.edges = np.arange(len(self.names) + 1) - 0.5
            return
        low, high = np.quantile(seen, [_TRIM, 1 - _TRIM]) if len(seen) else (0.0, 1.0)
        bins = _BINS if len(seen) >= _FEW else _BINS // 2
        if column.is_count:
            low, high = np.floor(low), np.ceil(high)
            step = max(1, -(-int(high - low + 1) // bins))
            self.edges = np.arange(low, high + step + 1, step) - 0.5
            return
        room = 0.05 * (high - low) or 0.5
        least = seen.min() if len(seen) else low
        self.edges = np.linspace(max(low - room, least), high + room, bins + 1)

    def shares(self, cells: Float[np.ndarray, " n"]) -> Float[np.ndarray, " b"]:
        """The share of the observed cells in each bin."""
        seen = cells[~np.isnan(cells)]
        if self.names:
            seen = self._place[seen.astype(int)]
        inside = np.clip(seen, self.edges[0], np.nextafter(self.edges[-1], -np.inf))
        count = np.histogram(inside, self.edges)[0]
        return count / max(1, len(seen))


def distance(data: Float[np.ndarray, " n"], drawn: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """How far two samples of one column are apart, from 0 to 1, and what chance alone leaves.

    The largest difference of their distribution functions (of Kolmogorov and Smirnov), which were
    both of one distribution would exceed the second number once in a hundred times.

    >>> distance(np.arange(100.0), np.arange(100.0) + 50)[0]
    0.5
    """
    data, drawn = data[~np.isnan(data)], drawn[~np.isnan(drawn)]
    if not len(data) or not len(drawn):
        return float("nan"), float("nan")
    found = float(np.asarray(scipy.stats.ks_2samp(data, drawn, method="asymp"))[0])
    return found, float(1.63 * np.sqrt(1 / len(data) + 1 / len(drawn)))


def rank_correlation(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> float:
    """Spearman's, over the rows that have both cells; NaN for too few rows or a constant.

    >>> rank_correlation(np.arange(30.0), np.arange(30.0) ** 3)
    1.0
    """
    both = ~np.isnan(one) & ~np.isnan(other)
    if both.sum() < _COMMON:
        return float("nan")
    ranks = [scipy.stats.rankdata(column[both]) for column in (one, other)]
    if min(np.ptp(rank) for rank in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1].round(12))


def strongest_pairs(
    cells: Float[np.ndarray, "n c"], schema: Schema, most: int, most_columns: int
) -> list[tuple[int, int]]:
    """Pairs of columns of numbers by the size of their rank correlation, strongest first.

    Args:
        cells: in the user's units.
        schema: of the columns.
        most: pairs.
        most_columns: in all of them.
    """
    found = []
    numbers = [i for i, column in enumerate(schema.columns) if not column.is_category]
    for place, one in enumerate(numbers):
        for other in numbers[place + 1 :]:
            size = abs(rank_correlation(cells[:, one], cells[:, other]))
            if np.isfinite(size):
                found.append((-size, one, other))
    chosen: list[tuple[int, int]] = []
    taken: Sequence[int] = ()
    for _, one, other in sorted(found):
        wanted = sorted({*taken, one, other})
        if len(chosen) < most and len(wanted) <= most_columns:
            chosen.append((one, other))
            taken = wanted
    return chosen
