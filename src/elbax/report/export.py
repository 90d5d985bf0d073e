"""What was found of every datum, and the comparison, as files for other programs.

Numbers keep all the digits they were stored with: what is read back is what was written.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.report import metrics, tables
from elbax.report.results import by_method, number, read_results, spread

VALUES = (".csv", ".npz")
TABLES = (".csv", ".md", ".tex")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def check_ending(path: str, known: Sequence[str], option: str) -> Path:
    """The path, if it ends as one of the known kinds of file does.

    Raises:
        InputError: it does not.
    """
    if Path(path).suffix not in known:
        raise InputError(f"expected {option} to end in {', '.join(known)}; got '{path}'.")
    return Path(path)


def write_values(
    folder: str | Path, out: str | Path, *, means: Sequence[np.ndarray] | None = None
) -> dict[str, list[int]]:
    """Write the values of every datum that the evaluation of a run folder found.

    A .csv has one row per run and datum: `run, method, seed, datum, finite`, the bounds in nats
    (`iwae_1`, .., `log_p_hat` at the largest k), `ess`, `ssim` of images, and the posterior means
    `z1_1, z1_2, ..`, layer and unit from 1. An .npz has the same as arrays, runs on the first axis.

    Args:
        folder: what `elbax evaluate` wrote results into.
        out: a .csv or an .npz.
        means: posterior means of each layer `[R, N, Z]`; left out if omitted.

    Returns:
        The shape of every array.

    Raises:
        InputError: no evaluation there, or one that does not fit its results.json.
        OutputError: the file cannot be written.
    """
    path = check_ending(str(out), VALUES, "the file of values")
    results, arrays = _per_datum(Path(folder))
    for layer, array in enumerate(means or (), start=1):
        arrays[f"z{layer}"] = array
    if path.suffix == ".npz":
        named = {
            "runs": np.array([run["name"] for run in results["runs"]]),
            "ks": np.array(sorted(results["evaluation"]["ks"])),
            **arrays,
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **named)  # pyright: ignore[reportArgumentType]
        write_atomically(path, buffer.getvalue())
        return {name: list(array.shape) for name, array in named.items()}
    write_atomically(path, _csv(_rows(results, arrays)))
    return {name: list(array.shape) for name, array in arrays.items()}


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
    if path.suffix == ".csv":
        content = _csv(_comparison(results))
    elif path.suffix == ".md":
        content = f"{tables.to_markdown(tables.comparison(results))}\n".encode()
    else:
        content = to_latex(tables.comparison(results)).encode()
    write_atomically(path, content)


def to_latex(table: tables.Table) -> str:
    r"""A LaTeX tabular that needs no package, the best of a column in bold; notes as comments.

    >>> cell = tables.Cell
    >>> print(to_latex(tables.Table("A_1", ("method", "x"), ((cell("VAE"), cell("-1 ± 2")),))))
    % A_1
    \begin{tabular}{lr}
    \hline
    method & x \\
    \hline
    VAE & $-1 \pm 2$ \\
    \hline
    \end{tabular}
    <BLANKLINE>
    """
    notes = [*table.notes, *(["Bold: best of its column."] if table.marked else [])]
    comments = [f"% {' '.join(line.split())}" for line in (table.title, *notes)]
    head = " & ".join(_escaped(name) for name in table.columns)
    rows = [
        " & ".join([_escaped(row[0].text), *(_latex_cell(cell) for cell in row[1:])])
        for row in table.rows
    ]
    body = [rf"{line} \\" for line in rows]
    return "\n".join(
        [
            *comments,
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            *(r"\hline", rf"{head} \\", r"\hline", *body, r"\hline"),
            r"\end{tabular}",
            "",
        ]
    )


def _latex_cell(cell: tables.Cell) -> str:
    if cell.text == tables.NONE:
        return "--"
    text = cell.text.replace("±", r"\pm")
    numeric = not any(sign.isalpha() for sign in cell.text)
    if not numeric:
        text = _escaped(cell.text)
        return rf"\textbf{{{text}}}" if cell.best else text
    return rf"$\mathbf{{{text}}}$" if cell.best else f"${text}$"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def _per_datum(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """results.json, and the arrays of per_datum.npz if they belong to it."""
    results, path = read_results(folder), folder / "per_datum.npz"
    cure = f"run `elbax evaluate {folder}` again"
    try:
        with np.load(path, allow_pickle=False) as archive:
            known = ("bounds", "finite", "ess", "ssim")
            arrays = {name: archive[name] for name in known if name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read '{path}' ({error}); {cure}.") from None
    evaluation = results["evaluation"]
    num_runs, num_data = len(results["runs"]), evaluation.get("num_data")
    expected = (num_runs, len(evaluation["ks"]), num_data)
    if "finite" in arrays and arrays["finite"].ndim == 3:  # of every bound; a datum needs them all
        arrays["finite"] = arrays["finite"].all(axis=1)
    shapes = {name: array.shape for name, array in arrays.items() if name != "bounds"}
    fits = "bounds" in arrays and "finite" in arrays and arrays["bounds"].shape == expected
    if not fits or any(shape != (num_runs, num_data) for shape in shapes.values()):
        raise InputError(
            f"expected '{path}' to hold bounds {list(expected)} as its results.json says; got "
            f"{ {name: list(array.shape) for name, array in arrays.items()} }; {cure}."
        )
    return results, arrays


def _rows(results: dict[str, Any], arrays: dict[str, np.ndarray]) -> Iterator[Sequence[Any]]:
    names = list(metrics.bounds(results["evaluation"]["ks"]).values())
    plain = [name for name in ("ess", "ssim") if name in arrays]
    layers = [name for name in arrays if name.startswith("z")]
    units = [f"{name}_{unit + 1}" for name in layers for unit in range(arrays[name].shape[-1])]
    yield ["run", "method", "seed", "datum", "finite", *names, *plain, *units]
    for row, run in enumerate(results["runs"]):
        columns = [
            *arrays["bounds"][row],
            *(arrays[name][row] for name in plain),
            *(column for name in layers for column in arrays[name][row].T),
        ]
        for datum, finite in enumerate(arrays["finite"][row]):
            # NumPy's text of a number is the shortest that reads back as the same.
            values = [str(column[datum]) for column in columns]
            yield [run["name"], run["method"], run.get("seed"), datum, int(finite), *values]


def _comparison(results: dict[str, Any]) -> Iterator[Sequence[Any]]:
    yield ["method", "metric", "mean", "error", "error_is", "num_runs"]
    for method in by_method(results):
        for metric in metrics.every(results["evaluation"]["ks"]):
            over_seeds = spread([metrics.value(run, metric) for run in method.finished])
            if over_seeds.mean is None:
                continue
            error, kind = over_seeds.sd, "sd over seeds"
            if len(method.finished) == 1:
                errors = method.finished[0].get("standard_errors", {})
                error, kind = number(errors.get(metric.key)), "standard error over data"
            error, kind = ("", "") if error is None else (repr(error), kind)
            mean = repr(over_seeds.mean)
            yield [method.label, metric.key, mean, error, kind, over_seeds.count]


def _csv(rows: Iterator[Sequence[Any]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
