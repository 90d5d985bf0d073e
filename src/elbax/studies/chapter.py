"""What a page says of a study: the tally, every claim tested, tables and figures, its runs."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from elbax._errors import InputError
from elbax._reading import UnreadableError, held, read_json, read_npz
from elbax.exhibits import NONE, Chapter, Exhibit, Section, TableExhibit, exhibit_of
from elbax.runs.chapter import duration, flat, settings, snr_section
from elbax.runs.read import measured
from elbax.runs.schemas import Snr

_AGAIN = "run `elbax reproduce` again"
_SIGNS = {
    "reproduced": "\N{CHECK MARK}",
    "not reproduced": "\N{BALLOT X}",
    "not testable": "\N{MIDDLE DOT}",
}


class _Verdict(TypedDict):
    claim: str
    published: float | None
    obtained: float | None
    error: float | None
    verdict: Literal["reproduced", "not reproduced", "not testable"]
    reason: str


class _Exhibit(TypedDict):
    name: str
    title: str
    caption: str
    kind: str


class _Run(TypedDict):
    name: str
    label: str
    data: str
    folder: str
    seed: int
    status: str
    fleet_seconds: float | None
    model: dict[str, Any]
    train: dict[str, Any]
    metrics: dict[str, float | None]


class _Preset(TypedDict):
    name: str
    epochs: dict[str, int]
    ks: list[int]
    num_data: int | None


class Study(TypedDict):
    """What every study.json has; it has more."""

    study: str
    title: str
    source: str
    claim: str
    preset: _Preset
    verdicts: list[_Verdict]
    exhibits: list[_Exhibit]
    runs: list[_Run]
    seconds: float
    device: str
    versions: dict[str, str]
    elbax: str


def study_chapter(folder: Path) -> Chapter:
    """What `elbax reproduce` left in a folder.

    Raises:
        InputError: a file is missing or not what its name says.
    """
    content, exhibits = read_study(folder)
    sections = [
        Section("verdicts", "Every claim, tested", [verdict_table(content["verdicts"])]),
        Section("findings", "Tables and figures", exhibits, "This study has none."),
    ]
    ratios = measured(folder / "snr.json", Snr, "elbax reproduce")
    if ratios is not None:
        sections.append(snr_section(ratios, with_slopes=False))
    if content["runs"]:
        differing, common = _settings(content["runs"])
        runs = _runs_table(content["runs"], differing)
        sections += [
            Section("runs", "Every run", [runs], folded=True),
            Section("configuration", "Configuration", [common], folded=True),
        ]
    sections.append(Section("time", "Time and versions", [_facts(content)], folded=True))
    return Chapter(
        name=content["study"],
        title=content["title"],
        answer=answer(content),
        lead=[f"The paper: {content['claim']}", f"After {content['source']}."],
        summary=_summary(content),
        sections=sections,
        tally=", ".join(f"{count} {name}" for name, count in counts(content).items()),
    )


def counts(content: dict[str, Any]) -> dict[str, int]:
    """How many claims had which verdict.

    >>> counts({"verdicts": [{"verdict": "reproduced"}]})
    {'reproduced': 1, 'not reproduced': 0, 'not testable': 0}
    """
    found: dict[str, int] = dict.fromkeys(_SIGNS, 0)
    for verdict in content["verdicts"]:
        found[verdict["verdict"]] += 1
    return found


def answer(content: dict[str, Any]) -> str:
    """The tally of the verdicts as a sentence.

    >>> answer({"verdicts": [{"verdict": "reproduced"}], "preset": {"name": "quick"}})
    'Of 1 claim 1 is reproduced, 0 are not, and 0 cannot be tested with the preset quick.'
    """
    total, found = len(content["verdicts"]), counts(content)
    yes, no, open_ = found.values()
    return (
        f"Of {total} claim{'s' * (total != 1)} {yes} {_are(yes)} reproduced, {no} {_are(no)} not, "
        f"and {open_} cannot be tested with the preset {content['preset']['name']}."
    )


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> TableExhibit:
    """One row per claim; columns without any number are left out."""
    numbers = {
        "paper": [_signed(verdict["published"]) for verdict in verdicts],
        "obtained": [_signed(verdict["obtained"], verdict["error"]) for verdict in verdicts],
        "difference": [_signed(_gap(verdict)) for verdict in verdicts],
    }
    shown = {name: column for name, column in numbers.items() if set(column) - {NONE}}
    rows = [
        (
            verdict["claim"],
            f"{_SIGNS[verdict['verdict']]} {verdict['verdict']}",
            *(column[place] for column in shown.values()),
            verdict["reason"],
        )
        for place, verdict in enumerate(verdicts)
    ]
    return TableExhibit(
        "verdicts",
        "Every claim, tested",
        "",
        ("claim", "verdict", *shown, "why"),
        rows,
        (
            "An ordering's value is the difference that should be positive (or, of a lowest or "
            "largest, the least distance to the others); ± is its standard error, over seeds and "
            "held-out data where there are several seeds, else over data.",
        ),
    )


def verdict_lines(verdicts: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The same as pairs of lines: the claim with its verdict, and what was found."""
    lines = []
    for verdict in verdicts:
        values = {
            "paper": _signed(verdict["published"]),
            "obtained": _signed(verdict["obtained"], verdict["error"]),
        }
        told = [f"{name} {value}" for name, value in values.items() if value != NONE]
        head = f"{_SIGNS[verdict['verdict']]} {verdict['claim']}: {verdict['verdict']}"
        lines.append((head, "; ".join([*told, verdict["reason"]])))
    return lines


