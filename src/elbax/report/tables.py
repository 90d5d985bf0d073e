"""The comparison of methods as a table, and the table as text, Markdown or HTML."""

import html
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elbax.report import metrics
from elbax.report.metrics import Metric
from elbax.report.results import Method, by_method, number, spread

WIDTH = 80  # columns of a terminal
NONE = "-"  # a metric that was not measured
_GAP = "  "  # between two columns of text
_PROSE = 28  # characters from which a cell is read as a sentence, not as a number
_LABEL = 36  # the widest method label that leaves room for numbers in WIDTH


@dataclass(frozen=True)
class Cell:
    """One entry of a table, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table to print; the first column names the rows.

    Attributes:
        title: one line.
        columns: one name per column.
        rows: one tuple of cells per row, as long as `columns`.
        notes: sentences that belong under the table: units, what +- is, runs left out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def marked(self) -> bool:
        """Whether any cell is marked as best."""
        return any(cell.best for row in self.rows for cell in row)


def comparison(results: dict[str, Any]) -> Table:
    """One row per method: the mean of each metric over seeds, +- their standard deviation.

    A method with a single seed has the standard error over the held-out data in that place, where
    it is known. Diverged runs are left out and counted in a note; metrics that no run has are
    left out. The best mean of a column is marked if at least two methods have one; means that
    print alike are equally good. For gaps the best is the one nearest to 0.

    Args:
        results: the content of `results.json`.
    """
    methods = by_method(results)
    shown = _measured(metrics.headline(results["evaluation"]["ks"]), results)
    columns = [
        _mark([_mean_cell(method, metric) for method in methods], metric) for metric in shown
    ]
    names = [Cell(method.label) for method in methods]
    kind = "Held-out comparison" if results["dataset"].get("held_out", True) else "Comparison"
    return Table(
        title=f"{kind} on {results['dataset'].get('name', 'the data')}",
        columns=("method", *(metric.name for metric in shown)),
        rows=tuple(zip(names, *columns, strict=True)),
        notes=(
            *_units(results, shown),
            *_plus_minus(methods),
            *_gaps(shown),
            *_left_out(methods),
            *_nonfinite(methods),
        ),
    )


def runs(results: dict[str, Any]) -> Table:
    """One row per run, diverged ones included: each metric +- its standard error over the data.

    Args:
        results: the content of `results.json`.
    """
    shown = _measured(metrics.every(results["evaluation"]["ks"]), results)
    rows = [
        (
            Cell(run["name"]),
            Cell(run["status"]),
            *(Cell(_by_layer([run], m) or _run_number(run, m)) for m in shown),
        )
        for run in results["runs"]
    ]
    return Table(
        title="Each run alone",
        columns=("run", "status", *(metric.name for metric in shown)),
        rows=tuple(rows),
        notes=("± is the standard error over the held-out data; for SSIM, the sd over images.",),
    )


def to_text(table: Table) -> str:
    """Plain text within 80 columns: columns that do not fit beside each other go below.

    The best of a column is marked with `*`.
    """
    # A column without a best has no place for the mark either.
    marked = [any(row[i].best for row in table.rows) for i in range(len(table.columns))]
    cells = [[_cut(row[0].text), *map(_marked, row[1:], marked[1:])] for row in table.rows]
    header = [name + " " * place for name, place in zip(table.columns, marked, strict=True)]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]
    lines = [*textwrap.wrap(table.title, WIDTH)]
    for panel in _panels(widths):
        body = [_line([line[i] for i in panel], [widths[i] for i in panel]) for line in cells]
        head = _line([header[i] for i in panel], [widths[i] for i in panel])
        lines += ["", head, "-" * max(len(line) for line in [head, *body]), *body]
    notes = [*table.notes, *_best("*", table)]
    return "\n".join([*lines, "", *(line for note in notes for line in textwrap.wrap(note, WIDTH))])


def _marked(cell: Cell, place: bool) -> str:
    return cell.text + (" *"[cell.best] if place else "")


def to_markdown(table: Table) -> str:
    """A GitHub-flavored Markdown table, the best of a column in bold."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [
        [f"**{_escape(cell.text)}**" if cell.best else _escape(cell.text) for cell in row]
        for row in table.rows
    ]
    rule = [":---", *("---:" for _ in table.columns[1:])]
    body = [line([_escape(name) for name in table.columns]), line(rule), *map(line, rows)]
    notes = [_escape(note) for note in (*table.notes, *_best("Bold", table))]
    return "\n".join([f"**{_escape(table.title)}**", "", *body, "", *notes])


