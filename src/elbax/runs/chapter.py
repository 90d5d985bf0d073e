"""What a page says of a run folder: the answer, the comparison, figures, every run, settings."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from elbax._version import __version__
from elbax.evaluation.images import are_images
from elbax.exhibits import (
    NONE,
    Chapter,
    HistogramExhibit,
    ImagesExhibit,
    Panel,
    Section,
    TableExhibit,
    slug,
)
from elbax.models.config import ModelConfig
from elbax.runs import comparison, curves, metrics
from elbax.runs.calibration import calibration_figure, calibration_table
from elbax.runs.columns_exhibits import is_table, table_sections
from elbax.runs.groups import Method, by_method, number
from elbax.runs.held_out_exhibits import held_out_of
from elbax.runs.read import RunResults, read
from elbax.runs.snr_exhibits import exhibits_of, slopes
from elbax.runs.trust import trust_table
from elbax.training.config import TrainConfig
from elbax.training.environment import changes

_NO_IMAGES = "The run folder holds no images.npz; evaluate it again."
_MOST_ROWS = 8  # runs in one figure of units
_NUM_REBUILT, _NUM_DRAWN = 10, 25


def run_chapter(folder: Path) -> Chapter:
    """The runs of one folder: what was found, then how.

    Raises:
        InputError: a result file is missing or not what its name says.
    """
    return chapter_of(read(folder), folder.resolve().name)


def chapter_of(run_results: RunResults, name: str) -> Chapter:
    """The same for what was read already."""
    content = run_results.results
    table = comparison.comparison(content, run_results.per_datum)
    data = content["dataset"].get("name", "the data")
    return Chapter(
        name=slug(name),
        title=name if name == data else f"{name}: {data}",
        answer=comparison.answer(content, run_results.per_datum),
        lead=[],
        summary=_summary(run_results),
        sections=[
            Section("comparison", "Comparison", [table]),
            *_figures(run_results),
            Section("metrics", "How to read the metrics", [_glossary(content)], folded=True),
            Section("runs", "Every run", [comparison.runs(content)], folded=True),
            Section("configuration", "Configuration", [_settings(run_results)], folded=True),
            Section("time", "Time and versions", [_times(run_results)], folded=True),
        ],
    )


def together(named: Mapping[str, RunResults]) -> Chapter:
    """Several folders beside each other: of the same data one comparison and one set of axes."""
    rows = [(name, comparison.answer(one.results, one.per_datum)) for name, one in named.items()]
    found = TableExhibit("found", "What each folder found", "", ("folder", "found"), rows)
    fingerprints = {_fingerprint(one) for one in named.values()}
    if len(fingerprints) > 1:
        answer = "These folders are of different data, whose nats are not comparable."
        sections = [Section("found", "What each folder found", [found])]
        return Chapter("together", "Together", answer, [], [], sections)
    shared = set.intersection(*(set(curves.held_out(one)) for one in named.values()))
    overlay = curves.overlay(dict(named), f"iwae_{max(shared)}" if shared else "bound")
    sections = [Section("overlay", "Learning curves of all folders", [overlay, found])]
    all_of_them = joined(named)
    answer = "The folders were evaluated in different ways: evaluate them alike to compare them."
    if all_of_them is not None:
        answer = comparison.answer(*all_of_them)
        table = comparison.comparison(*all_of_them)
        sections.insert(0, Section("comparison", "Comparison", [table]))
    if cells := held_out_of(named):
        sections.insert(len(sections) - 1, Section("held-out-cells", "Held-out cells", cells))
    return Chapter("together", "Together", answer, [], [], sections)


def _fingerprint(run_results: RunResults) -> str:
    data = run_results.config.get("data")
    return str(data.get("fingerprint") if isinstance(data, dict) else data)


def joined(
    named: Mapping[str, RunResults], *, prefixed: bool = True
) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """The results of all folders as those of one, if they are of the same evaluation.

    Args:
        named: the folders' results, by name.
        prefixed: put the folder's name before those of its runs and methods; without it runs of
            one method in several folders count as runs of that method.
    """
    first = next(iter(named.values())).results
    settings = ("ks", "num_data", "seed")
    alike = all(
        [one.results["evaluation"].get(name) for name in settings]
        == [first["evaluation"].get(name) for name in settings]
        for one in named.values()
    )
    arrays = [one.per_datum for one in named.values() if one.per_datum is not None]
    if not alike or len(arrays) < len(named):
        return None
    runs = [
        run | {key: f"{name}: {run[key]}" for key in ("name", "method", "label") if prefixed}
        for name, one in named.items()
        for run in one.results["runs"]
    ]
    per_datum = {key: np.concatenate([one[key] for one in arrays]) for key in ("bounds", "finite")}
    return first | {"runs": runs}, per_datum


def _figures(run_results: RunResults) -> Iterator[Section]:
    """The figures in the order of the page."""
    content = run_results.results
    lines = [curves.learning_curves(run_results), curves.bounds_by_k(content)]
    shown = [exhibit for exhibit in lines if exhibit.lines]
    if is_table(run_results):
        yield from table_sections(run_results)
    if (table := trust_table(content)) is not None:
        yield Section("trust", "How far log p-hat can be trusted", [table])
    gaps = curves.gaps(content)
    yield Section("bounds", "Bounds", [*shown, *gaps], "No run finished with an epoch or a bound.")
    moving = [curves.courses(run_results), curves.snr_curves(run_results)]
    if known := [exhibit for exhibit in moving if exhibit.lines]:
        yield Section("training", "While training", known)
    shape = content["dataset"].get("event_shape") or []
    if run_results.images is not None or are_images(shape):
        yield Section("images", "Images", _images(run_results), _NO_IMAGES)
    if run_results.snr is not None:
        yield snr_section(run_results.snr)
    if run_results.calibration is not None:
        shown = [calibration_figure(run_results.calibration)]
        table = calibration_table(run_results.calibration)
        yield Section("calibration", "Calibration of the encoder", [*shown, table])
    if run_results.units is not None:
        yield Section("active-units", "Active units", [_units(run_results.units)])


def snr_section(content: dict[str, Any], *, with_slopes: bool = True) -> Section:
    """What `elbax snr` measured."""
    table = [slopes(content)] if with_slopes else []
    return Section("snr", "Signal-to-noise ratio", [*table, *exhibits_of(content)])


def _images(run_results: RunResults) -> list[ImagesExhibit]:
    """Reconstructions and samples of each method, by its first finished seed."""
    images, methods = run_results.images, by_method(run_results.results)
    if images is None:
        return []
    first = images["originals"][:_NUM_REBUILT]
    columns = len(first)
    rebuilt = [Panel("originals", first, columns)]
    rebuilt += [_panel(m, images["reconstructions"], columns, columns) for m in methods]
    drawn = min(_NUM_DRAWN, images["samples"].shape[1])
    across = int(np.ceil(drawn**0.5))
    return [
        ImagesExhibit(
            "reconstructions",
            "Reconstructions",
            "Held-out images in the first row; below, their reconstructions from the posterior "
            "mean by the first finished seed of each method.",
            rebuilt,
        ),
        ImagesExhibit(
            "prior-samples",
            "Samples from the prior",
            "Images decoded from draws of the prior, by the first finished seed of each method.",
            [_panel(method, images["samples"], drawn, across) for method in methods],
        ),
    ]


def _panel(method: Method, images: np.ndarray, count: int, columns: int) -> Panel:
    return Panel(method.label, images[method.shown][:count], columns)


def _units(units: dict[str, Any]) -> HistogramExhibit:
    """Which units are active, and what pruning the others changes."""
    changes = ", ".join(
        f"{run['name']} {'+'.join(map(str, run['active']))} active, {_change(run)} nats"
        for run in units["runs"]
    )
    edges = np.linspace(-6, 1, 36)
    panels = [
        {
            "title": f"{run['name']}, layer {layer + 1}: {run['active'][layer]} of {len(found)}",
            "edges": edges.tolist(),
            "lines": [{"label": "", "heights": _heights(found, edges)}],
            "mark": float(np.log10(float(units["threshold"]))),
        }
        for run in units["runs"][:_MOST_ROWS]
        for layer, found in enumerate(run["variances"])
    ]
    return HistogramExhibit(
        "active-units",
        "Active units",
        "Variance over held-out data of each unit's posterior mean, by layer; right of the dashed "
        f"line ({units['threshold']:g}) a unit is active. Without the inactive units log p-hat "
        f"changes by: {changes}.",
        "variance of the posterior mean",
        "units",
        panels,
        log=True,
    )


def _change(run: dict[str, Any]) -> str:
    """What pruning changes; of a run that diverged, nothing is known."""
    if run["change"] is None:
        return NONE
    return f"{run['change']:+.3f} ± {run['standard_error'] or 0:.3f}"


def _heights(variances: list[float | None], edges: np.ndarray) -> list[int]:
    """Counts of log10 variances; estimates below 1e-6, negative ones among them, count there."""
    known = np.array([value for value in variances if value is not None], float)
    logs = np.log10(np.maximum(known, 1e-6)).clip(edges[0], edges[-1])
    return np.histogram(logs, bins=edges)[0].tolist()


def _glossary(content: dict[str, Any]) -> TableExhibit:
    words = [
        ("datum", "One image, or one row of a table; values are means over held-out data."),
        ("fleet", "Runs that share one compiled program, such as the seeds of a method."),
        (
            "MIWAE(m,k)",
            "The mean of m IWAE bounds of k samples each (Rainforth et al. 2018), not the method "
            "for missing data of that name.",
        ),
    ]
    columns = metrics.every(content["evaluation"]["ks"])
    rare = [] if metrics.measured([metrics.BITS_PER_DIM], content["runs"]) else ["bits_per_dim"]
    shown = [metric for metric in columns if metric.key not in rare]
    rows = [*words, *((metric.name, metric.meaning) for metric in shown)]
    return TableExhibit("glossary", "How to read the metrics", "", ("word", "meaning"), rows)


def _settings(run_results: RunResults) -> TableExhibit:
    told_elsewhere = ("runs", "format")
    config = {k: value for k, value in run_results.config.items() if k not in told_elsewhere}
    if is_table(run_results):  # its columns are a table of their own
        config["model"] = {k: value for k, value in config["model"].items() if k != "table"}
    return settings("The settings of every run here", list(flat(config)))


def settings(title: str, rows: Sequence[tuple[str, str]]) -> TableExhibit:
    """Settings by their dotted names, as `flat` has them; what is not the default in bold."""
    usual = dict(flat({"model": asdict(ModelConfig().explicit), "train": asdict(TrainConfig())}))
    strong = [
        (place, 1)
        for place, (name, value) in enumerate(rows)
        if name in usual and value != usual[name]
    ]
    notes = ("Bold: not the default.",) if strong else ()
    columns = ("setting", "value")
    return TableExhibit("configuration", title, "", columns, rows, notes, strong, words=True)


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and their values as people write them.

    >>> list(flat({"model": {"hidden": (200, 200), "own": None}}))
    [('model.hidden', '200, 200'), ('model.own', '-')]
    """
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "-"
    if value is None or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)


