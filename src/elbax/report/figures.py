"""Exhibits drawn: lines and dots here, panels of histograms, points and images beside.

Drawn on `Figure` objects, so that no global state of pyplot is touched and no display is needed.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from elbax._errors import InputError
from elbax.exhibits import (
    DotsExhibit,
    Exhibit,
    HistogramExhibit,
    ImagesExhibit,
    Line,
    LinesExhibit,
    PointsExhibit,
)
from elbax.report.panels import histograms, points
from elbax.report.pictures import pictures
from elbax.report.style import INK, STYLES, WIDTH, face, legend, style
from elbax.report.tables import cut

_MOST_HOVERED = 40  # points of a line that say their values
_HOVER = "hover-"
_LATE = 0.25  # of the axis, where the first rise is over that would dwarf the rest


def is_empty(exhibit: Exhibit) -> bool:
    """Whether a figure would show nothing, as where every run has diverged."""
    if exhibit.kind == "table":
        return False
    return not any(getattr(exhibit, part, ()) for part in ("lines", "rows", "panels"))


@style()
def figure_of(exhibit: Exhibit) -> Figure:
    """The drawing of an exhibit that is no table.

    Raises:
        InputError: it is one, or holds nothing to draw.
    """
    if not is_empty(exhibit):
        if isinstance(exhibit, LinesExhibit):
            return _lines(exhibit)
        if isinstance(exhibit, DotsExhibit):
            return _dots(exhibit)
        if isinstance(exhibit, HistogramExhibit):
            return histograms(exhibit)
        if isinstance(exhibit, PointsExhibit):
            return points(exhibit)
        if isinstance(exhibit, ImagesExhibit):
            return pictures(exhibit.panels)
    raise InputError(f"nothing to draw: '{exhibit.title}' holds no lines, rows or panels.")


def hovers_of(figure: Figure) -> dict[str, list[str]]:
    """What points of a drawing say, by the id of their group in its SVG."""
    marked = [
        line
        for axes in figure.axes
        for line in axes.lines
        if str(line.get_gid()).startswith(_HOVER)
    ]
    return {
        str(line.get_gid()): [
            f"{line.get_label()}: {y:.4g} at {x:g}"
            for x, y in zip(*map(np.asarray, line.get_data()), strict=True)
        ]
        for line in marked
    }


def _lines(exhibit: LinesExhibit) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    axes = figure.subplots()
    for place, line in enumerate(exhibit.lines):
        _draw_line(axes, line, place, len(exhibit.lines), spread=exhibit.log_x)
    if len(exhibit.floor):
        axes.fill_between(exhibit.ticks, 1e-9, exhibit.floor, color="#7f7f7f", alpha=0.25, lw=0)
    for level in exhibit.levels:
        axes.axhline(level["y"], color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.annotate(
            level["label"], (0.99, level["y"]), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", fontsize=8,
        )  # fmt: skip
    _scale_x(axes, exhibit)
    _scale_y(axes, exhibit)
    if exhibit.equals:
        axes.axline((0, 0), slope=1, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.set_ylim(*axes.set_xlim(*_both_limits(exhibit)))
    for place, line in enumerate(exhibit.lines):
        _mark(axes, line, place)
    axes.set_xlabel(exhibit.x)
    axes.set_ylabel(exhibit.y)
    legend(figure, [line["label"] for line in exhibit.lines])
    for shown, line in zip(figure.legends[0].get_lines(), exhibit.lines, strict=True):
        if line.get("points"):
            shown.set_linestyle("none")
    return figure


def _draw_line(axes: Axes, line: Line, place: int, count: int, *, spread: bool) -> None:
    color, dashes, marker = STYLES[place % len(STYLES)]
    x, y = np.array(line["x"], float), np.array(line["y"], float)  # null is NaN
    few = len(x) <= 12
    every = max(1, len(x) // 5)
    shown = 1 if few else (place * every // count, every)  # beside, not upon, each other
    if few and spread and line.get("low"):
        x = x * math.exp(0.02 * (place - (count - 1) / 2))  # bars side by side
    if line.get("points"):
        axes.plot(x, y, color=color, ls="none", marker=marker, mfc=face(place))
        return
    axes.plot(x, y, color=color, ls=dashes, marker=marker, markevery=shown, mfc=face(place))
    if line.get("error"):
        error = np.array(line["error"], float)
        axes.fill_between(x, y - error, y + error, color=color, alpha=0.18, lw=0)
    if line.get("low"):
        low, high = np.array(line["low"], float), np.array(line["high"], float)
        axes.vlines(x, low, high, color=color, lw=1)
    if line.get("theory"):
        axes.plot(x, line["theory"], color=color, lw=0.7, alpha=0.8)


def _mark(axes: Axes, line: Line, place: int) -> None:
    """Points that cannot be seen, to say their values: all of a short line, some of a long one.

    Those outside of the axes are left out, since an SVG may leave them out too.
    """
    low, high = axes.get_ylim()
    known = [
        (x, y)
        for x, y in zip(line["x"], line["y"], strict=True)
        if y is not None and low <= y <= high
    ]
    shown = np.array(known[:: max(1, -(-len(known) // _MOST_HOVERED))], float).reshape(-1, 2)
    axes.plot(
        *shown.T, ls="none", marker="o", ms=11, alpha=0,
        gid=f"{_HOVER}{place}", label=line["label"],
    )  # fmt: skip


def _scale_x(axes: Axes, exhibit: LinesExhibit) -> None:
    if not exhibit.log_x:
        whole = all(float(x).is_integer() for line in exhibit.lines for x in line["x"])
        axes.xaxis.set_major_locator(MaxNLocator(integer=whole, steps=[1, 2, 5, 10]))
        return
    axes.set_xscale("log")
    plain_numbers = FuncFormatter(lambda value, _: f"{value:g}")
    if len(exhibit.ticks):
        axes.set_xticks(exhibit.ticks, [f"{tick:g}" for tick in exhibit.ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_formatter(plain_numbers)
        axes.xaxis.set_minor_formatter(NullFormatter())


def _both_limits(exhibit: LinesExhibit) -> tuple[float, float]:
    """Where all lines are, across and up."""
    found = [v for line in exhibit.lines for v in (*line["x"], *line["y"]) if v is not None]
    low, high = min(found, default=0.0), max(found, default=1.0)
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _scale_y(axes: Axes, exhibit: LinesExhibit) -> None:
    values = [v for line in exhibit.lines for v in line["y"] if v is not None and math.isfinite(v)]
    if exhibit.log_y:
        positive = [value for value in values if value > 0]
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0.6 * min(positive, default=1), 1.6 * max(positive, default=1))
    elif not (exhibit.log_x or exhibit.equals or all(line.get("points") for line in exhibit.lines)):
        _fit_late(axes, exhibit.lines)


def _fit_late(axes: Axes, lines: Sequence[Line]) -> None:
    """Fit the axis to the last three quarters: the first rise dwarfs the rest."""
    late = [
        y + side * (error or 0.0)
        for line in lines
        for x, y, error in zip(line["x"], line["y"], line.get("error") or [0] * len(line["x"]),
                               strict=True)
        if y is not None and math.isfinite(y) and x >= _LATE * line["x"][-1]
        for side in (-1, 1)
    ]  # fmt: skip
    if late and max(late) > min(late):
        room = 0.06 * (max(late) - min(late))
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, min(late) - room), min(top, max(late) + room))


def _dots(exhibit: DotsExhibit) -> Figure:
    rows = exhibit.rows
    figure = Figure(figsize=(WIDTH, 1.2 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    heights = -np.arange(len(rows))
    values = np.array([row["values"] for row in rows], float)
    errors = np.array([row.get("errors") or [None] * len(exhibit.points) for row in rows], float)
    for height, row in zip(heights, values, strict=True):
        known = row[np.isfinite(row)]
        if len(known) > 1:
            axes.plot([known.min(), known.max()], [height, height], color=INK, lw=0.7, alpha=0.5)
    for place, (column, error) in enumerate(zip(values.T, errors.T, strict=True)):
        color, _, marker = STYLES[place % len(STYLES)]
        axes.plot(column, heights, ls="none", color=color, marker=marker, ms=5.5)
        axes.hlines(heights, column - error, column + error, color=color, lw=1.2)
    axes.set_yticks(heights, [cut(row["label"], 26) for row in rows])
    axes.margins(y=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(exhibit.x)
    if len(exhibit.points) > 1:
        height = figure.get_figheight()
        legend(figure, exhibit.points)
        for line in figure.legends[0].get_lines():
            line.set_linestyle("none")
        figure.set_figheight(height)
    return figure
