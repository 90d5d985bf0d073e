"""Exhibits as they were stored, held against what each kind has."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NotRequired, TypedDict

import numpy as np

from elbax._reading import UnreadableError, held
from elbax.exhibits.kinds import (
    DotsExhibit,
    Exhibit,
    HistogramExhibit,
    ImagesExhibit,
    LinesExhibit,
    Panel,
    PointsExhibit,
    TableExhibit,
)


class _Told(TypedDict):
    name: str
    title: str
    caption: str


class _Table(_Told):
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]
    strong: NotRequired[list[tuple[int, int]]]
    meanings: NotRequired[dict[str, str]]
    words: NotRequired[bool]


class _Line(TypedDict):
    label: str
    x: list[float]
    y: list[float | None]
    error: NotRequired[list[float | None] | None]
    low: NotRequired[list[float | None]]
    high: NotRequired[list[float | None]]
    theory: NotRequired[list[float | None]]
    points: NotRequired[bool]


class _Level(TypedDict):
    label: str
    y: float


class _Lines(_Told):
    x: str
    y: str
    lines: list[_Line]
    levels: list[_Level]
    log_x: bool
    log_y: NotRequired[bool]
    ticks: NotRequired[list[float]]
    floor: NotRequired[list[float]]
    equals: NotRequired[bool]


class _Row(TypedDict):
    label: str
    values: list[float | None]
    errors: NotRequired[list[float | None]]


class _Dots(_Told):
    x: str
    points: list[str]
    rows: list[_Row]


class _Heights(TypedDict):
    label: str
    heights: list[float]


class _Histogram(TypedDict):
    title: str
    edges: list[float]
    lines: list[_Heights]
    mark: NotRequired[float | None]
    band: NotRequired[list[float] | None]
    names: NotRequired[list[str]]


class _Histograms(_Told):
    x: str
    y: str
    panels: list[_Histogram]
    log: bool
    filled: NotRequired[bool]


class _Place(TypedDict):
    title: str
    x: str
    y: str
    across: list[float]
    up: list[float]


class _Points(_Told):
    panels: list[_Place]
    columns: int


class _Picture(TypedDict):
    title: str
    columns: int
    array: str


class _Pictures(_Told):
    panels: list[_Picture]


_KINDS: dict[str, tuple[type[Exhibit], Any]] = {
    "table": (TableExhibit, _Table),
    "lines": (LinesExhibit, _Lines),
    "dots": (DotsExhibit, _Dots),
    "histogram": (HistogramExhibit, _Histograms),
    "points": (PointsExhibit, _Points),
    "images": (ImagesExhibit, _Pictures),
}


def exhibit_of(content: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Exhibit:
    """The exhibit that `content()` and `arrays()` told.

    Raises:
        KeyError: no such kind, or an image is missing.
        ValueError: something is not what it should be; where, the text says.
    """
    kind, schema = _KINDS[content["kind"]]
    try:
        held(content, schema)
    except UnreadableError as error:
        raise ValueError(f"exhibit '{content.get('name')}': {error}") from None
    known = {one.name: content[one.name] for one in fields(kind) if one.name in content}
    if kind is ImagesExhibit:
        known["panels"] = [
            Panel(str(one["title"]), arrays[one["array"]], int(one["columns"]))
            for one in content["panels"]
        ]
    exhibit = kind(**known)
    exhibit.check()
    return exhibit
