"""The exhibits of a study, drawn: lines, dots and images from the content of study.json."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from elbax.exhibits import Panel
from elbax.report.figures import (
    INK,
    STYLES,
    WIDTH,
    legend,
    plain,
    sheets,
    strips,
    style,
)
from elbax.report.tables import NONE, Cell, Table
from elbax.report.tables import WIDTH as WIDTH_OF_TEXT

Content = dict[str, Any]

_SIGNS = {
    "reproduced": "\N{CHECK MARK}",
    "not reproduced": "\N{BALLOT X}",
    "not testable": "\N{MIDDLE DOT}",
}


def table_of(exhibit: Content) -> Table:
    """A table exhibit, ready to print."""
    rows = tuple(tuple(Cell(str(cell)) for cell in row) for row in exhibit["rows"])
    notes = (exhibit["caption"], *exhibit["notes"])
    return Table(exhibit["title"], tuple(exhibit["columns"]), rows, notes)


def verdict_table(verdicts: Sequence[Content]) -> Table:
    """One row per claim."""
    rows = tuple(
        (
            Cell(verdict["claim"]),
            Cell(f"{_SIGNS[verdict['verdict']]} {verdict['verdict']}"),
            Cell(_signed(verdict["published"])),
            Cell(_signed(verdict["obtained"], verdict["error"])),
            Cell(_signed(_gap(verdict))),
            Cell(verdict["reason"]),
        )
        for verdict in verdicts
    )
    columns = ("claim", "verdict", "paper", "obtained", "difference", "why")
    notes = (
        "An ordering's value is the difference that should be positive (or, of a lowest or "
        "largest, the least distance to the others); ± is its standard error, over seeds and "
        "held-out data where there are several seeds, else over data.",
    )
    return Table("Every claim, tested", columns, rows, notes)


def verdict_text(verdicts: Sequence[Content]) -> str:
    """The same for a terminal of 80 columns: two lines or more per claim."""
    lines = []
    for verdict in verdicts:
        lines += textwrap.wrap(
            f"{_SIGNS[verdict['verdict']]} {verdict['claim']}: {verdict['verdict']}",
            WIDTH_OF_TEXT,
            subsequent_indent="  ",
        )
        values = {
            "paper": _signed(verdict["published"]),
            "obtained": _signed(verdict["obtained"], verdict["error"]),
        }
        told = [f"{name} {value}" for name, value in values.items() if value != NONE]
        lines += textwrap.wrap(
            "; ".join([*told, verdict["reason"]]),
            WIDTH_OF_TEXT,
            initial_indent="    ",
            subsequent_indent="    ",
        )
    return "\n".join(lines)


def figure_of(exhibit: Content, arrays: dict[str, np.ndarray]) -> Figure:
    """The drawing of an exhibit that is no table."""
    if exhibit["kind"] == "images":
        return _images(exhibit, arrays)
    return {"lines": _lines, "dots": _dots}[exhibit["kind"]](exhibit)


@style()
def _lines(exhibit: Content) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    axes = figure.subplots()
    for place, line in enumerate(exhibit["lines"]):
        color, dashes, marker = STYLES[place % len(STYLES)]
        x, y = np.array(line["x"], float), np.array(line["y"], float)
        every = max(1, len(x) // 5)
        first = place * every // len(exhibit["lines"])
        axes.plot(x, y, color=color, ls=dashes, marker=marker, markevery=(first, every))
        if line.get("error"):
            error = np.array(line["error"], float)
            axes.fill_between(x, y - error, y + error, color=color, alpha=0.15, lw=0)
    for level in exhibit["levels"]:
        axes.axhline(level["y"], color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.annotate(
            level["label"], (0.99, level["y"]), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", fontsize=8,
        )  # fmt: skip
    if exhibit["log_x"]:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        _fit(axes, exhibit["lines"])
    axes.set_xlabel(exhibit["x"])
    axes.set_ylabel(exhibit["y"])
    legend(figure, [line["label"] for line in exhibit["lines"]])
    return figure


def _fit(axes, lines: Sequence[Content]) -> None:
    """Fit the axis to the last three quarters, which the first rise would dwarf."""
    late = [
        y
        for line in lines
        for x, y in zip(line["x"], line["y"], strict=True)
        if y is not None and x >= 0.25 * max(line["x"])
    ]
    if late and max(late) > min(late):
        room = 0.08 * (max(late) - min(late))
        axes.set_ylim(min(late) - room, max(late) + room)


@style()
def _dots(exhibit: Content) -> Figure:
    rows = exhibit["rows"]
    figure = Figure(figsize=(WIDTH, 1.2 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    heights = -np.arange(len(rows))
    values = np.array([row["values"] for row in rows], float)
    for height, row in zip(heights, values, strict=True):
        axes.plot([np.nanmin(row), np.nanmax(row)], [height, height], color=INK, lw=0.7, alpha=0.5)
    for place, column in enumerate(values.T):
        color, _, marker = STYLES[place]
        axes.plot(column, heights, ls="none", color=color, marker=marker, ms=5.5)
    axes.set_yticks(heights, [plain(row["label"], 26) for row in rows])
    axes.set_xlabel(exhibit["x"])
    height = figure.get_figheight()
    legend(figure, exhibit["points"])
    for line in figure.legends[0].get_lines():
        line.set_linestyle("none")
    figure.set_figheight(height)
    return figure


def _images(exhibit: Content, arrays: dict[str, np.ndarray]) -> Figure:
    panels = [Panel(p["title"], arrays[p["array"]], p["columns"]) for p in exhibit["panels"]]
    in_rows = all(len(panel.images) == panel.columns for panel in panels)
    return strips(panels) if in_rows else sheets(panels)


def _gap(verdict: Content) -> float | None:
    """Obtained minus published, where the two are of the same thing."""
    if None in (verdict["published"], verdict["obtained"]) or verdict["verdict"] == "not testable":
        return None
    return verdict["obtained"] - verdict["published"]


def _signed(value: float | None, error: float | None = None) -> str:
    if value is None:
        return NONE
    return f"{value:+.2f}" + ("" if error is None else f" ± {error:.2f}")
