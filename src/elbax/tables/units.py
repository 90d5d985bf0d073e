"""Between a user's cells and what a model sees: one number a cell, NaN where missing."""

from typing import Any

import numpy as np

from elbax._errors import DataError
from elbax.tables.kinds import check_numbers
from elbax.tables.raw import Cells, place, written
from elbax.tables.schema import REAL, Column, Schema

UNSEEN = ("error", "missing")


def to_model(cells: Cells, column: Column, unseen: str = "error") -> np.ndarray:
    """A column `[N]` as a model sees it, float64 with NaN where missing.

    Raises:
        DataError: a cell that the column cannot have.

    >>> from elbax.tables.raw import from_numbers
    >>> to_model(from_numbers("x", [1.0, np.nan, 3.0]), Column("x", "gaussian", center=2.0))
    array([-1., nan,  1.])
    """
    if column.is_category:
        return _indices(cells, column, unseen)
    check_numbers(cells, column.kind) if not cells.missing.all() else None
    numbers = np.full(len(cells.missing), np.nan) if cells.numbers is None else cells.numbers
    if column.is_count:
        return numbers
    if column.kind == "log-normal":
        numbers = np.log(numbers)
    return (numbers - column.center) / column.scale


def _indices(cells: Cells, column: Column, unseen: str) -> np.ndarray:
    known = {name: index for index, name in enumerate(column.categories)}
    texts = _as_categories(cells, column)
    found = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        if cells.missing[row]:
            continue
        index = known.get(text)
        if index is None and unseen == "error":
            names = ", ".join(column.categories[:5])
            more = ", .." if len(column.categories) > 5 else ""
            raise DataError(
                f"expected one of the known categories ({names}{more}); got '{text}' in "
                f"{place(row, cells.name)}. Correct it, or take the unseen for missing (unseen "
                "missing)."
            )
        found[row] = np.nan if index is None else index
    return found


def _as_categories(cells: Cells, column: Column) -> np.ndarray:
    """The cells as the schema writes its categories: whole numbers may arrive as reals."""
    if cells.numbers is None or cells.values == column.values:
        if cells.numbers is not None:
            return np.array([written(one, cells.values) for one in cells.numbers], dtype=object)
        return cells.written
    if column.values in ("int", "float", "bool"):
        whole = column.values != "float" and bool(
            np.all(cells.missing | (cells.numbers == np.rint(cells.numbers)))
        )
        values = column.values if whole or column.values == "float" else "float"
        return np.array([written(one, values) for one in cells.numbers], dtype=object)
    return cells.written


def to_user(values: np.ndarray, column: Column) -> np.ndarray:
    """What a model sees, `[..]`, in the user's units and kind: numbers, or objects for categories.

    Missing cells stay NaN, or None where cells are texts.

    >>> to_user(np.array([-1.0, 1.0]), Column("x", "gaussian", center=2.0))
    array([1., 3.])
    >>> to_user(np.array([1.0, 0.0]), Column("x", "binary", "text", ("no", "yes"))).tolist()
    ['yes', 'no']
    """
    values = np.asarray(values, np.float64)
    if column.is_category:
        return _named(values, column)
    if column.is_count:
        return np.rint(values)
    numbers = column.center + column.scale * values
    return np.exp(numbers) if column.kind == "log-normal" else numbers


def in_units(values: np.ndarray, schema: Schema) -> dict[str, np.ndarray]:
    """Rows `[N, C]` as a model gives them, drawn or in expectation, by column as a user has them.

    Counts are whole; of a category the likelier name, where a model gives its probability.

    >>> from elbax.tables.schema import Schema
    >>> schema = Schema((Column("age", "poisson", "int"),))
    >>> in_units(np.array([[3.2]]), schema)["age"].tolist()
    [3.0]
    """
    columns = enumerate(schema.columns)
    return {
        one.name: to_user(np.rint(values[:, i]) if one.is_category else values[:, i], one)
        for i, one in columns
    }


def _named(values: np.ndarray, column: Column) -> np.ndarray:
    names = [_as(name, column.values) for name in column.categories]
    if column.values == "float" or column.values == "int":
        table = np.array([*names, np.nan], np.float64)
    else:
        table = np.array([*names, None], dtype=object)
    index = np.where(np.isnan(values), len(names), np.nan_to_num(values)).astype(int)
    return table[index]


def _as(name: str, values: str) -> Any:
    if values == "bool":
        return name == "true"
    return name if values == "text" else float(name)


def log_jacobian(column: Column) -> tuple[float, float]:
    """(a, b) such that log |du/dx| = a + b u: what takes a density of u to one of x, in nats.

    >>> log_jacobian(Column("x", "gaussian", center=3.0, scale=1.0))
    (-0.0, 0.0)
    """
    if column.kind in REAL:
        return -float(np.log(column.scale)), 0.0
    if column.kind == "log-normal":  # u = (log x - center) / scale
        return -float(np.log(column.scale)) - column.center, -column.scale
    return 0.0, 0.0
