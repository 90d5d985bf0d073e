"""Which kind a column is, decided from its cells or as its user says; and why, in words."""

from dataclasses import replace

import numpy as np

from elbax._errors import DataError
from elbax.tables.raw import Cells, place
from elbax.tables.schema import COUNTS, REAL, Column

FEW = 10  # distinct whole numbers, up to which they are taken for codes
MOST_CATEGORIES = 256
_COUNT_MOST = 10_000  # larger whole numbers are measured rather than counted
_HEAVY = 3.0  # excess kurtosis from which a real column has outliers
_SKEWED = 1.0  # skewness from which positive numbers are looked at on a log scale


def column_of(cells: Cells, asked: str = "auto") -> Column | None:
    """The column that a model sees; None where it is to be ignored.

    Args:
        cells: as they arrived.
        asked: a kind, a family of kinds, or auto.

    Raises:
        DataError: cells that the kind does not have, or a column that never changes under a kind
            of real numbers.

    >>> from elbax.tables.raw import from_numbers
    >>> column = column_of(from_numbers("age", [30, 41, 52, 28, 66, 70, 33, 35, 47, 59, 61, 90]))
    >>> column.kind, column.values
    ('negative-binomial', 'int')
    """
    if asked == "ignore" or (asked == "auto" and cells.missing.all()):
        return None
    if cells.missing.all():
        raise DataError(f"expected observed cells in column '{cells.name}'; all are missing.")
    kind, why = _auto(cells) if asked == "auto" else (asked, "as asked")
    kind, why = _member(cells, kind, why)
    if kind in ("binary", "categorical"):
        return _categories(cells, kind, why)
    return _numbers(cells, kind, why)


def _auto(cells: Cells) -> tuple[str, str]:
    """A kind or a family, and why."""
    if cells.numbers is None:
        count = len(_distinct(cells))
        return _named(cells, count, f"{count} different texts")
    seen = cells.numbers[~cells.missing]
    distinct = np.unique(seen)
    if len(distinct) == 2 and cells.values != "float":
        return "binary", f"two values, {' and '.join(_distinct(cells)[:2])}"
    if len(distinct) == 1:
        raise _constant(cells)
    if cells.values == "int" and seen.min() >= 0:
        if len(distinct) <= FEW:
            return "categorical", f"only {len(distinct)} different whole numbers, as codes have"
        if seen.max() <= _COUNT_MOST and seen.var() >= seen.mean() / 2:
            return "count", f"whole numbers from {seen.min():g} to {seen.max():g}"
        return "real", "whole numbers, too large or too alike for counts"
    if seen.min() > 0 and _skewness(seen) > _SKEWED > abs(_skewness(np.log(seen))):
        return "log-normal", f"above 0 and skewed ({_skewness(seen):.1f}), its logarithm is not"
    return "real", "numbers that are not whole" if cells.values == "float" else "below 0 too"


def _named(cells: Cells, count: int, why: str) -> tuple[str, str]:
    if count > MOST_CATEGORIES:
        raise DataError(
            f"expected at most {MOST_CATEGORIES} categories in column '{cells.name}'; got {count} "
            f"different texts, as names or dates have. Leave it out: types {cells.name}=ignore."
        )
    return ("binary" if count == 2 else "categorical"), why


def _member(cells: Cells, kind: str, why: str) -> tuple[str, str]:
    """Of a family, the kind that the data ask for."""
    if kind == "positive":
        return "log-normal", why
    if kind not in ("count", "real"):
        return kind, why
    seen = _checked_numbers(cells, kind)
    if kind == "count":
        wide = seen.var() > seen.mean()
        reason = "vary more than their mean" if wide else "vary no more than their mean"
        return COUNTS[1 if wide else 0], f"{why}, which {reason}"
    heavy = seen.std() > 0 and _kurtosis(seen) > _HEAVY
    return REAL[1 if heavy else 0], f"{why}; with outliers" if heavy else why