def read_study(folder: Path) -> tuple[dict[str, Any], list[Exhibit]]:
    """The content of a study.json, and its exhibits.

    Raises:
        InputError: a file is missing or not what its name says.
    """
    path = folder / "study.json"
    try:
        content = read_json(path)
        arrays = read_npz(folder / "images.npz") if (folder / "images.npz").exists() else {}
        if content.get("format") != 1:
            raise InputError(f"expected '{path}' as `elbax reproduce` writes it; {_AGAIN}.")
        held(content, Study)
    except (OSError, UnreadableError) as error:
        raise InputError(f"cannot read the study in '{folder}' ({error}); {_AGAIN}.") from None
    try:
        _check(content)
        return content, [exhibit_of(one, arrays) for one in content["exhibits"]]
    except KeyError as error:
        raise InputError(f"'{path}' lacks {error}; {_AGAIN}.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"'{path}' is not as `elbax reproduce` writes it ({error}); {_AGAIN}."
        ) from None


def _check(content: dict[str, Any]) -> None:
    """Names become those of files: nothing but letters, digits, dashes."""
    names = [content["study"], *(exhibit["name"] for exhibit in content["exhibits"])]
    if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9_-]{1,80}", str(name))]:
        raise InputError(
            f"expected names of lower-case letters, digits and dashes in a study.json; got "
            f"'{wrong[0]}'; {_AGAIN}."
        )


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
    return facts


def _flat_settings(run: dict[str, Any]) -> dict[str, str]:
    settings = {"model": run["model"], "train": run["train"]}
    return {"data": run["data"]} | dict(flat(settings))


def _settings(runs: list[dict[str, Any]]) -> tuple[list[str], TableExhibit]:
    """The names of settings in which runs differ, and those that all have in common."""
    every = [_flat_settings(run) for run in runs]
    names = list(dict.fromkeys(name for settings in every for name in settings))
    same = [name for name in names if len({settings.get(name) for settings in every}) == 1]
    table = settings("What all runs have in common", [(name, every[0][name]) for name in same])
    return [name for name in names if name not in same], table


def _runs_table(runs: list[dict[str, Any]], differing: list[str]) -> TableExhibit:
    rows = []
    for run in runs:
        settings = _flat_settings(run)
        log_p_hat = run["metrics"].get("log_p_hat")
        rows.append(
            (
                str(run["name"]),
                str(run["label"]),
                *(settings.get(name, NONE) for name in differing),
                str(run["status"]),
                NONE if log_p_hat is None else f"{log_p_hat:.2f}",
                duration(run["fleet_seconds"]) or NONE,
                str(run["folder"]),
            )
        )
    return TableExhibit(
        "runs",
        "Each run alone",
        "",
        ("run", "method", *differing, "status", "log p-hat", "fleet", "folder"),
        rows,
        ("fleet: wall-clock time of training all runs of the folder.",),
    )


def _facts(content: dict[str, Any]) -> TableExhibit:
    budget = content["preset"]
    num_data = budget["num_data"]
    folders = {run["folder"]: run["fleet_seconds"] or 0 for run in content["runs"]}
    facts = {
        "training of all fleets": duration(sum(folders.values())) or "none",
        "the last run of this study": duration(content["seconds"]) or NONE,
        "samples k of the evaluation": ", ".join(map(str, budget["ks"])),
        "test data": "all" if num_data is None else f"the first {num_data}",
        "device": str(content["device"]),
        "processor": str(content.get("processor", "unknown")),
        "elbax, that wrote this": str(content["elbax"]),
        **{name: str(version) for name, version in content["versions"].items()},
    }
    rows = list(facts.items())
    return TableExhibit("time", "Time and versions", "", ("what", "value"), rows, words=True)


def _gap(verdict: dict[str, Any]) -> float | None:
    """Obtained minus published, where the two are of the same thing."""
    if None in (verdict["published"], verdict["obtained"]) or verdict["verdict"] == "not testable":
        return None
    return verdict["obtained"] - verdict["published"]


def _signed(value: float | None, error: float | None = None) -> str:
    if value is None:
        return NONE
    decimals = 2 if not error or error >= 0.005 else 4  # an error is not said to be 0
    return f"{value:+.{decimals}f}" + ("" if error is None else f" ± {error:.{decimals}f}")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
