"""The report: one HTML file that needs nothing else, with its figures and their numbers beside.

RUN/report.html            tables and figures inline: no network, no scripts
RUN/figures/NAME.png       each figure, for a paper or a slide
RUN/figures/NAME.json      the numbers it shows
"""

from dataclasses import replace
from pathlib import Path

import jinja2

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.report.chapter import Chapter, write_plate
from elbax.report.run import run_chapter
from elbax.report.study import study_chapter


def write_report(*folders: str | Path, out: str | Path | None = None) -> Path:
    """Write `report.html` and `figures/`, from result files alone.

    The same files give the same bytes. Each file is written whole or not at all.

    Args:
        folders: what `elbax evaluate`, `compare` or `reproduce` wrote; one chapter each.
        out: the folder of the page; the first of the folders if omitted.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: if a result file is missing or invalid.
        OutputError: if the directory cannot be written.
    """
    if not folders:
        raise InputError("expected at least one folder to report on; got none.")
    read = [Path(folder) for folder in folders]
    if len({folder.resolve() for folder in read}) < len(read):
        raise InputError("expected different folders to report on; one of them is given twice.")
    chapters = [
        study_chapter(folder) if (folder / "study.json").exists() else run_chapter(folder)
        for folder in read
    ]
    target = read[0] if out is None else Path(out)
    chapters = _told_apart(chapters)
    html = _render(chapters)
    for chapter in chapters:
        for plate in chapter.plates:
            write_plate(target / "figures", plate)
    path = target / "report.html"
    write_atomically(path, html.encode())
    return path


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
        replace(
            chapter,
            sections=[
                replace(
                    section,
                    name=f"{chapter.name}-{section.name}",
                    content=replace(section.content, name=f"{chapter.name}-{section.content.name}")
                    if section.kind == "plate"
                    else section.content,
                )
                for section in chapter.sections
            ],
        )
        for chapter in named
    ]


def _render(chapters: list[Chapter]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("elbax.report"),
        autoescape=True,  # names of runs and data come from outside
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(chapters=chapters)
