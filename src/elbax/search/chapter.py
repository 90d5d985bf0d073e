"""What a page says of a search: the best trial, the path to it, what mattered, every trial."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from elbax._errors import InputError
from elbax._reading import UnreadableError, read_json
from elbax.exhibits import (
    NONE,
    Chapter,
    DotsExhibit,
    Exhibit,
    LinesExhibit,
    Section,
    TableExhibit,
    slug,
)
from elbax.runs.chapter import duration, flat, settings

_MOST = 10  # of the best trials, in the table
_OPTIMISM = (
    "The best of many trials is chosen on the validation data, where it looks better than it is: "
    "train it with the command above and evaluate it on the test data, which no trial has seen."
)


class _Trial(TypedDict):
    number: int
    status: str
    value: float | None
    error: float | None
    epochs: int
    point: dict[str, float | int | str]
    fleet: str | None
    runs: list[str]
    reason: str
    method: str | None


class _Asked(TypedDict):
    method: str
    search: dict[str, str]
    k: int
    seeds: list[int]
    pruner: str
    train: dict[str, Any]
    model: dict[str, Any]


class Tuned(TypedDict):
    """What every tune.json has; it has more."""

    format: int
    elbax: str
    data: str
    search: _Asked
    num_valid: int
    trials: list[_Trial]
    best: int | None
    command: str | None
    importances: dict[str, float]
    seconds: float
    device: str
    versions: dict[str, str]


def tune_chapter(folder: Path) -> Chapter:
    """The search in a folder.

    Raises:
        InputError: its tune.json is missing or not what its name says.
    """
    content = read_tuned(folder)
    asked = content["search"]
    sections = [
        Section("best", "The best trials", [best_table(content)]),
        Section("path", "The path", [path(content), *slices(content)]),
        Section("importance", "What mattered", _importances(content), _NO_IMPORTANCES),
        Section("trials", "Every trial", [_every(content)], folded=True),
        Section("configuration", "Configuration", [_settings(asked)], folded=True),
        Section("time", "Time and versions", [_times(content)], folded=True),
    ]
    command = content["command"]
    lead = [f"In full: {' '.join(command.replace(chr(92), ' ').split())}"] if command else []
    name = folder.resolve().name
    return Chapter(
        name=slug(name),
        title=f"{name}: a search on {content['data']}",
        answer=answer(content),
        lead=[*lead, *([_OPTIMISM] if command else [])],
        summary=_summary(content),
        sections=sections,
    )


_NO_IMPORTANCES = "Nothing can be said of what mattered before a few trials of different values."


def read_tuned(folder: Path) -> Tuned:
    """The content of a tune.json.

    Raises:
        InputError: it is missing or not what its name says.
    """
    path = folder / "tune.json"
    try:
        content: Tuned = read_json(path, Tuned)
    except (OSError, UnreadableError) as error:
        raise InputError(f"cannot read '{path}' ({error}); run `elbax tune` again.") from None
    if content["format"] != 1 or content["best"] not in [None, *_numbers(content)]:
        raise InputError(f"'{path}' is not as `elbax tune` writes it; run it again.")
    return content


def _numbers(content: Tuned) -> list[int]:
    return [trial["number"] for trial in content["trials"]]


def answer(content: Tuned) -> str:
    """What was found, in a sentence."""
    best = next((t for t in content["trials"] if t["number"] == content["best"]), None)
    if best is None:
        return f"None of {_trials(content)} has finished."
    point = ", ".join(f"{name} {_plain(value)}" for name, value in best["point"].items())
    return (
        f"Trial {best['number']} is the best of {_trials(content)}: {point} gives "
        f"IWAE-{content['search']['k']} {_value(best)} nats per datum on "
        f"{content['num_valid']} validation data."
    )


def _trials(content: Tuned) -> str:
    count = len(content["trials"])
    return f"{count} trial{'s' * (count != 1)}"


def _plain(value: float | int | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(trial: _Trial) -> str:
    if trial["value"] is None:
        return NONE
    error = "" if trial["error"] is None else f" ± {trial['error']:.2f}"
    return f"{trial['value']:.2f}{error}"


def _finished(content: Tuned) -> list[_Trial]:
    """The finished trials, the best first."""
    known = [t for t in content["trials"] if t["status"] == "finished" and t["value"] is not None]
    return sorted(known, key=lambda trial: (-(trial["value"] or 0.0), trial["number"]))


def best_table(content: Tuned, most: int = _MOST) -> TableExhibit:
    """The best trials with what was searched."""
    ranked, names = _finished(content)[:most], list(content["search"]["search"])
    k = content["search"]["k"]
    rows = [
        (str(t["number"]), _value(t), *(_plain(t["point"].get(name, NONE)) for name in names))
        for t in ranked
    ]
    return TableExhibit(
        "best-trials",
        "The best trials",
        "",
        ("trial", f"IWAE-{k}", *names),
        rows,
        (
            f"IWAE-{k} in nats per datum on {content['num_valid']} validation data; ± is the "
            "standard error over them, which is the same data for every trial: differences are "
            "known better than that.",
        ),
        [(0, 1)] if rows else (),
    )


def path(content: Tuned) -> LinesExhibit:
    """Every finished trial's value, and the best so far."""
    known = sorted(_finished(content), key=lambda trial: trial["number"])
    numbers, values = [t["number"] for t in known], [float(t["value"] or 0.0) for t in known]
    best = [max(values[: place + 1]) for place in range(len(values))]
    steps = {  # level until a trial is better
        "x": [x for pair in zip(numbers, numbers, strict=True) for x in pair][1:],
        "y": [y for pair in zip(best, best, strict=True) for y in pair][:-1],
    }
    lines = [
        {"label": "best so far", **steps},
        {"label": "finished trial", "x": numbers, "y": values, "points": True},
    ]
    return LinesExhibit(
        "path",
        "The best value against trials",
        "Finished trials alone; the first ones are drawn at random.",
        "trial",
        _axis(content),
        lines if known else (),
    )


