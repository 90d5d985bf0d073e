"""Cells as they arrive, from frames, arrays or texts: numbers or texts, and which are there."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from elbax._errors import DataError, ElbaxWarning

NA = ("", "NA", "NaN", "nan", "null", "?")  # what a text says where nothing was observed
_MOSTLY = 0.9  # of the cells are numbers: then a text among them is a slip


@dataclass(frozen=True, eq=False)
class Cells:
    """One column of cells.

    Attributes:
        name: of the column.
        numbers: `[N]` float64, NaN where missing; None for texts.
        texts: `[N]` texts, any where missing; None for numbers that came as such.
        missing: `[N]`, where nothing was observed.
        values: float, int, bool or text: what was read.
    """

    name: str
    numbers: np.ndarray | None
    texts: np.ndarray | None
    missing: np.ndarray
    values: str

    @cached_property
    def written(self) -> np.ndarray:
        """Every cell as text, numbers in the shortest way that reads back the same."""
        if self.numbers is None:
            assert self.texts is not None
            return self.texts
        return np.array([written(one, self.values) for one in self.numbers], dtype=object)

    def rows(self, chosen: np.ndarray) -> "Cells":
        """Some rows of it."""
        numbers = None if self.numbers is None else self.numbers[chosen]
        texts = None if self.texts is None else self.texts[chosen]
        return Cells(self.name, numbers, texts, self.missing[chosen], self.values)


@dataclass(frozen=True, eq=False)
class Raw:
    """The columns of a table as they arrived.

    Raises:
        DataError: no columns, no rows, two columns of one name, or no cell that was observed.
    """

    columns: tuple[Cells, ...]
    source: str = "the table"

    def __post_init__(self) -> None:
        """Refuse what is no table."""
        names = self.names
        if not names or not len(self):
            raise DataError(
                f"expected {self.source} with rows and columns; got {len(self)} rows of "
                f"{len(names)} columns."
            )
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(
                f"expected columns of different names in {self.source}; '{twice[0]}' is there "
                "twice. Rename one."
            )
        if all(column.missing.all() for column in self.columns):
            raise DataError(
                f"expected observed cells in {self.source}; all of its {len(self)} rows of "
                f"{len(names)} columns are missing."
            )

    def __len__(self) -> int:
        """How many rows."""
        return len(self.columns[0].missing) if self.columns else 0

    @property
    def names(self) -> list[str]:
        """Of the columns, in order."""
        return [column.name for column in self.columns]

    def rows(self, chosen: np.ndarray) -> "Raw":
        """Some rows of it."""
        return Raw(tuple(column.rows(chosen) for column in self.columns), self.source)


def written(number: float, values: str) -> str:
    """A number as text.

    >>> written(3.0, "int"), written(0.5, "float"), written(1.0, "bool")
    ('3', '0.5', 'true')
    """
    if np.isnan(number):
        return ""
    if values == "bool":
        return "true" if number else "false"
    return str(int(number)) if values == "int" else repr(float(number))


def warn(sentence: str) -> None:
    """Say something about a table that is allowed but may not be meant; the CLI prints it."""
    warnings.warn(sentence, ElbaxWarning, stacklevel=3)


def place(row: int, name: str) -> str:
    """Where a cell is, in words."""
    return f"row {row} (the first is 0), column '{name}'"


def from_numbers(name: str, numbers: Any, values: str | None = None) -> Cells:
    """A column of numbers, missing where NaN.

    Raises:
        DataError: one is infinite.
    """
    found = np.asarray(numbers, np.float64)
    if np.isinf(found).any():
        row = int(np.isinf(found).argmax())
        raise DataError(
            f"expected finite numbers; got {found[row]} in {place(row, name)}. Leave the cell "
            "empty where nothing was observed."
        )
    missing = np.isnan(found)
    seen = found[~missing]
    whole = bool(len(seen)) and bool(np.all(seen == np.rint(seen)) and np.abs(seen).max() < 2**53)
    return Cells(name, found, None, missing, values or ("int" if whole else "float"))


def from_texts(name: str, texts: Sequence[str | None]) -> Cells:
    """A column of texts: numbers where all that was observed are.

    Raises:
        DataError: a text among numbers, of which nearly all are.
    """
    found = np.array(["" if text is None else str(text).strip() for text in texts], dtype=object)
    missing = np.isin(found, NA)
    seen = found[~missing]
    as_numbers = np.array([_number(text) for text in seen], np.float64)
    fits = np.array([text_number is not None for text_number in map(as_number, seen)], bool)
    if fits.all():
        numbers = np.full(len(found), np.nan)
        numbers[~missing] = as_numbers
        column = from_numbers(name, numbers)
        return Cells(name, column.numbers, found, column.missing, column.values)
    if fits.mean() >= _MOSTLY:
        row = int(np.flatnonzero(~missing)[~fits][0])
        raise DataError(
            f"expected numbers, as nearly all cells of the column are; got '{found[row]}' in "
            f"{place(row, name)}. Correct it, leave it empty if nothing was observed, or say "
            f"types {name}=categorical."
        )
    return Cells(name, None, found, missing, "text")


def as_number(text: str) -> float | None:
    """The number that a text is, if it is one.

    >>> as_number("2.5"), as_number("1_000"), as_number("two")
    (2.5, None, None)
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _number(text: str) -> float:
    found = as_number(text)
    return np.nan if found is None else found


