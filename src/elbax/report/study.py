"""The chapter of a study on the report page: verdicts, exhibits, runs, configuration."""

import json
import operator
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from elbax._errors import InputError
from elbax.report import exhibits, tables
from elbax.report.chapter import Chapter, Plate, Section, duration, flat
from elbax.report.run import snr_plates
from elbax.report.tables import Cell, Table

_AGAIN = "run `elbax reproduce` again"


def study_chapter(folder: Path) -> Chapter:
    """What `elbax reproduce` left in a folder.

    Raises:
        InputError: a file is missing or not what its name says.
    """
    content, arrays = _read(folder)
    sections = [Section("verdicts", "Verdicts", "table", _html(verdicts_of(content)))]
    for exhibit in content["exhibits"]:
        name, title = exhibit["name"], exhibit["title"]
        if exhibit["kind"] == "table":
            sections.append(Section(name, title, "table", _html(exhibits.table_of(exhibit))))
        else:
            sections.append(Section(name, title, "plate", _plate(exhibit, arrays)))
    if (folder / "snr.json").exists():
        plates = snr_plates(json.loads((folder / "snr.json").read_text()))
        sections += [Section(plate.name, plate.title, "plate", plate) for plate in plates]
    common, differing = _settings(content["runs"])
    if content["runs"]:
        sections += [
            Section("runs", "Every run", "table", _html(_runs_table(content["runs"], differing))),
            Section("configuration", "Configuration", "settings", common),
        ]
    sections.append(Section("time", "Time and versions", "facts", [_facts(content)]))
    return Chapter(
        name=content["study"],
        title=content["title"],
        lead=[f"{content['claim']}", f"After {content['source']}."],
        summary=_summary(content),
        sections=sections,
        tally=", ".join(f"{count} {name}" for name, count in counts(content).items()),
    )


def verdicts_of(content: dict[str, Any]) -> Table:
    """The verdicts of a study.json."""
    return exhibits.verdict_table(content["verdicts"])


