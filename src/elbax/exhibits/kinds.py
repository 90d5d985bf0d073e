"""The kinds of exhibits: tables, lines, dots, histograms, points and images, as data."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

Line = dict[str, Any]
NONE = "-"  # a cell of what was not measured


@dataclass(frozen=True)
class Exhibit:
    """One table or figure.

    Attributes:
        name: of its files and anchor.
        title: of its section.
        caption: what is shown, and in which paper it is.
    """

    name: str
    title: str
    caption: str
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Make the name one that files and anchors can have, whatever a data set is called."""
        object.__setattr__(self, "name", slug(self.name))

    @property
    def spoken(self) -> str:
        """Its main numbers in words, for a reader who cannot see it."""
        return ""

    def check(self) -> None:
        """Touch what a drawing needs.

        Raises:
            KeyError, TypeError, ValueError: it is not what it should be.
        """

    def content(self) -> dict[str, Any]:
        """What goes to JSON: numbers as they are, images by the name of their array."""
        return {"kind": self.kind, **vars(self)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Images by the name of their array."""
        return {}


@dataclass(frozen=True)
class TableExhibit(Exhibit):
    """Texts in rows; the first column names the row.

    Attributes:
        columns: one name per column.
        rows: as many texts in each.
        notes: sentences that belong under the table: units, what ± is, what was left out.
        strong: cells in bold, as (row, column); the notes say why.
        meanings: what columns mean, by their name.
        words: whether cells are words, which stand on the left, even where they are numbers.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    strong: Sequence[Sequence[int]] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    words: bool = False
    kind: ClassVar[str] = "table"

    def check(self) -> None:
        """Every row has a cell for each column."""
        width = len(self.columns)
        if any(len(row) != width for row in self.rows):
            raise ValueError(f"a row of '{self.name}' without {width} cells")


@dataclass(frozen=True)
class LinesExhibit(Exhibit):
    """Lines over a common axis.

    Attributes:
        x: the name of the axis.
        y: the name of the other, with its unit.
        lines: `{"label", "x", "y"}`, perhaps with an "error" band, bars from "low" to "high", or
            the slope that "theory" predicts, drawn through values `y` of its own; or with "points"
            alone, which nothing joins.
        levels: horizontal lines `{"label", "y"}`.
        log_x: whether the axis is logarithmic.
        log_y: whether the other is.
        ticks: where the axis is labelled; anywhere if empty.
        floor: values of y, one for each tick, below which all is noise.
        equals: whether both axes are of one thing, with a dashed line where they are equal.
    """

    x: str
    y: str
    lines: Sequence[Line]
    levels: Sequence[Line] = ()
    log_x: bool = False
    log_y: bool = False
    ticks: Sequence[int | float] = ()
    floor: Sequence[int | float] = ()
    equals: bool = False
    kind: ClassVar[str] = "lines"

    @property
    def spoken(self) -> str:
        """Where each line ends."""
        ends = [
            f"{line['label']} {line['y'][-1]:.2f}"
            for line in self.lines
            if line["y"] and line["y"][-1] is not None
        ]
        return f"At the end: {', '.join(ends)}."

    def check(self) -> None:
        """Every line has as many values as places."""
        for line in self.lines:
            names = ("y", "error", "low", "high")
            found = [line[name] for name in names if line.get(name) is not None]
            if any(len(line["x"]) != len(np.asarray(values, float)) for values in found):
                raise ValueError(f"a line of '{self.name}' whose values are not as many as x")


@dataclass(frozen=True)
class DotsExhibit(Exhibit):
    """Rows of points on one axis, such as IWAE-1, IWAE-64 and log p-hat of every method.

    A row is `{"label", "values"}`, its values in the order of `points`, perhaps with "errors" as
    many; None is left out.
    """

    x: str
    points: Sequence[str]
    rows: Sequence[Line]
    kind: ClassVar[str] = "dots"

    @property
    def spoken(self) -> str:
        """The last point of each row."""
        ends = [(row["label"], row["values"][-1]) for row in self.rows]
        told = ", ".join(f"{name} {end:.2f}" for name, end in ends if end is not None)
        return f"{self.points[-1]}: {told}."

    def check(self) -> None:
        """Every row has a value for each point."""
        for row in self.rows:
            if np.asarray(row["values"], float).shape != (len(self.points),):
                raise ValueError(f"a row of '{self.name}' without {len(self.points)} values")


@dataclass(frozen=True)
class HistogramExhibit(Exhibit):
    """Panels of histograms above a common axis.

    A panel is `{"title", "edges", "lines"}`, perhaps with a "mark" on the axis and a "band" of
    heights, its low and its high end; a line is `{"label", "heights"}`, one height for each bin.
    Bins that are no intervals, such as categories, have "names". Ticks of a `log` axis are powers
    of ten of the edges, which are logarithms to base 10. With `filled` the first line of a panel
    is an area, which the others are held against.
    """

    x: str
    y: str
    panels: Sequence[Line]
    log: bool = False
    filled: bool = False
    kind: ClassVar[str] = "histogram"

    @property
    def spoken(self) -> str:
        """The titles of its panels."""
        return f"Panels: {', '.join(panel['title'] for panel in self.panels)}."

    def check(self) -> None:
        """Every histogram has a height for each bin."""
        for panel in self.panels:
            shape = (len(panel["edges"]) - 1,)
            if any(np.asarray(one["heights"], float).shape != shape for one in panel["lines"]):
                raise ValueError(f"a histogram of '{self.name}' without {shape[0]} heights")
            if panel.get("band") is not None and len(panel["band"]) != 2:
                raise ValueError(f"a band of '{self.name}' that is not from low to high")
            if len(panel.get("names") or panel["edges"][1:]) != shape[0]:
                raise ValueError(f"a histogram of '{self.name}' without {shape[0]} names")


@dataclass(frozen=True)
class PointsExhibit(Exhibit):
    """Panels of points, such as two columns of a table against each other.

    A panel is `{"title", "x", "y", "across", "up"}`: its title, the names of its axes, and where
    its points are. Panels side by side share their axes, and those above each other their color.

    Attributes:
        panels: row by row.
        columns: how many stand side by side.
    """

    panels: Sequence[Line]
    columns: int
    kind: ClassVar[str] = "points"

    @property
    def spoken(self) -> str:
        """The titles of its panels."""
        told = [f"{panel['y']} against {panel['x']}, {panel['title']}" for panel in self.panels]
        return f"Panels: {'; '.join(told)}."

    def check(self) -> None:
        """Every point has two places."""
        if self.columns < 1:
            raise ValueError(f"panels of '{self.name}' in {self.columns} columns")
        for panel in self.panels:
            if np.asarray(panel["across"], float).shape != np.asarray(panel["up"], float).shape:
                raise ValueError(f"points of '{self.name}' with one place alone")


@dataclass(frozen=True)
class Panel:
    """Images `[N, H, W]`, or `[N, H, W, 3]` in colour, in [0, 1] under one title."""

    title: str
    images: np.ndarray
    columns: int
    """How many stand side by side."""


@dataclass(frozen=True)
class ImagesExhibit(Exhibit):
    """Panels of images in [0, 1]."""

    panels: Sequence[Panel] = field(default_factory=tuple)
    kind: ClassVar[str] = "images"

    @property
    def spoken(self) -> str:
        """The titles of its panels."""
        return f"Panels: {', '.join(panel.title for panel in self.panels)}."

    def check(self) -> None:
        """There is an image in each panel."""
        for panel in self.panels:
            shape = panel.images.shape
            are_images = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
            if not are_images or 0 in shape or panel.columns < 1:
                raise ValueError(f"images of '{self.name}' of shape {panel.images.shape}")

    def content(self) -> dict[str, Any]:
        """The panels by the name of their array in images.npz."""
        panels = [
            {"title": panel.title, "columns": panel.columns, "array": f"{self.name}-{place}"}
            for place, panel in enumerate(self.panels)
        ]
        return {**super().content(), "panels": panels}

    def arrays(self) -> dict[str, np.ndarray]:
        """The images by name."""
        return {
            f"{self.name}-{place}": np.asarray(panel.images, np.float32)
            for place, panel in enumerate(self.panels)
        }


def slug(name: str) -> str:
    """A name that files and anchors can have.

    >>> slug("IWAE-64, digits!")
    'iwae-64-digits'
    """
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-") or "it"


def plus_minus(values: Sequence[float], decimals: int = 2) -> str:
    """Mean and sample standard deviation over seeds, "-" for no finite value.

    >>> plus_minus([1.0, 2.0]), plus_minus([1.5]), plus_minus([float("nan")])
    ('1.50 ± 0.71', '1.50', '-')
    """
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) == 0:
        return NONE
    mean = f"{known.mean():z.{decimals}f}"
    return mean if len(known) == 1 else f"{mean} ± {known.std(ddof=1):.{decimals}f}"
