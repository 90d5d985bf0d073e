"""Tables in files: CSV and Parquet, read as texts or numbers and written back whole."""

import csv
import io
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import DataError, InputError
from elbax._files import write_atomically
from elbax._reading import DAMAGED, UnreadableError, check_size, read_bytes
from elbax.tables.raw import NA, Raw, as_number, from_frame, from_texts
from elbax.tables.schema import Schema
from elbax.tables.table import Table, table_of

ENDINGS = (".csv", ".tsv", ".txt", ".parquet")
_CELL = 16  # bytes that a cell takes at least
_DELIMITERS = ",;\t"


def read_table(
    path: str | Path,
    *,
    header: bool | None = None,
    types: Mapping[str, str] | str | None = None,
    schema: Schema | None = None,
    unseen: str = "error",
) -> Table:
    r"""Read a CSV or Parquet file as a table; needs the extra `elbax[tables]`.

    A cell is missing where it is empty, NA, NaN, null or ?.

    Args:
        path: the file: .csv, .tsv or .txt with commas, semicolons or tabs, or .parquet.
        header: whether the first line names the columns; by default it does where it holds
            texts alone, no number and no hole. Without one the columns are x0, x1, ..
        types: see `elbax.table_of`.
        schema: that of a model.
        unseen: see `elbax.table_of`.

    Raises:
        DataError: no such file, or cells that cannot be used, naming row and column.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.csv"
    >>> _ = path.write_text("height,smokes\n1.75,yes\n?,no\n1.62,yes\n")
    >>> read_table(path).mask.mean(axis=0).round(2).tolist()
    [0.67, 1.0]
    """
    raw = read_raw(Path(path), header)
    return table_of(raw, types=types, schema=schema, unseen=unseen)


def is_table(path: Path) -> bool:
    """Whether a file is one of those by its name."""
    return path.suffix.lower() in ENDINGS


def read_raw(path: Path, header: bool | None = None) -> Raw:
    """The cells of a file."""
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise DataError(f"expected a table; '{path}' does not exist. Check the path.") from None
    except UnreadableError as error:
        raise DataError(f"cannot read '{path}' ({error}).") from None
    try:
        if path.suffix.lower() == ".parquet":
            return Raw(_parquet(content).columns, f"'{path}'")
        return Raw(_csv(content, header), f"'{path}'")
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (UnreadableError, *DAMAGED) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot read '{path}' as a table ({reason}).") from None


def arrow() -> Any:
    """The module pyarrow.

    Raises:
        InputError: it is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise InputError(
            "reading and writing tables needs pyarrow; install it with pip install 'elbax[tables]'."
        ) from None
    return pyarrow


def _parquet(content: bytes) -> Raw:
    arrow()
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(io.BytesIO(content))
    about = file.metadata
    check_size("its content", about.num_rows * about.num_columns * _CELL)
    check_size(
        "its content", sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    )
    return from_frame(file.read(use_threads=False))


def _csv(content: bytes, header: bool | None) -> tuple:
    arrow()
    from pyarrow import csv as arrow_csv
    from pyarrow import string

    first, delimiter = _first_line(content)
    check_size("its cells", content.count(delimiter.encode()) * _CELL)
    named = header if header is not None else _is_header(first)
    names = [f"f{i}" for i in range(len(first))]
    found = arrow_csv.read_csv(
        io.BytesIO(content),
        # One thread, so that a bad row is named.
        read_options=arrow_csv.ReadOptions(use_threads=False, autogenerate_column_names=True),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, string()), strings_can_be_null=False
        ),
    )
    columns = [column.to_pylist() for column in found.columns]
    if named:
        titles = [column[0].strip() for column in columns]
        columns = [column[1:] for column in columns]
        if "" in titles:
            raise DataError(
                f"expected a name for every column in the header; column {titles.index('')} (the "
                "first is 0) has none. Name it, or say that there is no header."
            )
    else:
        titles = [f"x{i}" for i in range(len(columns))]
    return tuple(from_texts(*pair) for pair in zip(titles, columns, strict=True))


def _first_line(content: bytes) -> tuple[list[str], str]:
    """The cells of the first line that has any, and what stands between them."""
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")[: 2**20].decode(errors="replace")
    line = text.splitlines()[0] if text else ""
    delimiter = max(_DELIMITERS, key=line.count)
    cells = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
    if not cells:
        raise UnreadableError("it is empty")
    return [cell.strip() for cell in cells], delimiter


def _is_header(cells: list[str]) -> bool:
    return all(cell not in NA and as_number(cell) is None for cell in cells)


def write_columns(path: Path, columns: Mapping[str, np.ndarray], whole: Set[str] = frozenset()):
    """Write columns as .csv or .parquet, in one step; what is not there stays empty.

    Args:
        path: the file.
        columns: arrays of one length by name.
        whole: the names of those to write as whole numbers where they can be.
    """
    pyarrow = arrow()
    arrays = {
        name: _arrow_column(pyarrow, column, name in whole) for name, column in columns.items()
    }
    table = pyarrow.table(arrays)
    buffer = io.BytesIO()
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet as parquet

        parquet.write_table(table, buffer)
    else:
        from pyarrow import csv as arrow_csv

        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        options = arrow_csv.WriteOptions(quoting_style="needed", delimiter=delimiter)
        arrow_csv.write_csv(table, buffer, options)
    write_atomically(path, buffer.getvalue())


def _arrow_column(pyarrow: Any, column: np.ndarray, whole: bool) -> Any:
    if column.dtype == object:
        return pyarrow.array(column.tolist())
    if column.dtype.kind == "f":
        seen = column[~np.isnan(column)]
        if whole and np.all(seen == np.rint(seen)):
            cells = [None if np.isnan(one) else int(one) for one in column]
            return pyarrow.array(cells, pyarrow.int64())
        return pyarrow.array(column, from_pandas=True)
    return pyarrow.array(column)