def counts(content: dict[str, Any]) -> dict[str, int]:
    """How many claims had which verdict.

    >>> counts({"verdicts": [{"verdict": "reproduced"}]})
    {'reproduced': 1, 'not reproduced': 0, 'not testable': 0}
    """
    found: dict[str, int] = {"reproduced": 0, "not reproduced": 0, "not testable": 0}
    for verdict in content["verdicts"]:
        found[verdict["verdict"]] += 1
    return found


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    path = folder / "study.json"
    try:
        content = json.loads(path.read_text())
        arrays = {}
        if (folder / "images.npz").exists():
            with np.load(folder / "images.npz", allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read the study in '{folder}' ({error}); {_AGAIN}.") from None
    if not isinstance(content, dict) or content.get("format") != 1:
        raise InputError(f"expected '{path}' as `elbax reproduce` writes it; {_AGAIN}.")
    try:
        _check(content, arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' lacks {error}; {_AGAIN}.") from None
    return content, arrays


_NEEDED = {
    "study": ("study", "title", "source", "claim", "preset", "runs", "versions", "elbax"),
    "verdict": ("claim", "published", "obtained", "error", "verdict", "reason"),
    "exhibit": ("name", "title", "caption", "kind"),
}


def _check(content: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Touch what a chapter is made of: a KeyError says what is missing."""
    operator.itemgetter(*_NEEDED["study"])(content)
    # Names become those of files: nothing but letters, digits, dashes.
    names = [content["study"], *(exhibit["name"] for exhibit in content["exhibits"])]
    if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9_-]{1,80}", str(name))]:
        raise InputError(
            f"expected names of lower-case letters, digits and dashes in a study.json; got "
            f"'{wrong[0]}'; {_AGAIN}."
        )
    for verdict in content["verdicts"]:
        operator.itemgetter(*_NEEDED["verdict"])(verdict)
    for exhibit in content["exhibits"]:
        operator.itemgetter(*_NEEDED["exhibit"])(exhibit)
        for panel in exhibit.get("panels", ()):
            operator.itemgetter(panel["array"])(arrays)


def _html(table: Table) -> Markup:
    return Markup(tables.to_html(table))


def _plate(exhibit: dict[str, Any], arrays: dict[str, np.ndarray]) -> Plate:
    numbers = dict(exhibit)
    if exhibit["kind"] == "images":
        numbers["arrays"] = {
            panel["array"]: np.round(arrays[panel["array"]].astype(float), 4).tolist()
            for panel in exhibit["panels"]
        }
    return Plate(
        name=exhibit["name"],
        title=exhibit["title"],
        caption=exhibit["caption"],
        alt=f"{exhibit['title']}. {exhibit['caption']} {_spoken(exhibit)}",
        numbers=numbers,
        figure=exhibits.figure_of(exhibit, arrays),
        missing="",
    )


def _spoken(exhibit: dict[str, Any]) -> str:
    """The main numbers of a figure, for a reader who cannot see it."""
    if exhibit["kind"] == "lines":
        ends = [f"{line['label']} {line['y'][-1]:.2f}" for line in exhibit["lines"] if line["y"]]
        return f"At the end: {', '.join(ends)}."
    if exhibit["kind"] == "dots":
        last = exhibit["points"][-1]
        ends = [(row["label"], row["values"][-1]) for row in exhibit["rows"]]
        return f"{last}: {', '.join(f'{name} {end:.2f}' for name, end in ends if end)}."
    return f"Panels: {', '.join(panel['title'] for panel in exhibit['panels'])}."


def _summary(content: dict[str, Any]) -> list[tuple[str, str]]:
    preset = content["preset"]
    epochs = ", ".join(f"{name} {count}" for name, count in preset["epochs"].items())
    facts = [("preset", preset["name"])]
    if content["runs"]:
        lost = sum(run["status"] != "ok" for run in content["runs"])
        facts += [
            ("epochs", epochs),
            ("seeds", ", ".join(str(s) for s in sorted({run["seed"] for run in content["runs"]}))),
            ("runs", f"{len(content['runs'])}" + (f", {lost} diverged" if lost else "")),
        ]
    return facts + [(name, str(count)) for name, count in counts(content).items()]


def _flat_settings(run: dict[str, Any]) -> dict[str, str]:
    settings = {"model": run["model"], "train": run["train"]}
    return {"data": run["data"]} | dict(flat(settings))


def _settings(runs: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Settings that all runs have in common, and the names of those in which they differ."""
    every = [_flat_settings(run) for run in runs]
    names = list(dict.fromkeys(name for settings in every for name in settings))
    same = [name for name in names if len({settings.get(name) for settings in every}) == 1]
    common = [(name, every[0][name]) for name in same]
    return common, [name for name in names if name not in same]


def _runs_table(runs: list[dict[str, Any]], differing: list[str]) -> Table:
    columns = ("run", "method", *differing, "status", "log p-hat", "fleet", "folder")
    rows = []
    for run in runs:
        settings = _flat_settings(run)
        log_p_hat = run["metrics"].get("log_p_hat")
        cells = [
            run["name"],
            run["label"],
            *(settings.get(name, "-") for name in differing),
            run["status"],
            "-" if log_p_hat is None else f"{log_p_hat:.2f}",
            duration(run["fleet_seconds"]) or "-",
            run["folder"],
        ]
        rows.append(tuple(Cell(str(cell)) for cell in cells))
    notes = ("fleet: wall-clock time of training all runs of the folder.",)
    return Table("Each run alone", columns, tuple(rows), notes)


def _facts(content: dict[str, Any]) -> list[tuple[str, str]]:
    budget = content["preset"]
    num_data = budget["num_data"]
    folders = {run["folder"]: run["fleet_seconds"] or 0 for run in content["runs"]}
    facts = [
        ("training of all fleets", duration(sum(folders.values())) or "none"),
        ("the last run of this study", duration(content["seconds"]) or "-"),
        ("samples k of the evaluation", ", ".join(map(str, budget["ks"]))),
        ("test data", "all" if num_data is None else f"the first {num_data}"),
        ("device", str(content["device"])),
        ("elbax", str(content["elbax"])),
    ]
    return facts + [(name, str(version)) for name, version in content["versions"].items()]