def duration(seconds: Any) -> str | None:
    """Seconds as people say them.

    >>> duration(3 * 3600 + 125.4)
    '3 h 2 min 5 s'
    """
    known = number(seconds)
    if known is None:
        return None
    if known < 60:
        return f"{known:.1f} s"
    minutes, rest = divmod(round(known), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + f"{minutes} min {rest} s"


def _epochs(training: dict[str, Any]) -> str | None:
    """How many were trained, and of how many where that is not all."""
    done, of = training.get("epochs"), training.get("epochs_in_all")
    if done is None:
        return None
    return str(done) if of is None or done >= of else f"{done} of {of}"


def _summary(run_results: RunResults) -> list[tuple[str, str]]:
    content, of_table = run_results.results, is_table(run_results)
    data, runs = content["dataset"], content["runs"]
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, data.get("event_shape") or []))
    ended = Counter(run["status"] for run in runs if run["status"] != "ok")
    facts = {
        "training data": data.get("num_train"),
        "test data": data.get("num_test"),
        "columns" if of_table else "shape of a datum": shape or None,
        "binarization": None if of_table else data.get("binarise"),
        "methods": len(by_method(content)),
        "runs": ", ".join([str(len(runs)), *(f"{n} {status}" for status, n in ended.items())]),
        "epochs": _epochs(content["training"]),
    }
    return [(name, str(fact)) for name, fact in facts.items() if fact is not None]


def _times(run_results: RunResults) -> TableExhibit:
    content = run_results.results
    training, evaluation = content["training"], content["evaluation"]
    facts = {
        "training": duration(training.get("seconds")),
        "evaluation": duration(evaluation.get("seconds")),
        "epochs": _epochs(training),
        "optimizer steps": training.get("steps"),
        "compilations of the training program": training.get("compilations"),
        "device": training.get("device"),
        "processor": training.get("processor"),
        "threads": training.get("threads"),
        "flags": " ".join(f"{k}={v}" for k, v in (training.get("flags") or {}).items()) or None,
        "samples k of the evaluation": ", ".join(map(str, evaluation["ks"])),
        "elbax, that wrote the results": content.get("elbax", "unknown"),
        **{f"{k}, at training": v for k, v in (training.get("versions") or {}).items()},
        "evaluated elsewhere": "; ".join(changes(training, evaluation)) or None,
        "elbax, that wrote this page": __version__,
    }
    rows = [(name, str(fact)) for name, fact in facts.items() if fact is not None]
    return TableExhibit("time", "Time and versions", "", ("what", "value"), rows, words=True)
