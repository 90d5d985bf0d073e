"""Panels of histograms and of points as one figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from elbax.exhibits import HistogramExhibit, Line, PointsExhibit
from elbax.report.style import INK, STYLES, WIDTH, legend, style
from elbax.report.tables import cut

_TRIM = 0.005  # of the points on each side, which do not widen the axes


@style()
def histograms(exhibit: HistogramExhibit) -> Figure:
    """Histograms above a common axis, in one column or two."""
    panels = exhibit.panels
    columns = 1 if len(panels) < 4 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 1.35 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False, sharex=exhibit.log).flat
    for panel in panels:
        axes = next(places)
        _bars(axes, panel, filled=exhibit.filled)
        axes.set_title(cut(panel["title"], 30 if columns == 2 else 60), fontsize=8)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        if exhibit.log:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{10.0**power:g}"))
    for axes in places:
        axes.set_axis_off()
    figure.supxlabel(exhibit.x, fontsize=9)
    figure.supylabel(exhibit.y, fontsize=9)
    labels = [line["label"] for line in panels[0]["lines"]]
    if any(labels):
        height = figure.get_figheight()
        legend(figure, labels, markers=False, above=True)  # below stands the name of the axis
        figure.set_figheight(height + 0.2 * -(-len(labels) // 2))
    return figure


def _bars(axes: Axes, panel: Line, *, filled: bool) -> None:
    alone = len(panel["lines"]) == 1
    for place, line in enumerate(panel["lines"]):
        color, dashes, _ = STYLES[place % len(STYLES)]
        if filled and place == 0:
            axes.stairs(line["heights"], panel["edges"], color=color, fill=True, alpha=0.3)
        is_area = alone and not filled
        axes.stairs(
            line["heights"], panel["edges"], color=color, ls="-" if alone else dashes,
            lw=1.2, fill=is_area, alpha=0.75 if is_area else 1,
        )  # fmt: skip
    if panel.get("band") is not None:
        axes.axhspan(*panel["band"], color="#7f7f7f", alpha=0.25, lw=0)
    if panel.get("mark") is not None:
        axes.axvline(panel["mark"], color=INK, lw=0.9, ls=(0, (4, 3)))
    if panel.get("names"):
        _name_bins(axes, panel["names"])


def _name_bins(axes: Axes, names: Sequence[str]) -> None:
    """Names below bins, slanted where they would touch."""
    most = max(3, 24 // len(names))
    shown = [cut(name, max(most, 8)) for name in names]
    is_long = len(names) * max(map(len, shown)) > 26
    axes.set_xticks(range(len(names)), shown, fontsize=7 if is_long else 8)
    if is_long:
        axes.tick_params(axis="x", labelrotation=40)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")
    axes.grid(visible=False, axis="x")


@style()
def points(exhibit: PointsExhibit) -> Figure:
    """Panels of points, row by row; those of a row share their axes."""
    panels, columns = exhibit.panels, exhibit.columns
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 0.3 + 1.75 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.set_axis_off()
            continue
        panel, of_row = panels[place], place - place % columns
        color, _, _ = STYLES[place % columns % len(STYLES)]
        axes.plot(
            panel["across"], panel["up"], ls="none", marker="o", ms=2.2, mew=0, color=color,
            alpha=0.55,
        )  # fmt: skip
        row = panels[of_row : of_row + columns]
        axes.set_xlim(*_limits([one["across"] for one in row]))
        axes.set_ylim(*_limits([one["up"] for one in row]))
        axes.set_title(cut(panel["title"], 60 // columns), fontsize=8)
        axes.set_xlabel(cut(panel["x"], 60 // columns), fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if place % columns == 0:
            axes.set_ylabel(cut(panel["y"], 26), fontsize=8)
        else:
            axes.tick_params(labelleft=False)
    return figure


def _limits(found: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Where most of the points of a row of panels are, with some room."""
    trimmed = [np.quantile(one, [_TRIM, 1 - _TRIM]) for one in found if len(one)]
    low, high = (min(t[0] for t in trimmed), max(t[1] for t in trimmed)) if trimmed else (0, 1)
    room = 0.06 * (high - low) or 0.5
    return float(low - room), float(high + room)