def from_array(array: Any, names: Sequence[str] | None = None, source: str = "the array") -> Raw:
    """An array `[N, columns]` of numbers or objects, missing where NaN or None."""
    if isinstance(array, np.ma.MaskedArray):
        array = np.where(np.ma.getmaskarray(array), np.nan, np.asarray(array, np.float64))
    array = np.asarray(array)
    if array.ndim != 2:
        raise DataError(
            f"expected a table of shape [rows, columns]; got shape {list(array.shape)}. Give one "
            "row per datum."
        )
    names = [f"x{i}" for i in range(array.shape[1])] if names is None else list(map(str, names))
    if len(names) != array.shape[1]:
        raise DataError(f"expected {array.shape[1]} names of columns; got {len(names)}.")
    return Raw(tuple(_column(name, array[:, i]) for i, name in enumerate(names)), source)


def from_mapping(columns: Mapping[str, Any]) -> Raw:
    """Columns by name, arrays or lists of one length."""
    arrays = {str(name): np.asarray(column) for name, column in columns.items()}
    lengths = {array.shape for array in arrays.values()}
    if len(lengths) > 1 or any(len(shape) != 1 for shape in lengths):
        raise DataError(
            "expected columns of one length, with one axis; got "
            f"{', '.join(str(list(shape)) for shape in sorted(lengths))}."
        )
    return Raw(tuple(_column(name, array) for name, array in arrays.items()))


def _column(name: str, array: np.ndarray) -> Cells:
    if array.dtype.kind == "b":
        return from_numbers(name, array, "bool")
    if array.dtype.kind in "iuf":
        return from_numbers(name, array)
    if array.dtype.kind not in "OUST":
        raise DataError(
            f"expected numbers, booleans or texts in column '{name}'; got {array.dtype}. Make "
            "numbers of dates, such as days since a first one."
        )
    cells = [None if _is_none(one) else one for one in array.tolist()]
    seen = [one for one in cells if one is not None]
    if seen and all(isinstance(one, bool | np.bool_) for one in seen):
        return from_numbers(name, [np.nan if one is None else float(one) for one in cells], "bool")
    if all(isinstance(one, int | float | np.number) for one in seen):
        return from_numbers(name, [np.nan if one is None else float(one) for one in cells])
    return from_texts(name, [None if one is None else str(one) for one in cells])


def _is_none(cell: Any) -> bool:
    """None, NaN, and what pandas and polars have for them (NA, NaT), which equal nothing."""
    if cell is None:
        return True
    try:
        return bool(cell != cell)
    except TypeError:  # pandas.NA says neither
        return True


def from_frame(frame: Any) -> Raw:
    """A frame in memory that narwhals knows: pandas, polars, pyarrow and others.

    Raises:
        DataError: no such frame, or a column of dates, lists and the like.
    """
    import narwhals as nw

    try:
        known = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"expected a table as a frame (pandas, polars, pyarrow), an array or a dictionary of "
            f"columns; got {type(frame).__name__}."
        ) from error
    names = list(map(str, known.columns))
    columns = [known[:, index] for index in range(len(names))]
    return Raw(tuple(_series(*pair) for pair in zip(names, columns, strict=True)), "the frame")


def _series(name: str, series: Any) -> Cells:
    if series.dtype.is_temporal() or series.dtype.is_nested():
        raise DataError(
            f"expected numbers, booleans or texts in column '{name}'; got {series.dtype}. Make "
            "numbers of dates, such as days since a first one."
        )
    if series.dtype.is_numeric() and not series.is_null().any():
        return _column(name, np.asarray(series.to_numpy(), np.float64))
    return _column(name, np.array([*series.to_list(), None], dtype=object)[:-1])