def _axis(content: Tuned) -> str:
    return f"validation IWAE-{content['search']['k']} (nats)"


def slices(content: Tuned) -> list[LinesExhibit]:
    """The value against each number that was searched, of trials that finished and that did not."""
    kinds = {"finished": _finished(content)}
    kinds["pruned"] = [
        t for t in content["trials"] if t["status"] == "pruned" and t["value"] is not None
    ]
    found = []
    for name, text in content["search"]["search"].items():
        lines = [
            {"label": label, "points": True, **_points(name, trials)}
            for label, trials in kinds.items()
            if trials and all(isinstance(t["point"].get(name), int | float) for t in trials)
        ]
        if len({x for line in lines for x in line["x"]}) > 1:
            found.append(
                LinesExhibit(
                    f"slice-{name}",
                    f"Trials by {name}",
                    "Pruned trials stand at the value that they were ended with.",
                    name,
                    _axis(content),
                    lines,
                    log_x=text.endswith(":log"),
                )
            )
    return found


def _points(name: str, trials: Sequence[_Trial]) -> dict[str, list[float]]:
    pairs = sorted((float(t["point"][name]), float(t["value"] or 0.0)) for t in trials)
    return {"x": [x for x, _ in pairs], "y": [y for _, y in pairs]}


def _importances(content: Tuned) -> list[Exhibit]:
    found = sorted(content["importances"].items(), key=lambda pair: -pair[1])
    if not found:
        return []
    rows = [{"label": name, "values": [share]} for name, share in found]
    return [
        DotsExhibit(
            "importances",
            "What mattered",
            "Share of the variation of finished trials' values that each setting accounts for by "
            "itself and with others (functional ANOVA on a random forest, Hutter et al. 2014). Of "
            "the values that were searched, and few trials tell little.",
            "share of the variation",
            ("share",),
            rows,
        )
    ]


def _every(content: Tuned) -> TableExhibit:
    names = list(content["search"]["search"])
    rows = [
        (
            str(t["number"]),
            t["status"] if not t["reason"] else f"{t['status']}: {t['reason']}",
            _value(t),
            str(t["epochs"]),
            *(_plain(t["point"].get(name, NONE)) for name in names),
            NONE if t["fleet"] is None else f"runs/{t['fleet']}",
        )
        for t in content["trials"]
    ]
    columns = ("trial", "status", f"IWAE-{content['search']['k']}", "epochs", *names, "folder")
    return TableExhibit("trials", "Every trial", "", columns, rows)


def _summary(content: Tuned) -> list[tuple[str, str]]:
    counts = Counter(trial["status"] for trial in content["trials"])
    fleets = {trial["fleet"] for trial in content["trials"] if trial["fleet"] is not None}
    asked = content["search"]
    return [
        ("method", _method(asked)),
        ("trials", ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"),
        ("fleets", str(len(fleets))),
        ("validation data", str(content["num_valid"])),
        ("seeds of a trial", ", ".join(map(str, asked["seeds"]))),
        ("epochs of a trial", str(asked["train"].get("epochs"))),
    ]


def _method(asked: _Asked) -> str:
    """The method less the numbers that vary."""
    name, _, inside = asked["method"].removesuffix(")").partition("(")
    said = [one for one in inside.split(", ") if one.partition("=")[0] not in asked["search"]]
    return f"{name}({', '.join(said)})"


def _settings(asked: _Asked) -> TableExhibit:
    return settings("What all trials have in common, and what varies", list(flat(asked)))


def _times(content: Tuned) -> TableExhibit:
    facts = {
        "the last call": duration(content["seconds"]) or NONE,
        "device": content["device"],
        "elbax, that wrote this": content["elbax"],
        **content["versions"],
    }
    rows = list(facts.items())
    return TableExhibit("time", "Time and versions", "", ("what", "value"), rows, words=True)
