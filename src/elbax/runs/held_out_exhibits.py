"""What columns.json holds of held-out cells, as exhibits: are imputations calibrated?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from elbax.evaluation.reliability import khat_threshold
from elbax.exhibits import NONE, Exhibit, HistogramExhibit, LinesExhibit, TableExhibit
from elbax.runs.columns_file import BINS, LEVELS
from elbax.runs.groups import by_method, in_parts, plain
from elbax.runs.read import RunResults

LINES = 4  # methods in one figure
_MOST = 24  # columns with a figure
_BAND = 0.99  # of bins lie in it, were all well
_DOUBT = 0.01  # a p-value from which on a PIT is taken for uniform
_FAR = 3.3  # standard errors of a coverage, from which on it is off
_NEAR = 2.0  # from which on it may be
_FINE = "no fault seen"
_FEW = 20  # cells of which a PIT says something

Labeled = tuple[str, dict[str, Any]]


def labels_of(results: dict[str, Any]) -> dict[int, str]:
    """What the methods of shown runs are called, by the index of the run."""
    return {method.shown: method.label for method in by_method(results)}


def held_out_of(named: Mapping[str, RunResults]) -> list[Exhibit]:
    """Table and coverage of all folders of one evaluation; nothing where some have hidden no cell.

    Args:
        named: what folders hold, by name; of one of them methods keep their own names.
    """
    found, alike = [], set()
    for name, one in named.items():
        if one.columns is None:
            return []
        alike.add(tuple(one.columns[key] for key in ("num_rows", "num_rounds", "num_samples")))
        before = f"{name}: " if len(named) > 1 else ""
        labels = labels_of(one.results)
        found += [
            (before + labels.get(run["index"], str(run["name"])), run)
            for run in one.columns["runs"]
            if run["cells"] is not None
        ]
    first = next(iter(named.values())).columns
    if not found or first is None or len(alike) > 1:
        return []
    return [held_out_table(first, found), *_coverage(found)]


def held_out(content: dict[str, Any], runs: Sequence[Labeled]) -> list[Exhibit]:
    """All of it, of runs with their methods' names, of which cells were hidden."""
    found: list[Exhibit] = [held_out_table(content, runs)]
    found += [*_coverage(runs), *_transforms(content, runs)]
    for label, run in runs:
        found += _by_column(content, label, run)
    return found


def held_out_table(content: dict[str, Any], runs: Sequence[Labeled]) -> TableExhibit:
    """One row per method: all columns of numbers, all of categories, and what can be trusted."""
    rows = []
    for label, run in runs:
        joint, cells = run["joint"], run["cells"]
        numbers = [
            (one["rmse"] / column["sd"], one["rmse_alone"] / column["sd"])
            for one, column in zip(cells, content["columns"], strict=True)
            if one.get("rmse") is not None and one.get("rmse_alone") is not None and column["sd"]
        ]
        named = [one for one in cells if "accuracy" in one]
        count = sum(one["count"] for one in named)
        right = [
            sum(one[name] * one["count"] for one in named) / count if count else None
            for name in ("accuracy", "accuracy_alone")
        ]
        mean = [float(np.mean(part)) for part in zip(*numbers, strict=True)] or [None, None]
        rows.append(
            (
                label,
                *(f"{_held(joint, level)}" for level in (0.5, 0.9)),
                _pair(mean, 2),
                _pair([None if one is None else 100 * one for one in right], 0),
                _gain(cells),
                f"{joint['unreliable']} of {joint['count']}",
                _joint_verdict(joint),
            )
        )
    return TableExhibit(
        "held-out-cells",
        "Held-out cells, all columns",
        "",
        ("method", "50 % hold", "90 % hold", "RMSE / sd", "right, %", "gain", "flagged", "verdict"),
        rows,
        (
            f"Of the first {content['num_rows']} held-out rows every observed cell was hidden "
            f"once, at random, in {content['num_rounds']} rounds, and drawn given the rest of its "
            f"row by {content['num_samples']} samples.",
            "50 % hold: how often the central half of the draws holds the cell, in per cent, over "
            "all columns of numbers, ± the standard error over rows; it should be 50, and 90 in "
            "the next column. Less: imputations are too sure of themselves.",
            "RMSE / sd: of means, each column in its own sd, averaged; in brackets that of the "
            "training mean. right: categories that the most probable one meets; in brackets the "
            "most frequent one.",
            "gain: nats per cell that the rest of the row adds to log p, over a column by itself "
            "(its own kind, fitted by moments).",
            "flagged: cells whose Pareto k-hat is above "
            f"{khat_threshold(content['num_samples']):.2f}: what is drawn for them may be off.",
        ),
    )


