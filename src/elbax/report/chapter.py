"""What a page is made of: chapters of sections, and figures with their numbers beside them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from elbax._files import write_atomically
from elbax.report import figures, results
from elbax.report.series import Series


@dataclass(frozen=True)
class Plate:
    """One figure of the page.

    Attributes:
        name: of its files and its anchor.
        title: of its section.
        caption: what is shown, in a sentence or two.
        alt: the same for a reader who cannot see it, with the main numbers.
        numbers: what goes to JSON; nothing is drawn where it has no methods.
        figure: the drawing, None where there is nothing to draw.
        missing: why there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    alt: str
    numbers: Series
    figure: Figure | None
    missing: str

    @property
    def svg(self) -> Markup:
        """The drawing as inline SVG; its text and axes take the page's color."""
        return _inline(figures.render(_drawn(self), "svg", transparent=True), self.name, self.alt)


@dataclass(frozen=True)
class Section:
    """One part of a chapter: `kind` says how the template shows `content`.

    table: HTML; plate: a `Plate`; glossary and settings: pairs; facts: lists of pairs.
    """

    name: str
    title: str
    kind: str
    content: Any


@dataclass(frozen=True)
class Chapter:
    """What the page says of one folder.

    Attributes:
        name: of its anchor; its files lie in figures/NAME/ where a page has several chapters.
        title: a headline.
        lead: what it is about, in paragraphs.
        summary: the main facts, as pairs.
        sections: in order.
        tally: what the contents say beside the title, where there is something to count.
    """

    name: str
    title: str
    lead: list[str]
    summary: list[tuple[str, str]]
    sections: list[Section]
    tally: str = ""

    @property
    def plates(self) -> list[Plate]:
        """Its figures."""
        return [section.content for section in self.sections if section.kind == "plate"]


def write_plate(folder: Path, plate: Plate) -> None:
    """Write a figure and its numbers; where there is none, remove an older report's."""
    image, numbers = folder / f"{plate.name}.png", folder / f"{plate.name}.json"
    if plate.figure is None:
        image.unlink(missing_ok=True)
        numbers.unlink(missing_ok=True)
        return
    figures.save(plate.figure, image)
    text = json.dumps(plate.numbers, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(numbers, f"{text}\n".encode())


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and their values."""
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{name}", text


def duration(seconds: Any) -> str | None:
    """Seconds as people say them.

    >>> duration(3 * 3600 + 125.4)
    '3 h 2 min 5 s'
    """
    known = results.number(seconds)
    if known is None:
        return None
    if known < 60:
        return f"{known:.1f} s"
    minutes, rest = divmod(round(known), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + f"{minutes} min {rest} s"


def _drawn(plate: Plate) -> Figure:
    assert plate.figure is not None
    return plate.figure


def _inline(svg: bytes, name: str, alt: str) -> Markup:
    """An SVG file as an element of a page.

    Without its prolog, namespaces and style sheet, which a page needs none of; with names of its
    own, for those of two figures would clash; with ink in the color of the page's text.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(figures.INK, "currentColor")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1))