def to_html(table: Table) -> str:
    """An HTML `<table>` with a caption, and its notes as a list; every text is escaped."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    body = "\n".join(f"<tr>{_th(row[0])}{''.join(map(_td, row[1:]))}</tr>" for row in table.rows)
    notes = "".join(f"<li>{html.escape(n)}</li>" for n in (*table.notes, *_best("Bold", table)))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(table.title)}">'
        f"<table>\n<caption>{html.escape(table.title)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n"
        f'<ul class="notes">{notes}</ul>'
    )


def _measured(columns: list[Metric], results: dict[str, Any]) -> list[Metric]:
    """Those metrics that at least one run has."""
    return [
        metric
        for metric in columns
        if any(number(metrics.value(run, metric)) is not None for run in results["runs"])
    ]


def _mean_cell(method: Method, metric: Metric) -> tuple[float | None, str]:
    """The mean over the finished runs, rounded as printed, and its text."""
    finished = method.finished
    over_seeds = spread([metrics.value(run, metric) for run in finished])
    error = over_seeds.sd
    if len(finished) == 1:
        error = number(finished[0].get("standard_errors", {}).get(metric.key))
    text = _by_layer(finished, metric) or _number(over_seeds.mean, error, metric)
    return (None if over_seeds.mean is None else round(over_seeds.mean, metric.decimals)), text


def _by_layer(runs: Sequence[dict[str, Any]], metric: Metric) -> str | None:
    """Active units of several layers as "26+7", means over the runs; None for one layer."""
    if metric.key != "active_units" or not runs:
        return None
    layers = [run.get("active_units") for run in runs]
    if not all(isinstance(counts, list) and len(counts) > 1 for counts in layers):
        return None
    means = [spread(counts).mean for counts in zip(*layers, strict=True)]
    decimals = 0 if len(runs) == 1 else metric.decimals
    return "+".join(NONE if mean is None else f"{mean:.{decimals}f}" for mean in means)


def _mark(column: list[tuple[float | None, str]], metric: Metric) -> list[Cell]:
    """Mark the best of one column."""
    scores = [mean if metric.best == "high" or mean is None else -abs(mean) for mean, _ in column]
    known = [known for known in scores if known is not None]
    best = max(known) if metric.best and len(known) > 1 else None
    return [
        Cell(text, best=best is not None and mine == best)
        for mine, (_, text) in zip(scores, column, strict=True)
    ]


def _number(value: Any, error: Any, metric: Metric) -> str:
    value, error = number(value), number(error)
    if value is None:
        return NONE
    decimals = 0 if metric.whole and error is None and value.is_integer() else metric.decimals
    text = f"{value:z.{decimals}f}"  # z: no "-0.00"
    return text if error is None else f"{text} ± {error:.{decimals}f}"


def _run_number(run: dict[str, Any], metric: Metric) -> str:
    return _number(metrics.value(run, metric), _run_error(run, metric), metric)


def _run_error(run: dict[str, Any], metric: Metric) -> Any:
    if metric.key == "ssim":
        return run.get("ssim_sd")
    return run.get("standard_errors", {}).get(metric.key)


def _units(results: dict[str, Any], shown: list[Metric]) -> list[str]:
    num_data = results["evaluation"].get("num_data")
    data = f", means over {num_data} held-out data" if num_data is not None else ""
    others = [m.name for m in shown if m.key in ("active_units", "ess", "ssim")]
    but = f"; not in nats: {', '.join(others)}" if others else ""
    return [f"In nats per datum{data}{but}."]


def _plus_minus(methods: list[Method]) -> list[str]:
    counts = {method.label: len(method.finished) for method in methods}
    single = [label for label, count in counts.items() if count == 1]
    several = {label: count for label, count in counts.items() if count > 1}
    notes = []
    if len(set(several.values())) == 1:
        notes.append(f"± is the sd over {next(iter(several.values()))} seeds (ddof 1).")
    elif several:
        seeds = ", ".join(f"{label} {count}" for label, count in several.items())
        notes.append(f"± is the sd over seeds (ddof 1): {seeds}.")
    if single:
        whose = f" for {', '.join(single)}" if several else ""
        notes.append(f"One seed{whose}: ± is the standard error over the data, not over seeds.")
    return notes


def _gaps(shown: list[Metric]) -> list[str]:
    return ["gap_k is IWAE-k minus log p-hat."] * any(m.best == "near 0" for m in shown)


def _left_out(methods: list[Method]) -> list[str]:
    lost = [
        f"{method.label} {len(method.runs) - len(method.finished)} of {len(method.runs)}"
        for method in methods
        if len(method.finished) < len(method.runs)
    ]
    return [f"Diverged runs, left out of the means: {', '.join(lost)}."] if lost else []


def _nonfinite(methods: list[Method]) -> list[str]:
    found = []
    for method in methods:
        counts: dict[str, int] = {}
        for run in method.finished:
            for metric, count in _counts(run.get("num_nonfinite")).items():
                counts[metric] = counts.get(metric, 0) + count
        lost = [f"{count} of {metric}" for metric, count in counts.items() if count]
        found += [f"{method.label} {', '.join(lost)}"] if lost else []
    what = "Values that were not finite (NaN or infinite), left out of the means"
    return [f"{what}: {'; '.join(found)}."] if found else []


def _counts(found: dict[str, int] | int | None) -> dict[str, int]:
    """Values left out, per metric; older results count data left out of every metric."""
    return found if isinstance(found, dict) else {"every metric": found or 0}


def _best(mark: str, table: Table) -> list[str]:
    near = " (for gaps: nearest to 0)" * any(name.startswith("gap_") for name in table.columns)
    return [f"{mark}: best of its column{near}."] if table.marked else []


def _cut(label: str) -> str:
    label = " ".join(label.split())
    return label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"


def _panels(widths: list[int]) -> list[list[int]]:
    """Split columns 1.. into groups that fit into WIDTH, each led by column 0."""
    panels: list[list[int]] = []
    used = WIDTH + 1
    for column, width in enumerate(widths[1:], start=1):
        used += len(_GAP) + width
        if used > WIDTH:
            panels.append([0])
            used = widths[0] + len(_GAP) + width
        panels[-1].append(column)
    return panels


def _line(cells: list[str], widths: list[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return _GAP.join([cells[0].ljust(widths[0]), *numbers]).rstrip()


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|&~])", r"\\\1", " ".join(text.split()))


def _th(cell: Cell) -> str:
    kind = ' class="text"' if len(cell.text) > _PROSE else ""
    return f'<th scope="row"{kind}>{html.escape(cell.text)}</th>'


def _td(cell: Cell) -> str:
    text = html.escape(cell.text)
    if cell.best:
        return f'<td class="best"><strong>{text}</strong></td>'
    return f'<td class="text">{text}</td>' if len(cell.text) > _PROSE else f"<td>{text}</td>"
