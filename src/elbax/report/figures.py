"""Figures from result files: learning curves, bounds by k, reconstructions and samples.

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
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.evaluation.images import image_grid
from elbax.exhibits import Panel
from elbax.report import series
from elbax.report.results import RunResults
from elbax.report.series import Series

INK = "#24292f"  # text and axes; a page in the dark replaces it
_MOST_ROWS = 8  # runs in one figure of units
WIDTH = 4.8  # inches; small, so that the text is still readable on a phone

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
def learning_curves(run_results: RunResults) -> Figure:
    """The held-out bound against epoch, one line per method, with a band of +- sd over seeds.

    Where no held-out bound was recorded the training bound is drawn, and the axis says so. The
    axis is fitted to the last nine tenths of training: the first steep rise may leave it below.

    Raises:
        InputError: if no epoch of a finished run was recorded.
    """
    numbers = series.learning_curves(run_results)
    _require(numbers, "metrics.jsonl holds no epoch of a run that finished; train for one epoch")
    figure, axes = _against_epoch(numbers)
    axes.set_ylabel(f"{numbers['name']}, nats")
    _fit_late(axes, numbers)
    return figure


@style()
def courses(run_results: RunResults) -> Figure:
    """The numbers of objectives that change while training against epoch, band as above.

    Raises:
        InputError: if no objective has such a number.
    """
    numbers = series.courses(run_results)
    _require(numbers, "no objective of these runs has a number that changes while training")
    figure, axes = _against_epoch(numbers)
    axes.set_ylabel(numbers["name"])
    axes.set_ylim(-0.03, 1.03)
    return figure


@style()
def snr_curves(run_results: RunResults) -> Figure:
    """The SNR that runs logged while training against epoch, on a logarithmic axis.

    Raises:
        InputError: if no run logged it.
    """
    numbers = series.snr_curves(run_results)
    _require(numbers, "no run logged its SNR; train with --snr-every")
    figure, axes = _against_epoch(numbers)
    logarithmic(axes)
    axes.set_ylabel(numbers["name"])
    return figure


@style()
def unit_variances(units: dict[str, Any]) -> Figure:
    """Histograms of log10 Var_x(E_q[z_u | x]) over units, one row per run, layers in one row.

    Args:
        units: the content of `units.json`. Estimates below 1e-6, negative ones among them, are
            counted there.
    """
    shown = units["runs"][:_MOST_ROWS]
    num_layers = max(len(run["variances"]) for run in shown)
    figure = Figure(figsize=(WIDTH, 0.4 + 1.3 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), num_layers, squeeze=False, sharex=True)
    bins = np.linspace(-6, 1, 36)
    for run, row in zip(shown, axes, strict=True):
        for layer, (variances, place) in enumerate(zip(run["variances"], row, strict=False)):
            logs = np.log10(np.maximum(variances, 1e-6))
            place.hist(logs.clip(-6, 1), bins=list(bins), color=STYLES[layer % len(STYLES)][0])
            place.axvline(math.log10(units["threshold"]), color=INK, lw=0.8, ls="--")
            count = f"{run['active'][layer]} of {len(variances)}"
            name = plain(run["name"], 30 if num_layers == 1 else 20)
            place.set_title(f"{name}, layer {layer + 1}: {count}", fontsize=8)
            place.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for place in axes[-1]:
        place.set_xlabel("log10 variance of the posterior mean")
    return figure


@style()
def bounds_by_k(results: dict[str, Any]) -> Figure:
    """IWAE-k against k (logarithmic), rising to log p-hat, with error bars.

    The bars are the sd over seeds or, for a single seed, the standard error over the data.

    Args:
        results: the content of `results.json`.

    Raises:
        InputError: if no finished run has a bound.
    """
    numbers = series.bounds_by_k(results)
    _require(numbers, "no run of results.json finished with a bound; run `elbax evaluate` again")
    figure, axes = _axes()
    ks = sorted(set(results["evaluation"]["ks"]))
    step = 0.012 * math.log(max(ks) / min(ks) + 1)  # side by side, so that bars stay apart
    middle = (len(numbers["methods"]) - 1) / 2
    for place, bound in enumerate(numbers["methods"]):
        color, line, marker = STYLES[place % len(STYLES)]
        k = np.array(bound["k"]) * math.exp(step * (place - middle))
        error = np.array(bound["error"], dtype=float)  # None becomes NaN: no bar
        drawn = axes.errorbar(k, bound["mean"], yerr=error, color=color, marker=marker, capsize=2)
        drawn.lines[0].set_linestyle(line)
    axes.set_xscale("log")
    names = [*map(str, ks[:-1]), f"{ks[-1]}\nlog p-hat"]
    axes.xaxis.set_major_locator(FixedLocator(ks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ks, names)
    errors = " or ".join(sorted({bound["error_is"] for bound in numbers["methods"]}))
    axes.set_xlabel(f"samples k per datum\n(bars: ± {errors})")
    axes.set_ylabel(f"{numbers['name']}, nats")
    _legend(figure, numbers)
    return figure


@style()
def reconstructions(run_results: RunResults) -> Figure:
    """A row of originals, then each method's reconstructions of them (its first finished seed).

    Raises:
        InputError: if the run directory holds no images.
    """
    numbers = series.reconstructions(run_results)
    images = _images(run_results, numbers)
    columns = numbers["columns"]
    rows = [("originals", images["originals"])]
    rows += [(m["label"], images["reconstructions"][m["row"]]) for m in numbers["methods"]]
    return strips([Panel(label, one[:columns], columns) for label, one in rows])


@style()
def strips(panels: Sequence[Panel]) -> Figure:
    """Equal rows of images below each other, their titles to the left.

    Args:
        panels: titles and images in [0, 1] (what lies outside is cut), one row of them each.
    """
    grids = [image_grid(np.clip(p.images, 0, 1), p.columns, fill=math.nan) for p in panels]
    names = ["\n".join(textwrap.wrap(plain(panel.title), 14)) for panel in panels]

    margin = 1.2  # inches, for the names
    high = (WIDTH - margin) * grids[0].shape[0] / grids[0].shape[1]
    pitch = max(high, 0.16 * max(name.count("\n") + 1 for name in names)) + 0.07
    figure = Figure(figsize=(WIDTH, pitch * len(grids)))
    for place, (name, grid) in enumerate(zip(names, grids, strict=True)):
        center = 1 - (place + 0.5) / len(grids)
        figure.text((margin - 0.12) / WIDTH, center, name, ha="right", va="center")
        height = high / (pitch * len(grids))
        _show(
            figure.add_axes((margin / WIDTH, center - height / 2, 1 - margin / WIDTH, height)),
            grid,
        )
    return figure


@style()
def prior_samples(run_results: RunResults) -> Figure:
    """A sheet of samples from the prior per method (its first finished seed).

    Raises:
        InputError: if the run directory holds no images.
    """
    numbers = series.prior_samples(run_results)
    images = _images(run_results, numbers)
    across = math.ceil(math.sqrt(numbers["columns"]))
    return sheets(
        [
            Panel(m["label"], images["samples"][m["row"]][: numbers["columns"]], across)
            for m in numbers["methods"]
        ]
    )


@style()
def sheets(panels: Sequence[Panel]) -> Figure:
    """Panels of images under their titles.

    Equal panels stand in rows of up to three; panels of different widths stand side by side.

    Args:
        panels: titles, images in [0, 1] (what lies outside is cut) and images per row.
    """
    grids = [image_grid(np.clip(p.images, 0, 1), p.columns, fill=math.nan) for p in panels]
    widths = [grid.shape[1] for grid in grids]
    equal = len(set(widths)) == 1
    columns = min(3, len(panels)) if equal else len(panels)
    rows = math.ceil(len(panels) / columns)
    wide = WIDTH * 2 / 3 if len(panels) == 1 else WIDTH * columns / max(columns, 3 - (columns == 2))
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


def logarithmic(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers at 1, 2 and 5."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    return figure, figure.subplots()


def _against_epoch(numbers: Series) -> tuple[Figure, Axes]:
    """One line per method, with a band of +- sd over seeds."""
    figure, axes = _axes()
    for place, curve in enumerate(numbers["methods"]):
        color, line, marker = STYLES[place % len(STYLES)]
        epochs, mean = np.array(curve["epochs"]), np.array(curve["mean"])
        sd = np.array([0.0 if one is None else one for one in curve["sd"]])
        every = max(1, len(epochs) // 5)
        first = place * every // len(numbers["methods"])  # markers beside, not upon, each other
        axes.plot(epochs, mean, color=color, ls=line, marker=marker, markevery=(first, every))
        axes.fill_between(epochs, mean - sd, mean + sd, color=color, alpha=0.18, lw=0)
    seeds = any(count > 1 for curve in numbers["methods"] for count in curve["num_runs"])
    axes.set_xlabel("epoch" + (" (band: ± sd over seeds)" if seeds else ""))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    _legend(figure, numbers)
    return figure, axes


def _legend(figure: Figure, numbers: Series) -> None:
    legend(figure, [method["label"] for method in numbers["methods"]])


def legend(figure: Figure, labels: Sequence[str]) -> None:
    """The names below the drawing, in as many columns as they leave room for."""
    names = [plain(label) for label in labels]
    styles = [STYLES[place % len(STYLES)] for place in range(len(names))]
    lines = [Line2D([], [], color=color, ls=line, marker=marker) for color, line, marker in styles]
    columns = max(1, min(4, 52 // (max(map(len, names)) + 8)))
    figure.set_figheight(2.9 + 0.2 * math.ceil(len(names) / columns))
    drawn = figure.legend(lines, [""] * len(lines), loc="outside lower center", ncols=columns)
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_text(name)  # set afterwards: a name that begins with "_" would be dropped


def _fit_late(axes: Axes, numbers: Series) -> None:
    """Fit the axis to the last three quarters of training: the first rise dwarfs the rest."""
    last = max(curve["epochs"][-1] for curve in numbers["methods"])
    late = [
        mean + side * (sd or 0.0)
        for curve in numbers["methods"]
        for epoch, mean, sd in zip(curve["epochs"], curve["mean"], curve["sd"], strict=True)
        if epoch >= 0.25 * last
        for side in (-1, 1)
    ]
    room = 0.05 * (max(late) - min(late)) or 1.0
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, min(late) - room), min(top, max(late) + room))


def _show(axes: Axes, sheet: np.ndarray) -> None:
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="equal")
    axes.set_axis_off()


def _require(numbers: Series, otherwise: str) -> None:
    if not numbers["methods"]:
        raise InputError(f"nothing to draw: {otherwise}.")


def _images(run_results: RunResults, numbers: Series) -> dict[str, np.ndarray]:
    _require(numbers, "the run directory holds no images.npz, which only image data have")
    assert run_results.images is not None
    return run_results.images
