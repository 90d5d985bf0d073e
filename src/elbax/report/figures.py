"""Exhibits drawn: lines, dots, histograms and images.

Drawn on `Figure` objects, so that no global state of pyplot is touched and no display is needed.
"""

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.evaluation.images import image_grid
from elbax.exhibits import (
    DotsExhibit,
    Exhibit,
    HistogramExhibit,
    ImagesExhibit,
    Line,
    LinesExhibit,
    Panel,
)

INK = "#24292f"  # text and axes; a page in the dark replaces it
WIDTH = 4.8  # inches; small, so that the text is still readable on a phone
_WIDE = 6.4  # of images, which take the whole page
_MOST_HOVERED = 40  # points of a line that say their values
_LATE = 0.25  # of the axis, where the first rise is over that would dwarf the rest

# After Okabe and Ito's palette for color-blind readers, moved so that each color stands out on a
# white and on a dark page (contrast of 3 or more). Line style and marker tell the lines apart in
# gray, and where there are more methods than colors.
STYLES: tuple[tuple[str, Any, str], ...] = (
    ("#1a7fc1", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#009e73", "-.", "^"),
    ("#c070a0", ":", "D"),
    ("#9a7d0a", (0, (5, 1, 1, 1, 1, 1)), "v"),
    ("#d94f70", (0, (8, 2)), "P"),
    ("#7f7f7f", (0, (2, 1)), "X"),
    ("#8a5fd3", (0, (3, 1, 1, 1)), "*"),
)

_STYLE_SHEET: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a run's name is a dollar
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": 9.5,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.2,
    "legend.frameon": False,
    "legend.handlelength": 3.6,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and styled
    "svg.hashsalt": "elbax",  # the same drawing gets the same names
}


