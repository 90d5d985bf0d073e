"""The comparison of a run folder as a file for a paper or a spreadsheet."""

from pathlib import Path

from elbax._files import write_atomically
from elbax.report import tables
from elbax.runs.comparison import comparison
from elbax.runs.export import check_ending, comparison_csv
from elbax.runs.read import per_datum_or_none, read_results

TABLES = (".csv", ".md", ".tex")


def write_table(folder: str | Path, out: str | Path) -> None:
    """Write the comparison of a run folder's methods.

    A .csv has one row per method and metric, in full precision: the mean over the runs that did
    not diverge, and as its error the sd over seeds (ddof 1) or, of one run, the standard error
    over the data. A .md or .tex has the table as printed.

    Args:
        folder: what `elbax evaluate` wrote results into.
        out: a .csv, a .md or a .tex.

    Raises:
        InputError: no results there.
        OutputError: the file cannot be written.
    """
    path = check_ending(str(out), TABLES, "the file of the table")
    results = read_results(folder)
    table = comparison(results, per_datum_or_none(Path(folder), results))
    if path.suffix == ".csv":
        content = comparison_csv(results)
    elif path.suffix == ".md":
        content = f"{tables.to_markdown(table)}\n".encode()
    else:
        content = tables.to_latex(table).encode()
    write_atomically(path, content)
