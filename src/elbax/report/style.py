"""How figures look: colours, fonts and legends, and figures as files."""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.report.tables import cut

INK = "#24292f"  # text and axes; a page in the dark replaces it
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


def legend(
    figure: Figure, labels: Sequence[str], *, markers: bool = True, above: bool = False
) -> None:
    """The names below or above the drawing, in as many columns as they leave room for."""
    names = [cut(label, 34) for label in labels]
    lines = []
    for place in range(len(names)):
        color, line, marker = STYLES[place % len(STYLES)]
        drawn = marker if markers else None
        lines.append(Line2D([], [], color=color, ls=line, marker=drawn, mfc=face(place)))
    columns = max(1, min(4, 52 // (max(map(len, names)) + 8)))
    figure.set_figheight(2.9 + 0.2 * math.ceil(len(names) / columns))
    where = "outside upper center" if above else "outside lower center"
    drawn = figure.legend(lines, [""] * len(lines), loc=where, ncols=columns)
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_text(name)  # set afterwards: a name that begins with "_" would be dropped


def face(place: int) -> str:
    """What a marker is filled with: hollow in a second round of the colors."""
    return STYLES[place % len(STYLES)][0] if place < len(STYLES) else "white"
