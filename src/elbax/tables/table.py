"""A table as a model sees it: values with NaN for holes, and the schema that says what they are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from elbax._errors import DataError, InputError, unknown
from elbax.tables.kinds import column_of, with_scaling
from elbax.tables.raw import Raw, from_array, from_frame, from_mapping, warn
from elbax.tables.schema import Schema, checked_types, described_lines, parse_types
from elbax.tables.units import UNSEEN, to_model, to_user


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells, some of them missing, in the units of a model.

    Attributes:
        values: `[N, columns]` float32, NaN where missing: reals standardized by what was observed
            (positive ones on the log scale), counts as they are, categories by index.
        schema: kinds, categories, names and scaling of the columns.
        raw: the cells as they came, ignored columns too.

    >>> table = table_of({"dose": [1.5, np.nan, 2.5], "sick": ["yes", "no", None]})
    >>> table
    Table(3 rows, 2 columns, 33% of the cells missing)
      dose: gaussian, numbers that are not whole
      sick: binary, 2 different texts
    >>> table.columns()["sick"].tolist()
    ['yes', 'no', None]
    """

    values: Float[np.ndarray, "n c"]
    schema: Schema
    raw: Raw

    def __repr__(self) -> str:
        """What its columns are, rather than the cells."""
        rows, columns = self.values.shape
        share = 1 - self.mask.mean()
        head = f"Table({rows} rows, {columns} columns, {share:.0%} of the cells missing)"
        return "\n".join([head, *(f"  {line}" for line in described_lines(self.schema))])

    def __len__(self) -> int:
        """How many rows."""
        return len(self.values)

    @property
    def mask(self) -> Bool[np.ndarray, "n c"]:
        """Where cells were observed; a category has one cell, whatever its encoding."""
        return ~np.isnan(self.values)

    def columns(self, values: Float[np.ndarray, "n c"] | None = None) -> dict[str, np.ndarray]:
        """The columns by name in the user's units and kinds, ignored ones as they came.

        Args:
            values: what to show in the place of the table's own values, such as imputed ones;
                where the table has a cell, that cell stays as it came.
        """
        filled = self.values if values is None else values
        shown: dict[str, np.ndarray] = {}
        places = {name: index for index, name in enumerate(self.schema.names)}
        for cells in self.raw.columns:
            if cells.name in places:
                index = places[cells.name]
                column = self.schema.columns[index]
                shown[cells.name] = _merged(cells, to_user(filled[:, index], column), column)
            else:
                shown[cells.name] = _as_came(cells)
        return shown

    def rows(self, chosen: np.ndarray) -> "Table":
        """Some rows, by index or by truth."""
        return Table(self.values[chosen], self.schema, self.raw.rows(chosen))


def _merged(cells, found: np.ndarray, column) -> np.ndarray:
    """What is found in the holes of a column, beside the cells as they came."""
    observed = ~cells.missing
    merged = found.astype(object) if column.values in ("text", "bool") else found.copy()
    if not column.is_category and cells.numbers is not None:
        merged[observed] = cells.numbers[observed]
    return merged


def _as_came(cells) -> np.ndarray:
    if cells.numbers is not None and cells.values != "bool":
        return cells.numbers
    shown = cells.written.astype(object)
    if cells.values == "bool":
        shown = shown == "true"
        shown = shown.astype(object)
    shown[cells.missing] = None
    return shown


def table_of(
    data: Any,
    *,
    types: Mapping[str, str] | str | None = None,
    schema: Schema | None = None,
    unseen: str = "error",
    names: Any = None,
) -> Table:
    """A table from a frame, a dictionary of columns or an array with NaN.

    Args:
        data: a frame that narwhals knows (pandas, polars, pyarrow), a dictionary of columns, an
            array `[N, columns]` with NaN or None where missing, or a `Table`.
        types: kinds by column, or a text such as "age=count,sex=categorical": real (gaussian or
            student), binary, categorical, count (poisson or negative-binomial), positive
            (log-normal), ignore, or auto, which decides by the cells and is usual.
        schema: that of a model: its columns have to be there, and nothing is decided anew.
        unseen: what a category that the schema does not have is: an error, or missing.
        names: of an array's columns; x0, x1, .. if omitted.

    Raises:
        DataError: cells or columns that cannot be used; the sentence names row and column.

    >>> table_of(np.array([[1.5, np.nan], [2.5, 3.25], [3.5, 4.25]])).values.round(1)
    array([[-1.2,  nan],
           [ 0. , -1. ],
           [ 1.2,  1. ]], dtype=float32)
    """
    if unseen not in UNSEEN:
        raise InputError(unknown("unseen", unseen, UNSEEN))
    raw = data.raw if isinstance(data, Table) else _raw_of(data, names)
    if schema is not None:
        if types:
            raise InputError("expected types or a schema, which has its own; got both.")
        return _under(raw, schema, unseen)
    asked = parse_types(types) if isinstance(types, str) else checked_types(dict(types or {}))
    return _fitted(raw, asked)


