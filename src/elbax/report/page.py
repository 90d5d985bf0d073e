"""The report: one HTML file that needs nothing else, with its figures and their numbers beside.

RUN/report.html            tables and figures inline: no network; its script only sorts tables
RUN/figures/NAME.png       each figure, for a paper or a slide
RUN/figures/NAME.json      what it shows: the exhibit itself
"""

import base64
import hashlib
import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from elbax._errors import InputError
from elbax._files import finite, write_atomically
from elbax.exhibits import Chapter, Exhibit, ImagesExhibit, Section, TableExhibit
from elbax.report import figures, style, tables
from elbax.runs.chapter import chapter_of, together
from elbax.runs.read import folder_names, read
from elbax.runs.snr_exhibits import exhibits_of
from elbax.search.chapter import tune_chapter
from elbax.studies.chapter import study_chapter

# What a folder holds that is none of runs, and who tells of it.
_OTHERS = (("study.json", study_chapter), ("tune.json", tune_chapter))


def write_report(*folders: str | Path, out: str | Path | None = None) -> Path:
    """Write `report.html` and `figures/`, from result files alone.

    The same files give the same bytes. Each file is written whole or not at all. Several folders of
    runs begin with a chapter that has all of them on the same axes.

    Args:
        folders: what `elbax evaluate`, `compare`, `reproduce` or `tune` wrote; one chapter each.
        out: the folder of the page; the first of the folders if omitted.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: if a result file is missing or invalid.
        OutputError: if the directory cannot be written.

    >>> import tempfile
    >>> import elbax
    >>> config, folder = elbax.TrainConfig(epochs=1), tempfile.mkdtemp()
    >>> data = elbax.load_data("digits")
    >>> _ = elbax.fit("iwae(k=2)", data, model="small", config=config, directory=folder)
    >>> _ = elbax.evaluate_runs(elbax.load_runs(folder), ks=(1, 8), num_data=20)
    >>> elbax.write_report(folder).name
    'report.html'
    """
    if not folders:
        raise InputError("expected at least one folder to report on; got none.")
    paths = [Path(folder) for folder in folders]
    if len({folder.resolve() for folder in paths}) < len(paths):
        raise InputError("expected different folders to report on; one of them is given twice.")
    chapters = [_unique(_filled(chapter)) for chapter in _told_apart(_chapters(paths))]
    exhibits = [exhibit for chapter in chapters for exhibit in chapter.exhibits]
    shown = [one for one in exhibits if not isinstance(one, TableExhibit)]
    drawings = {exhibit.name: figures.figure_of(exhibit) for exhibit in shown}
    target = paths[0] if out is None else Path(out)
    html = _render(chapters, drawings)
    _write_figures(target / "figures", shown, drawings)
    path = target / "report.html"
    write_atomically(path, html.encode())
    return path


def _write_figures(folder: Path, shown: Sequence[Exhibit], drawings: Mapping[str, Figure]) -> None:
    """Write the drawings with their numbers; those of an earlier page that are not on it go."""
    for exhibit in shown:
        style.save(drawings[exhibit.name], folder / f"{exhibit.name}.png")
        text = numbers_of(exhibit, with_images=True)
        write_atomically(folder / f"{exhibit.name}.json", f"{text}\n".encode())
    for numbers in folder.glob("*.json"):
        image = numbers.with_suffix(".png")
        if numbers.stem not in drawings and image.exists():
            numbers.unlink()
            image.unlink()


