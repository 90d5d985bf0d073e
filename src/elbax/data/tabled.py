"""A user's table as a data set: which rows train, and the scaling that those say."""

from typing import Any

import numpy as np

from elbax._errors import DataError
from elbax.data.dataset import Dataset
from elbax.tables.raw import Raw
from elbax.tables.schema import Schema
from elbax.tables.table import Table, rescaled, table_of


def table_dataset(
    raw: Raw,
    name: str,
    split: Any = None,
    *,
    types: Any = None,
    schema: Schema | None = None,
    unseen: str = "error",
) -> Dataset:
    """A data set of a table's rows.

    Kinds and categories are those of all rows, center and scale those of the training rows alone.

    Args:
        raw: the cells.
        name: what to call the data.
        split: a function of the rows' numbers `[N]` to those that train and those that test, by
            "train" and "test"; all rows are both if omitted.
        types: kinds by column, where they are not decided by the cells.
        schema: that of a model; nothing is decided anew then.
        unseen: what a category is that the schema does not have, "error" or "missing".
    """
    table = table_of(raw, types=types, schema=schema, unseen=unseen)
    if split is None:
        return _dataset(table, name, table.values, table.values, raw)
    rows = split(np.arange(len(raw)))
    if schema is None:
        table = rescaled(table, rows["train"])
    return _dataset(table, name, table.values[rows["train"]], table.values[rows["test"]], raw)


def _dataset(table: Table, name: str, train: np.ndarray, test: np.ndarray, raw: Raw) -> Dataset:
    if np.isnan(train).all():
        raise DataError(f"expected observed cells among the training rows of {raw.source}.")
    return Dataset(name=name, train=train, test=test, source=raw.source, schema=table.schema)