def _raw_of(data: Any, names: Any) -> Raw:
    if isinstance(data, Raw):
        return data
    if isinstance(data, Mapping):
        return from_mapping(data)
    if isinstance(data, np.ndarray | list | tuple):
        return from_array(data, names)
    return from_frame(data)


def _fitted(raw: Raw, asked: dict[str, str]) -> Table:
    """A table with a schema of its own."""
    for name in asked:
        if name not in raw.names:
            raise DataError(
                f"expected types for columns of {raw.source} ({', '.join(raw.names[:8])}"
                f"{', ..' if len(raw.names) > 8 else ''}); got '{name}'."
            )
    columns, ignored, empty = [], [], []
    for cells in raw.columns:
        column = column_of(cells, asked.get(cells.name, "auto"))
        if column is not None:
            columns.append(column)
            continue
        ignored.append(cells.name)
        if asked.get(cells.name) != "ignore":
            empty.append(cells.name)
    if empty:
        warn(
            f"{raw.source}: {_names(empty)} without any observed cell; left out of the model, and "
            "left empty where holes are filled."
        )
    schema = Schema(tuple(columns), tuple(ignored))
    return _table(raw, schema, "error")


def _under(raw: Raw, schema: Schema, unseen: str) -> Table:
    """A table under a model's schema, its columns in the model's order."""
    there = dict(zip(raw.names, raw.columns, strict=True))
    if lacking := [name for name in schema.names if name not in there]:
        raise DataError(
            f"expected the columns of the model in {raw.source}; {_names(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} not there. Add "
            f"{'it' if len(lacking) == 1 else 'them'}, with empty cells where nothing is known."
        )
    known = {*schema.names, *schema.ignored}
    if extra := [name for name in raw.names if name not in known]:
        raise DataError(
            f"expected only columns that the model knows in {raw.source}; got {_names(extra)} "
            "too. Leave out what it was not trained on."
        )
    empty = [c.name for c in schema.columns if there[c.name].missing.all()]
    if empty:
        warn(f"{raw.source}: {_names(empty)} without any observed cell; nothing is known there.")
    late = [c.name for c in schema.columns if c.complete and there[c.name].missing.any()]
    if late:
        warn(
            f"{raw.source}: cells are missing in {_names(late)}, where none was missing when the "
            "model was trained; what the encoder makes of such holes it never saw."
        )
    return _table(raw, schema, unseen)


def _table(raw: Raw, schema: Schema, unseen: str) -> Table:
    there = dict(zip(raw.names, raw.columns, strict=True))
    values = [to_model(there[column.name], column, unseen) for column in schema.columns]
    table = Table(np.stack(values, axis=1).astype(np.float32), schema, raw)
    if empty := int((~table.mask.any(axis=1)).sum()):
        row = int((~table.mask.any(axis=1)).argmax())
        warn(
            f"{raw.source}: {empty} row{'s' * (empty != 1)} without any observed cell, the first "
            f"row {row} (from 0); what is said of them is the model's marginal."
        )
    return table


def rescaled(table: Table, chosen: np.ndarray) -> Table:
    """The table with center and scale of some of its rows, such as those that train.

    A column of which these rows say nothing keeps its own.
    """
    there = dict(zip(table.raw.names, table.raw.columns, strict=True))
    columns = [with_scaling(one, there[one.name].rows(chosen)) for one in table.schema.columns]
    schema = replace(table.schema, columns=tuple(columns))
    values = [to_model(there[column.name], column) for column in columns]
    return Table(np.stack(values, axis=1).astype(np.float32), schema, table.raw)


def _names(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"
