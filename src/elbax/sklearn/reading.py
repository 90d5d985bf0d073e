"""What scikit-learn calls X as a table, and tables as what scikit-learn returns."""

import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
from sklearn.utils.validation import validate_data

from elbax._errors import DataError, InputError
from elbax.tables.raw import Cells, Raw, from_array, from_frame
from elbax.tables.schema import REAL, Schema, parse_types
from elbax.tables.table import Table
from elbax.tables.units import log_jacobian


def is_mixed(X: Any) -> bool:
    """Whether X is a frame with columns that are not numbers.

    >>> import pandas as pd
    >>> is_mixed(pd.DataFrame({"a": [1.0, 2.0]})), is_mixed(pd.DataFrame({"a": ["x", "y"]}))
    (False, True)
    """
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return False
    kinds = [frame[:, index].dtype for index in range(frame.shape[1])]
    return any(not kind.is_numeric() for kind in kinds)


def cells_of(estimator: Any, X: Any, *, reset: bool, missing_values: Any = np.nan) -> Raw:
    """The cells of X under scikit-learn's own checks, which know its names and its width.

    Args:
        estimator: gets `n_features_in_` and `feature_names_in_` where `reset`.
        X: an array or a frame of numbers with NaN, or a frame with texts too.
        reset: whether this is `fit`.
        missing_values: what stands in X for a hole, beside NaN.

    Raises:
        ValueError, TypeError: what scikit-learn refuses: infinity, sparse X, one row in `fit`.
        DataError: what no table has.
    """
    if is_mixed(X):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        raw = from_frame(X)
        if reset and len(raw) < 2:
            raise DataError(f"expected at least 2 rows; got {len(raw)} sample.")
        return raw if _is_nan(missing_values) else _with_holes(raw, missing_values)
    array = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        ensure_min_samples=2 if reset else 1,
    )
    if not _is_nan(missing_values):
        array = np.where(array == missing_values, np.nan, array)
    names = getattr(estimator, "feature_names_in_", None)
    return from_array(array, None if names is None else list(names), "X")


def _is_nan(value: Any) -> bool:
    return value is None or (isinstance(value, numbers.Real) and bool(np.isnan(float(value))))


def _with_holes(raw: Raw, value: Any) -> Raw:
    """The cells, those that are this value taken for holes."""
    columns = []
    for cells in raw.columns:
        found = cells.texts if cells.numbers is None else cells.numbers
        assert found is not None
        kept = [None if one == value or gone else one for one, gone in
                zip(found.tolist(), cells.missing, strict=True)]  # fmt: skip
        array = np.array([*kept, None], dtype=object)[:-1]
        columns.append(from_array(array[:, None], [cells.name]).columns[0])
    return Raw(tuple(columns), raw.source)


def never_varies(cells: Cells) -> bool:
    """Whether the observed cells of a column are all the same, or none was observed."""
    found = cells.texts if cells.numbers is None else cells.numbers
    assert found is not None
    return len(set(found[~cells.missing].tolist())) < 2


def types_of(types: Any, raw: Raw) -> dict[str, str]:
    """Kinds by column: numbers are real unless `types` says otherwise, the rest is decided.

    Args:
        types: None, "auto" (decide everything), a text such as "age=count", or kinds by name or by
            place.
        raw: the cells.

    >>> raw = from_array(np.array([[1.0, 2.0], [2.0, 5.0], [3.0, 4.0]]))
    >>> types_of({1: "count"}, raw)
    {'x0': 'real', 'x1': 'count'}
    """
    if isinstance(types, str) and types == "auto":
        return {}
    asked = parse_types(types) if isinstance(types, str) else (types or {})
    if not isinstance(asked, Mapping):
        raise InputError(f"expected types by column, a text, or 'auto'; got {types!r}.")
    found = {
        cells.name: "real"
        for cells in raw.columns
        if cells.numbers is not None and cells.values != "bool" and not cells.missing.all()
    }
    for name, kind in asked.items():
        is_place = isinstance(name, numbers.Integral)
        if is_place and not 0 <= int(name) < len(raw.names):
            raise InputError(f"expected types for columns 0 to {len(raw.names) - 1}; got {name}.")
        found[raw.names[int(name)] if is_place else str(name)] = kind
    return found


def shared(schema: Schema, missing: str) -> Schema:
    """A schema without what differs between tables of one shape, so that they share programs.

    Real columns lose their center and scale, with which their cells are standardized already; a
    program depends on the schema. What that does to densities is `offsets`.

    >>> from elbax.tables.schema import Column
    >>> shared(Schema((Column("dose", "gaussian", center=5.0, scale=2.0),)), "random").columns[0]
    Column(name='x0', kind='gaussian', values='float', categories=(), center=0.0, scale=1.0, \
complete=True, why='')
    """
    columns = []
    for place, column in enumerate(schema.columns):
        own = {} if column.kind not in REAL else {"center": 0.0, "scale": 1.0, "values": "float"}
        complete = column.complete or missing == "random"
        columns.append(replace(column, name=f"x{place}", why="", complete=complete, **own))
    return Schema(tuple(columns))


def offsets(schema: Schema) -> np.ndarray:
    """What each observed cell `[C]` adds to log p under `shared` to be in the user's units."""
    return np.array([log_jacobian(c)[0] if c.kind in REAL else 0.0 for c in schema.columns])


def stacked(columns: Mapping[str, np.ndarray], like: Any = None) -> Any:
    """Columns as one array `[N, C]` of float64, or as a frame of the library that `like` is of.

    >>> stacked({"a": np.array([1.0, 2.0]), "b": np.array([0.0, 5.0])}).tolist()
    [[1.0, 0.0], [2.0, 5.0]]
    """
    if like is None:
        return np.column_stack([np.asarray(column, np.float64) for column in columns.values()])
    frame = nw.from_native(like, eager_only=True)
    lists = {name: column.tolist() for name, column in columns.items()}
    return nw.from_dict(lists, backend=nw.get_native_namespace(frame)).to_native()


def under(table: Table, schema: Schema) -> Table:
    """The table under the schema that `shared` made of its own."""
    return Table(table.values, schema, table.raw)
