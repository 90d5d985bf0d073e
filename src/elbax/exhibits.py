"""What a study shows: tables, lines, dots and images, as data. The report draws them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np


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
        object.__setattr__(self, "name", re.sub(r"[^a-z0-9_]+", "-", self.name.lower()).strip("-"))

    def content(self) -> dict[str, Any]:
        """What goes to JSON: numbers as they are, images by the name of their array."""
        return {"kind": self.kind, **vars(self)}


@dataclass(frozen=True)
class TableExhibit(Exhibit):
    """Texts in rows; the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class LinesExhibit(Exhibit):
    """Lines over a common axis: `{"label", "x", "y"}`, perhaps with an "error" band.

    `levels` are horizontal lines `{"label", "y"}`.
    """

    x: str
    y: str
    lines: Sequence[dict[str, Any]]
    levels: Sequence[dict[str, Any]] = ()
    log_x: bool = False
    kind: ClassVar[str] = "lines"


@dataclass(frozen=True)
class DotsExhibit(Exhibit):
    """Rows of points on one axis, such as IWAE-1, IWAE-64 and log p-hat of every method.

    A row is `{"label", "values"}`, its values in the order of `points`; None is left out.
    """

    x: str
    points: Sequence[str]
    rows: Sequence[dict[str, Any]]
    kind: ClassVar[str] = "dots"


@dataclass(frozen=True)
class Panel:
    """Images `[N, *event]` in [0, 1] under one title, so many side by side."""

    title: str
    images: np.ndarray
    columns: int


@dataclass(frozen=True)
class ImagesExhibit(Exhibit):
    """Panels of images in [0, 1]."""

    panels: Sequence[Panel] = field(default_factory=tuple)
    kind: ClassVar[str] = "images"

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


def plus_minus(values: Sequence[float], decimals: int = 2) -> str:
    """Mean and sample standard deviation over seeds, "-" for no finite value.

    >>> plus_minus([1.0, 2.0]), plus_minus([1.5]), plus_minus([float("nan")])
    ('1.50 ± 0.71', '1.50', '-')
    """
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) == 0:
        return "-"
    mean = f"{known.mean():z.{decimals}f}"
    return mean if len(known) == 1 else f"{mean} ± {known.std(ddof=1):.{decimals}f}"