def _numbers(cells: Cells, kind: str, why: str) -> Column:
    """A column of numbers with its scaling, which is that of the observed cells."""
    seen = _checked_numbers(cells, kind)
    if kind == "log-normal":
        seen = np.log(seen)
    elif kind in COUNTS:
        seen = np.log1p(seen)
    scale = float(seen.std())
    if kind not in COUNTS and scale <= 1e-12 * max(1.0, abs(float(seen.mean()))):
        raise _constant(cells)
    center = float(seen.mean())
    complete = not cells.missing.any()
    return Column(cells.name, kind, cells.values, (), center, scale or 1.0, complete, why)


def with_scaling(column: Column, cells: Cells) -> Column:
    """The column with the center and scale of other cells, if these vary."""
    if column.is_category or cells.missing.all():
        return column
    try:
        found = _numbers(cells, column.kind, column.why)
    except DataError:  # constant there
        return column
    return replace(column, center=found.center, scale=found.scale)


def _categories(cells: Cells, kind: str, why: str) -> Column:
    names = _distinct(cells)
    if kind == "binary" and len(names) != 2:
        raise DataError(
            f"expected two values in the binary column '{cells.name}'; got {len(names)}. Take "
            "categorical."
        )
    if len(names) == 1:
        raise _constant(cells)
    _named(cells, len(names), why)
    complete = not cells.missing.any()
    return Column(cells.name, kind, cells.values, tuple(names), complete=complete, why=why)


def _distinct(cells: Cells) -> list[str]:
    """The different cells as text; numbers in order of size."""
    if cells.numbers is None:
        assert cells.texts is not None
        return sorted(set(cells.texts[~cells.missing].tolist()))
    from elbax.tables.raw import written

    return [written(one, cells.values) for one in np.unique(cells.numbers[~cells.missing])]


def _checked_numbers(cells: Cells, kind: str) -> np.ndarray:
    """The observed numbers, all of which this kind has."""
    check_numbers(cells, kind)
    assert cells.numbers is not None
    return cells.numbers[~cells.missing]


def check_numbers(cells: Cells, kind: str) -> None:
    """Refuse cells that a kind of numbers does not have.

    Raises:
        DataError: naming the first row of them.
    """
    if cells.numbers is None:
        assert cells.texts is not None
        row = next(i for i, gone in enumerate(cells.missing) if not gone and _is_text(cells, i))
        raise DataError(
            f"expected numbers under the kind {kind}; got '{cells.texts[row]}' in "
            f"{place(row, cells.name)}. Correct it, or leave it empty if nothing was observed."
        )
    numbers = cells.numbers
    with np.errstate(invalid="ignore"):
        if kind in ("positive", "log-normal"):
            wrong, expected = numbers <= 0, "numbers above 0"
        elif kind in ("count", *COUNTS):
            wrong = (numbers < 0) | (numbers != np.rint(numbers))
            expected = "whole numbers from 0"
        else:
            return
    wrong &= ~cells.missing
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"expected {expected} under the kind {kind}; got {numbers[row]:g} in "
            f"{place(row, cells.name)}. Correct it, or take another kind: types "
            f"{cells.name}=real."
        )


def _is_text(cells: Cells, row: int) -> bool:
    assert cells.texts is not None
    try:
        float(cells.texts[row])
    except ValueError:
        return True
    return False


def _constant(cells: Cells) -> DataError:
    value = _distinct(cells)[0]
    return DataError(
        f"expected column '{cells.name}' to vary; every observed cell is {value}, of which no "
        f"density can be learned. Leave it out: types {cells.name}=ignore."
    )


def _skewness(seen: np.ndarray) -> float:
    return _moment(seen, 3)


def _kurtosis(seen: np.ndarray) -> float:
    return _moment(seen, 4) - 3


def _moment(seen: np.ndarray, order: int) -> float:
    spread = seen.std()
    return float(np.mean(((seen - seen.mean()) / spread) ** order)) if spread > 0 else 0.0