def _held(joint: dict[str, Any], level: float) -> str:
    at = LEVELS.index(level)
    held, error = joint["coverage"][at], joint["error"][at]
    return NONE if held is None else f"{100 * held:.1f} ± {100 * (error or 0.0):.1f}"


def _gain(cells: Sequence[dict[str, Any]]) -> str:
    known = [(one["gain"], one["count"]) for one in cells if one.get("gain") is not None]
    count = sum(number for _, number in known)
    return f"{sum(g * n for g, n in known) / count:+.3f}" if count else NONE


def _joint_verdict(joint: dict[str, Any]) -> str:
    """What half and nine tenths of the draws say: surely beyond 3.3 standard errors."""
    at = [LEVELS.index(level) for level in (0.5, 0.9)]
    if any(joint["coverage"][place] is None for place in at):
        return NONE
    off = [
        (joint["coverage"][place] - LEVELS[place]) / max(joint["error"][place] or 0.0, 1e-9)
        for place in at
    ]
    for far, word in ((_FAR, ""), (_NEAR, "perhaps ")):
        if (said := _said(min(off), max(off), 1.0, far)) != _FINE:
            return word + said
    return _FINE


def _said(lowest: float, highest: float, p_value: float, far: float = _FAR) -> str:
    """What coverage and PIT say of draws."""
    is_narrow, is_wide = lowest < -far, highest > far
    if is_narrow != is_wide:
        return "too narrow" if is_narrow else "too wide"
    return "off" if is_narrow or p_value < _DOUBT else _FINE


def _coverage(runs: Sequence[Labeled]) -> list[Exhibit]:
    """Nominal against actual coverage, with the diagonal that it should be, of numbers."""
    runs = [one for one in runs if one[1]["joint"]["coverage"][0] is not None]
    nominal = [100 * level for level in LEVELS]
    lines = [
        {
            "label": label,
            "x": nominal,
            "y": [None if one is None else 100 * one for one in run["joint"]["coverage"]],
            "error": [1.96 * 100 * (one or 0.0) for one in run["joint"]["error"]],
        }
        for label, run in runs[:LINES]
    ]
    figure = LinesExhibit(
        "coverage",
        "Do intervals hold what they promise?",
        "How often central intervals of the draws hold a hidden cell, against how often they "
        "should, over all columns of numbers; the bands are 95 % by the spread over rows. Below "
        "the dashed line imputations are too narrow, above it too wide.",
        "promised, %",
        "held, %",
        lines,
        equals=True,
    )
    return [figure] if lines else []


def _transforms(content: dict[str, Any], runs: Sequence[Labeled]) -> list[Exhibit]:
    """PIT histograms of columns of numbers, with the band of uniform ones."""
    panels = []
    for index, column in enumerate(content["columns"]):
        own = [(label, run["cells"][index]) for label, run in runs[:LINES]]
        known = [(label, one) for label, one in own if one.get("pit") and one["count"] >= _FEW]
        if not known:
            continue
        count = known[0][1]["count"]
        ends = scipy.stats.binom.ppf([(1 - _BAND) / 2, (1 + _BAND) / 2], count, 1 / BINS) / count
        panels.append(
            {
                "title": f"{column['name']}, {count} cells",
                "edges": np.linspace(0, 1, BINS + 1).tolist(),
                "lines": [
                    {
                        "label": label * (len(runs) > 1),
                        "heights": [n / max(1, one["count"]) for n in one["pit"]],
                    }
                    for label, one in known
                ],
                "band": ends.tolist(),
            }
        )
    caption = (
        "Where hidden cells lie among the draws made for them, as a share of these; gray, where "
        "99 % of the bars lie if cell and draws are from one distribution. High at both ends: too "
        "narrow; high in the middle: too wide; high on one side: too low or too high. Columns of "
        f"{_FEW} cells or more."
    )
    return [
        HistogramExhibit(name, title, caption, "share of the draws below", "share", part)
        for name, title, part in in_parts("pit", "Cells among their draws (PIT)", panels[:_MOST])
    ]