@contextmanager
def style() -> Iterator[None]:
    """What every figure is drawn under, whatever the user's matplotlib is set to."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # whatever the user's matplotlibrc says
        mpl.rcParams.update(_STYLE_SHEET)
        # A run may be named in any script; a box instead of a letter is no reason to warn.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@style()
def figure_of(exhibit: Exhibit) -> Figure:
    """The drawing of an exhibit that is no table.

    Raises:
        InputError: it is one, or holds nothing to draw.
    """
    if isinstance(exhibit, LinesExhibit) and exhibit.lines:
        return _lines(exhibit)
    if isinstance(exhibit, DotsExhibit) and exhibit.rows:
        return _dots(exhibit)
    if isinstance(exhibit, HistogramExhibit) and exhibit.panels:
        return _histograms(exhibit)
    if isinstance(exhibit, ImagesExhibit) and exhibit.panels:
        return pictures(exhibit.panels)
    raise InputError(f"nothing to draw: '{exhibit.title}' holds no lines, rows or panels.")


def hovers_of(exhibit: Exhibit) -> dict[str, list[str]]:
    """What points of the drawing say, by the id of their group in its SVG."""
    if not isinstance(exhibit, LinesExhibit):
        return {}
    return {
        f"hover-{place}": [
            f"{line['label']}: {line['y'][i]:.4g} at {line['x'][i]:g}" for i in _hovered(line)
        ]
        for place, line in enumerate(exhibit.lines)
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
    axes.set_xlabel(exhibit.x)
    axes.set_ylabel(exhibit.y)
    legend(figure, [line["label"] for line in exhibit.lines])
    return figure


def _draw_line(axes: Axes, line: Line, place: int, count: int, *, spread: bool) -> None:
    color, dashes, marker = STYLES[place % len(STYLES)]
    x, y = np.array(line["x"], float), np.array(line["y"], float)  # null is NaN
    few = len(x) <= 12
    every = max(1, len(x) // 5)
    shown = 1 if few else (place * every // count, every)  # beside, not upon, each other
    if few and spread and line.get("low"):
        x = x * math.exp(0.02 * (place - (count - 1) / 2))  # bars side by side
    axes.plot(x, y, color=color, ls=dashes, marker=marker, markevery=shown, mfc=_face(place))
    if line.get("error"):
        error = np.array(line["error"], float)
        axes.fill_between(x, y - error, y + error, color=color, alpha=0.18, lw=0)
    if line.get("low"):
        low, high = np.array(line["low"], float), np.array(line["high"], float)
        axes.vlines(x, low, high, color=color, lw=1)
    if line.get("theory"):
        axes.plot(x, line["theory"], color=color, lw=0.7, alpha=0.8)
    at = _hovered(line)
    hover = axes.plot(x[at], y[at], ls="none", marker="o", ms=11, color=color, alpha=0)[0]
    hover.set_gid(f"hover-{place}")


def _hovered(line: Line) -> list[int]:
    """The points of a line that say their values: all of a short one, some of a long one."""
    known = [i for i, value in enumerate(line["y"]) if value is not None and math.isfinite(value)]
    return known[:: max(1, -(-len(known) // _MOST_HOVERED))]


def _scale_x(axes: Axes, exhibit: LinesExhibit) -> None:
    if not exhibit.log_x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        return
    axes.set_xscale("log")
    plain_numbers = FuncFormatter(lambda value, _: f"{value:g}")
    if len(exhibit.ticks):
        axes.set_xticks(exhibit.ticks, [f"{tick:g}" for tick in exhibit.ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_formatter(plain_numbers)
        axes.xaxis.set_minor_formatter(NullFormatter())


def _scale_y(axes: Axes, exhibit: LinesExhibit) -> None:
    values = [v for line in exhibit.lines for v in line["y"] if v is not None and math.isfinite(v)]
    if exhibit.log_y:
        positive = [value for value in values if value > 0]
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0.6 * min(positive, default=1), 1.6 * max(positive, default=1))
    elif not exhibit.log_x:
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
    axes.set_yticks(heights, [plain(row["label"], 26) for row in rows])
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


def _histograms(exhibit: HistogramExhibit) -> Figure:
    panels = exhibit.panels
    columns = 1 if len(panels) < 4 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 0.6 + 1.35 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False, sharex=exhibit.log).flat
    for panel in panels:
        axes = next(places)
        for place, line in enumerate(panel["lines"]):
            color, dashes, _ = STYLES[place % len(STYLES)]
            alone = len(panel["lines"]) == 1
            axes.stairs(
                line["heights"], panel["edges"], color=color, ls="-" if alone else dashes,
                lw=1.2, fill=alone, alpha=0.75 if alone else 1,
            )  # fmt: skip
        if panel.get("mark") is not None:
            axes.axvline(panel["mark"], color=INK, lw=0.9, ls=(0, (4, 3)))
        axes.set_title(plain(panel["title"], 30 if columns == 2 else 60), fontsize=8)
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
        legend(figure, labels, markers=False)
        figure.set_figheight(height + 0.25)
    return figure


@style()
def pictures(panels: Sequence[Panel]) -> Figure:
    """Panels of images: rows below each other where each is one row, else sheets.

    Args:
        panels: titles, images in [0, 1] (what lies outside is cut) and images per row.
    """
    in_rows = all(len(panel.images) == panel.columns for panel in panels) and len(panels) > 1
    return _strips(panels) if in_rows else _sheets(panels)


def _strips(panels: Sequence[Panel]) -> Figure:
    """Equal rows of images below each other, their titles to the left."""
    grids = [_grid(panel) for panel in panels]
    names = ["\n".join(textwrap.wrap(plain(panel.title), 14)) for panel in panels]
    margin = 1.2  # inches, for the names
    high = (_WIDE - margin) * grids[0].shape[0] / grids[0].shape[1]
    pitch = max(high, 0.16 * max(name.count("\n") + 1 for name in names)) + 0.07
    figure = Figure(figsize=(_WIDE, pitch * len(grids)))
    for place, (name, grid) in enumerate(zip(names, grids, strict=True)):
        center = 1 - (place + 0.5) / len(grids)
        figure.text((margin - 0.12) / _WIDE, center, name, ha="right", va="center")
        height = high / (pitch * len(grids))
        place_ = (margin / _WIDE, center - height / 2, 1 - margin / _WIDE, height)
        _show(figure.add_axes(place_), grid)
    return figure


def _sheets(panels: Sequence[Panel]) -> Figure:
    """Panels under their titles: equal ones in rows of up to three, others side by side."""
    grids = [_grid(panel) for panel in panels]
    widths = [grid.shape[1] for grid in grids]
    equal = len(set(widths)) == 1
    columns = min(3, len(panels)) if equal else len(panels)
    rows = math.ceil(len(panels) / columns)
    wide = _WIDE * 2 / 3 if len(panels) == 1 else _WIDE * columns / max(columns, 3 - (columns == 2))
    tall = max(grid.shape[0] for grid in grids) / sum(widths[:columns]) * wide
    figure = Figure(figsize=(wide, (tall + 0.25) * rows))
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    ratios = widths if not equal else [1] * columns
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=ratios).flat
    for panel, grid in zip(panels, grids, strict=True):
        place = next(axes)
        place.set_title(plain(panel.title, 22 if columns > 1 else 44), pad=4)
        _show(place, grid)
    for place in axes:
        place.set_axis_off()
    return figure


def _grid(panel: Panel) -> np.ndarray:
    """One picture of a panel; between its images, where colors allow, the page shows."""
    images = np.clip(panel.images, 0, 1)
    return image_grid(images, panel.columns, fill=math.nan if images.ndim == 3 else 1.0)


def _show(axes: Axes, sheet: np.ndarray) -> None:
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="equal")
    axes.set_axis_off()


@style()
def render(figure: Figure, kind: str, *, transparent: bool = False) -> bytes:
    """The figure as a file, the same bytes each time: no dates, no versions, fixed names.

    Args:
        figure: one of this module's figures.
        kind: "png" (200 dots per inch) or "svg".
        transparent: leave the background out.
    """
    metadata = {"png": ["Software"], "svg": ["Creator", "Date", "Format", "Type"]}
    if kind not in metadata:
        raise InputError(f"expected a figure as png or svg; got '{kind}'.")
    buffer = io.BytesIO()
    figure.savefig(
        buffer,
        format=kind,
        dpi=200,
        transparent=transparent,
        metadata=dict.fromkeys(metadata[kind]),
    )
    return buffer.getvalue()


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure to a `.png` or `.svg` file, whole or not at all.

    Raises:
        InputError: if the name ends otherwise.
        OutputError: if the file cannot be written.
    """
    path = Path(path)
    write_atomically(path, render(figure, path.suffix.removeprefix(".").lower()))
    return path


def plain(label: str, most: int = 34) -> str:
    """One line of at most `most` characters."""
    label = " ".join(label.split())
    return label if len(label) <= most else f"{label[: most - 1]}…"


def legend(figure: Figure, labels: Sequence[str], *, markers: bool = True) -> None:
    """The names below the drawing, in as many columns as they leave room for."""
    names = [plain(label) for label in labels]
    lines = []
    for place in range(len(names)):
        color, line, marker = STYLES[place % len(STYLES)]
        drawn = marker if markers else None
        lines.append(Line2D([], [], color=color, ls=line, marker=drawn, mfc=_face(place)))
    columns = max(1, min(4, 52 // (max(map(len, names)) + 8)))
    figure.set_figheight(2.9 + 0.2 * math.ceil(len(names) / columns))
    drawn = figure.legend(lines, [""] * len(lines), loc="outside lower center", ncols=columns)
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_text(name)  # set afterwards: a name that begins with "_" would be dropped


def _face(place: int) -> str:
    """What a marker is filled with: hollow in a second round of the colors."""
    return STYLES[place % len(STYLES)][0] if place < len(STYLES) else "white"