def write_snr(content: dict[str, Any], folder: Path) -> list[Path]:
    """Write snr.json and its figures into `folder`; the files written.

    Everything is drawn before anything is written: a page shows what snr.json holds, so that one
    which cannot be drawn would break the folder's reports.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    exhibits = exhibits_of(content)
    drawn = {one.name: style.render(figures.figure_of(one), "png") for one in exhibits}
    write_atomically(folder / "snr.json", f"{text}\n".encode())
    for name, image in drawn.items():
        write_atomically(folder / "figures" / f"{name}.png", image)
    return [folder / "snr.json", *(folder / "figures" / f"{name}.png" for name in drawn)]


def _chapters(paths: Sequence[Path]) -> list[Chapter]:
    """One for each folder; before those of several folders of runs, one of all of them."""
    others = {path: find for path in paths for name, find in _OTHERS if (path / name).exists()}
    runs = {path: read(path) for path in paths if path not in others}
    named = dict(zip(runs, folder_names(list(runs)), strict=True))
    found = [
        chapter_of(runs[path], named[path]) if path in runs else others[path](path)
        for path in paths
    ]
    if len(runs) > 1:
        found.insert(0, together({named[path]: one for path, one in runs.items()}))
    return found


def _told_apart(chapters: list[Chapter]) -> list[Chapter]:
    """Chapters of one page with names, anchors and files of their own."""
    if len(chapters) == 1:
        return chapters
    names = [chapter.name for chapter in chapters]
    named = [
        replace(chapter, name=name if names.count(name) == 1 else f"{name}-{place + 1}")
        for place, (name, chapter) in enumerate(zip(names, chapters, strict=True))
    ]
    return [
        replace(one, sections=[_prefixed(section, one.name) for section in one.sections])
        for one in named
    ]


def _prefixed(section: Section, name: str) -> Section:
    exhibits = [replace(one, name=f"{name}-{one.name}") for one in section.exhibits]
    return replace(section, name=f"{name}-{section.name}", exhibits=exhibits)


def _filled(chapter: Chapter) -> Chapter:
    """The chapter with a sentence in place of each figure that would show nothing."""

    def shown(exhibit: Exhibit) -> Exhibit:
        if not figures.is_empty(exhibit):
            return exhibit
        why = "Nothing to draw: no run has a value for it, as where all of them diverged."
        return TableExhibit(exhibit.name, exhibit.title, exhibit.caption, (), (), notes=(why,))

    sections = [
        replace(one, exhibits=[shown(exhibit) for exhibit in one.exhibits])
        for one in chapter.sections
    ]
    return replace(chapter, sections=sections)


def _unique(chapter: Chapter) -> Chapter:
    """The chapter with a name for each exhibit that no other has."""
    seen: dict[str, int] = {}

    def named(exhibit: Exhibit) -> Exhibit:
        seen[exhibit.name] = count = seen.get(exhibit.name, 0) + 1
        return exhibit if count == 1 else replace(exhibit, name=f"{exhibit.name}-{count}")

    sections = [
        replace(one, exhibits=[named(exhibit) for exhibit in one.exhibits])
        for one in chapter.sections
    ]
    return replace(chapter, sections=sections)


def _drawn(exhibit: Exhibit, section: Section, drawings: Mapping[str, Figure]) -> dict[str, Any]:
    """What the template shows of an exhibit; a table is not told its section's title again."""
    if isinstance(exhibit, TableExhibit):
        return {"table": Markup(tables.to_html(exhibit, titled=exhibit.title != section.title))}
    figure = drawings[exhibit.name]
    svg = style.render(figure, "svg", transparent=True)
    return {
        "svg": _inline(svg, exhibit, figures.hovers_of(figure)),
        "place": _place(exhibit, section),
        "image": _link("image/svg+xml", svg),
        "numbers": _link("application/json", numbers_of(exhibit).encode()),
    }


def _place(exhibit: Exhibit, section: Section) -> str:
    """How wide a figure may be: images as the page, one that is alone wider than one beside."""
    if isinstance(exhibit, ImagesExhibit):
        return "whole"
    others = [one for one in section.exhibits if not isinstance(one, TableExhibit)]
    return "single" if len(others) == 1 else "beside"


def _link(kind: str, content: bytes) -> str:
    """A file within the page, which is whole wherever it is sent."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def numbers_of(exhibit: Exhibit, *, with_images: bool = False) -> str:
    """The exhibit as JSON; images only where they may take their place."""
    content = exhibit.content()
    if with_images and (arrays := exhibit.arrays()):
        content["arrays"] = {
            name: np.round(array.astype(float), 4).tolist() for name, array in arrays.items()
        }
    return json.dumps(finite(content), indent=1, ensure_ascii=False)


def _inline(svg: bytes, exhibit: Exhibit, hovers: Mapping[str, Sequence[str]]) -> Markup:
    """An SVG file as an element of a page.

    Without its prolog, namespaces and style sheet, which a page needs none of; with names of its
    own, for those of two figures would clash; with ink in the color of the page's text; with
    points that say their values.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    for group, told in hovers.items():
        text = _with_titles(text, group, told)
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{exhibit.name}-", text)
    text = text.replace(style.INK, "currentColor")
    alt = escape(f"{exhibit.title}. {exhibit.caption} {exhibit.spoken}")
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1))


def _with_titles(text: str, group: str, told: Sequence[str]) -> str:
    """Put a title into each marker of a group, in order; browsers show it where one points."""
    before, found, after = text.partition(f'<g id="{group}">')
    titles = iter(told)
    after = re.sub(
        r"(<use [^>]*)/>",
        lambda mark: f"{mark[1]}><title>{escape(next(titles))}</title></use>",
        after,
        count=len(told),
    )
    return before + found + after


def _render(chapters: list[Chapter], drawings: Mapping[str, Figure]) -> str:
    drawn = {
        exhibit.name: _drawn(exhibit, section, drawings)
        for chapter in chapters
        for section in chapter.sections
        for exhibit in section.exhibits
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("elbax.report"),
        autoescape=True,  # names of runs and data come from outside
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (importlib.resources.files("elbax.report") / "templates/report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment.get_template("report.html.j2")
    return template.render(
        chapters=chapters, drawn=drawn, script=Markup(script), script_hash=digest
    )