def _by_column(content: dict[str, Any], label: str, run: dict[str, Any]) -> list[TableExhibit]:
    """Tables of the columns of numbers and of the categories of one method."""
    numbers, named, bold, bold_named = [], [], [], []
    tested = sum("pit" in one for one in run["cells"]) or 1
    for column, one in zip(content["columns"], run["cells"], strict=True):
        if not one["count"]:
            continue
        start = (column["name"], f"{one['count']}")
        gain = f"{plain(one['gain'], 2, '+')} ± {plain(one['gain_error'], 2)}"
        end = (plain(one["nll"], 2), gain)
        is_sure = one["gain"] is not None and abs(one["gain"]) > 2 * (one["gain_error"] or 0.0)
        if "accuracy" in one:
            shares = [f"{100 * one[key]:.0f}" for key in ("accuracy", "accuracy_alone", "promised")]
            bold_named += [(len(named), 6)] * is_sure
            named.append((*start, *shares, *end))
            continue
        bold += [(len(numbers), 9)] * is_sure
        sizes = [plain(one[key]) for key in ("rmse", "rmse_alone", "mae", "mae_alone")]
        in_sd = [_ratio(one[key], column["sd"]) for key in ("rmse", "mae")]
        numbers.append((*start, *sizes, *in_sd, *end, *_column_coverage(one, tested)))
    known = " Bold: beyond two standard errors."
    gained = "gain: nats per cell over the column by itself, ± the standard error over cells."
    found = []
    if numbers:
        found.append(
            TableExhibit(
                f"numbers-{label}",
                f"Columns of numbers, {label}",
                "",
                (
                    *("column", "cells", "RMSE", "of mean", "MAE", "of median"),
                    *("RMSE / sd", "MAE / sd", "-log p", "gain", "50 % hold", "90 % hold"),
                    *("PIT p", "verdict"),
                ),
                numbers,
                (
                    "RMSE of the mean and MAE of the median, in the units of the table, beside "
                    "those of the training mean and median; / sd in the training sd.",
                    f"-log p in nats per cell. {gained}{known * bool(bold)}",
                    "hold: in per cent; ± the binomial error that the promised share has. PIT p: "
                    "of a PIT so far from uniform; the verdict takes it times the columns.",
                ),
                bold,
            )
        )
    if named:
        found.append(
            TableExhibit(
                f"categories-{label}",
                f"Columns of categories, {label}",
                "",
                ("column", "cells", "right, %", "of mode", "promised, %", "-log p", "gain"),
                named,
                (
                    "right: cells that the most probable category meets; of mode, the most "
                    "frequent one; promised, how probable the model says its choice is: were it "
                    "calibrated, as often as it is right.",
                    f"-log p in nats per cell. {gained}{known * bool(bold_named)}",
                ),
                bold_named,
            )
        )
    return found


def _column_coverage(one: dict[str, Any], tested: int) -> tuple[str, ...]:
    """How often two intervals hold, the p-value of the PIT, and what both say."""
    errors = {level: np.sqrt(level * (1 - level) / one["count"]) for level in LEVELS}
    held = dict(zip(LEVELS, one["coverage"], strict=True))
    off = [(held[level] - level) / errors[level] for level in LEVELS if level >= 0.5]
    p_value = one["p_value"] if one["p_value"] is not None else 1.0
    verdict = _said(min(off), max(off), p_value * tested) if one["count"] >= _FEW else "too few"
    return (
        *(f"{100 * held[level]:.0f} ± {100 * errors[level]:.0f}" for level in (0.5, 0.9)),
        f"{p_value:.2g}",
        verdict,
    )


def _pair(both: Sequence[float | None], decimals: int) -> str:
    found, usual = both
    if found is None or usual is None:
        return NONE
    return f"{found:.{decimals}f} ({usual:.{decimals}f})"


def _ratio(value: float | None, sd: float | None) -> str:
    return NONE if value is None or not sd else f"{value / sd:.2f}"
