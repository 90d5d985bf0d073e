"""The comparison of methods as tables, and what they say in a sentence.

Methods are told apart by differences paired by seed and datum: on the same data, binarised and
sampled by the same keys, most of the spread cancels.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from elbax.evaluation.paired import Difference, paired
from elbax.exhibits import NONE, TableExhibit
from elbax.runs import metrics
from elbax.runs.groups import Method, by_method, number, reliability, spread
from elbax.runs.metrics import Metric

PerDatum = dict[str, np.ndarray]
TO_BEST = "to the best"


def comparison(results: dict[str, Any], per_datum: PerDatum | None = None) -> TableExhibit:
    """One row per method: the mean of each metric over seeds, ± their standard deviation.

    A method with a single seed has the standard error over the held-out data in that place, where
    it is known. Diverged runs are left out and counted in a note; metrics that no run has are
    left out. The best log p-hat is in bold, and with it those that its error does not tell apart.

    Args:
        results: the content of `results.json`.
        per_datum: the arrays of `per_datum.npz`; without them differences have no error.
    """
    methods = by_method(results)
    shown = metrics.measured(metrics.headline(results["evaluation"]["ks"]), results["runs"])
    columns = {metric.name: [_mean_cell(method, metric) for method in methods] for metric in shown}
    constant = _take_constant(columns, shown) if len(methods) > 1 else {}
    place = best_of(methods)
    tied: list[int] = []
    if place is not None and len(_known(methods)) > 1:
        behind = to_best(methods, place, per_datum)
        tied = [row for row, found in enumerate(behind) if found and not found.is_resolved]
        columns = _beside(columns, [_signed(found) for found in behind])
    kind = "Held-out comparison" if results["dataset"].get("held_out", True) else "Comparison"
    names = ["method", *columns]
    rows = [
        (method.label, *(column[row] for column in columns.values()))
        for row, method in enumerate(methods)
    ]
    return TableExhibit(
        "comparison",
        f"{kind} on {results['dataset'].get('name', 'the data')}",
        "",
        names,
        rows,
        (
            *_prefix(results),
            *_units(results, [m for m in shown if m.name in columns]),
            *_plus_minus(methods),
            *_paired_note(columns, per_datum),
            *_gaps(columns),
            *(f"{name}: {text} for every method." for name, text in constant.items()),
            *_left_out(methods),
            *_nonfinite(methods),
            *_reliability(results, methods),
            *(["Bold: the best log p-hat, and those within its error."] if tied else []),
        ),
        [(row, names.index("log p-hat")) for row in tied],
        {metric.name: metric.meaning for metric in shown},
    )


def answer(results: dict[str, Any], per_datum: PerDatum | None = None) -> str:
    """Which method has the best log p-hat, by how much, and whether that is beyond its error."""
    methods = by_method(results)
    place, known = best_of(methods), _known(methods)
    if place is None:
        return "No run finished with a log p-hat."
    best = methods[place]
    mean, error = best.mean("log_p_hat")
    value = f"{mean:.2f}" + ("" if error is None else f" ± {error:.2f}") + " nats per datum"
    bits, off = best.mean("bits_per_dim")
    if bits is not None:
        value += f" ({bits:.3f}" + ("" if off is None else f" ± {off:.3f}") + " bits per dimension)"
    if len(known) == 1:
        return f"{best.label} reaches a log p-hat of {value}."
    behind = to_best(methods, place, per_datum)
    told = [(found, methods[row].label) for row, found in enumerate(behind) if found]
    others = sorted([one for one in told if one[1] != best.label], key=lambda one: -one[0].mean)
    nearest, name = others[0]
    if not math.isfinite(nearest.error):
        return f"{best.label} has the best log p-hat, {value}; differences have no error here."
    tied = [label for found, label in others if not found.is_resolved]
    margin = f"by {-nearest.mean:.2f} ± {nearest.error:.2f} over {name}, paired"
    if not tied:
        return f"{best.label} has the best log p-hat, {value}, {margin}."
    count = f"{len(tied)} others" if len(tied) > 2 else " and ".join(tied)
    seeds = f"{nearest.num_seeds} seeds decide" if nearest.num_seeds > 1 else "1 seed decides"
    return (
        f"{best.label} has the highest log p-hat, {value}, but is not told apart from {count}: "
        f"it leads {margin}, and {seeds} beyond {nearest.limit:.1f} standard errors."
    )


def best_of(methods: Sequence[Method]) -> int | None:
    """The place of the method with the highest mean log p-hat; None where none has one."""
    means = [method.mean("log_p_hat")[0] for method in methods]
    known = [(mean, -place) for place, mean in enumerate(means) if mean is not None]
    return -max(known)[1] if known else None


def to_best(
    methods: Sequence[Method], place: int, per_datum: PerDatum | None
) -> list[Difference | None]:
    """log p-hat of each method less that of the one at `place`, paired by seed and datum.

    Without values of every datum there is the difference of the means, and no error.
    """
    best = methods[place]
    found: list[Difference | None] = []
    for row, method in enumerate(methods):
        mean = method.mean("log_p_hat")[0]
        if row == place:
            found.append(Difference(0.0, 0.0, 0.0, len(best.finished)))
        elif mean is None:
            found.append(None)
        else:
            plain = mean - (best.mean("log_p_hat")[0] or 0.0)
            pairs = [] if per_datum is None else _pairs(method, best)
            found.append(
                _paired(pairs, per_datum) if pairs else Difference(plain, math.nan, math.inf, 0)
            )
    return found


def runs(results: dict[str, Any]) -> TableExhibit:
    """One row per run, diverged ones included: each metric ± its standard error over the data.

    Args:
        results: the content of `results.json`.
    """
    shown = metrics.measured(metrics.every(results["evaluation"]["ks"]), results["runs"])
    status = any(run["status"] != "ok" for run in results["runs"])
    rows = [
        (
            run["name"],
            *([run["status"]] if status else []),
            *(_by_layer([run], m) or _run_number(run, m) for m in shown),
        )
        for run in results["runs"]
    ]
    return TableExhibit(
        "runs",
        "Each run alone",
        "",
        ("run", *(["status"] if status else []), *(metric.name for metric in shown)),
        rows,
        ("± is the standard error over the held-out data; for SSIM, the sd over images.",),
        meanings={metric.name: metric.meaning for metric in shown},
    )


def _known(methods: Sequence[Method]) -> list[Method]:
    return [method for method in methods if method.mean("log_p_hat")[0] is not None]


def _pairs(method: Method, best: Method) -> list[tuple[int, int]]:
    """Rows of runs of one seed that both finished."""
    of = {
        run.get("seed"): row
        for row, run in zip(best.rows, best.runs, strict=True)
        if run["status"] == "ok"
    }
    return [
        (row, of[run.get("seed")])
        for row, run in zip(method.rows, method.runs, strict=True)
        if run["status"] == "ok" and run.get("seed") in of
    ]


def _paired(pairs: Sequence[tuple[int, int]], per_datum: PerDatum | None) -> Difference:
    assert per_datum is not None
    log_p_hat = np.where(per_datum["finite"], per_datum["bounds"][:, -1], np.nan)
    return paired([log_p_hat[mine] for mine, _ in pairs], [log_p_hat[best] for _, best in pairs])


def _take_constant(columns: dict[str, list[str]], shown: Sequence[Metric]) -> dict[str, str]:
    """Take out columns, other than bounds, that say the same of every method."""
    bounds = [metric.name for metric in shown if metric.is_bound]
    same = {
        name: column[0]
        for name, column in columns.items()
        if name not in bounds and len(set(column)) == 1
    }
    for name in same:
        del columns[name]
    return same


def _beside(columns: dict[str, list[str]], behind: list[str]) -> dict[str, list[str]]:
    """The distance to the best in its place, right of log p-hat."""
    found: dict[str, list[str]] = {}
    for name, column in columns.items():
        found[name] = column
        if name == "log p-hat":
            found[TO_BEST] = behind
    return found


def _signed(found: Difference | None) -> str:
    if found is None:
        return NONE
    if found.error == 0 and found.mean == 0:
        return "best"
    error = f" ± {found.error:.2f}" if math.isfinite(found.error) else ""
    return f"{found.mean:z.2f}{error}"


def _mean_cell(method: Method, metric: Metric) -> str:
    """The mean over the finished runs, and its error."""
    by_layer = _by_layer(method.finished, metric)
    return by_layer or _number(*method.mean(metric.key), metric)


def _by_layer(runs: Sequence[dict[str, Any]], metric: Metric) -> str | None:
    """Active units of several layers as "26+7", means over the runs; None for one layer."""
    if metric.key != "active_units" or not runs:
        return None
    layers = [run.get("active_units") for run in runs]
    if not all(isinstance(counts, list) and len(counts) > 1 for counts in layers):
        return None
    means = [spread(counts).mean for counts in zip(*layers, strict=True)]
    decimals = 0 if len(runs) == 1 else metric.decimals
    return "+".join(NONE if mean is None else f"{mean:.{decimals}f}" for mean in means)


def _number(value: Any, error: Any, metric: Metric) -> str:
    value, error = number(value), number(error)
    if value is None:
        return NONE
    decimals = 0 if metric.whole and error is None and value.is_integer() else metric.decimals
    text = f"{value:z.{decimals}f}"  # z: no "-0.00"
    return text if error is None else f"{text} ± {error:.{decimals}f}"


def _run_number(run: dict[str, Any], metric: Metric) -> str:
    error = run.get("standard_errors", {}).get(metric.key)
    return _number(
        metrics.value(run, metric), run.get("ssim_sd") if metric.key == "ssim" else error, metric
    )


def _units(results: dict[str, Any], shown: list[Metric]) -> list[str]:
    num_data = results["evaluation"].get("num_data")
    data = f", means over {num_data} held-out data" if num_data is not None else ""
    in_other = ("bits_per_dim", "active_units", "ess", "ssim")
    others = [m.name for m in shown if m.key in in_other]
    but = f"; not in nats: {', '.join(others)}" if others else ""
    return [f"In nats per datum{data}{but}."]


def _prefix(results: dict[str, Any]) -> list[str]:
    """That runs have not come to the end of their schedule, where they have not."""
    training = results.get("training", {})
    done, of = training.get("epochs"), training.get("epochs_in_all")
    if done is None or of is None or done >= of:
        return []
    return [f"After {done} of the {of} epochs of the schedule."]


def _plus_minus(methods: list[Method]) -> list[str]:
    counts = {method.label: len(method.finished) for method in methods}
    single = [label for label, count in counts.items() if count == 1]
    several = {label: count for label, count in counts.items() if count > 1}
    notes = []
    if len(set(several.values())) == 1:
        notes.append(f"± is the sd over {next(iter(several.values()))} seeds (ddof 1).")
    elif several:
        seeds = ", ".join(f"{label} {count}" for label, count in several.items())
        notes.append(f"± is the sd over seeds (ddof 1): {seeds}.")
    if single:
        whose = f" for {', '.join(single)}" if several else ""
        notes.append(f"One seed{whose}: ± is the standard error over the data, not over seeds.")
    return notes


def _paired_note(columns: dict[str, list[str]], per_datum: PerDatum | None) -> list[str]:
    if TO_BEST not in columns:
        return []
    what = f"{TO_BEST}: log p-hat less that of the best method"
    if per_datum is None:
        return [f"{what}; without the values of every datum it has no error."]
    return [f"{what}, paired by seed and datum, ± its standard error over both."]


def _gaps(columns: dict[str, list[str]]) -> list[str]:
    return ["gap_k is IWAE-k minus log p-hat."] * any(name.startswith("gap_") for name in columns)


def _left_out(methods: list[Method]) -> list[str]:
    lost = [
        f"{method.label} {len(method.runs) - len(method.finished)} of {len(method.runs)}"
        for method in methods
        if len(method.finished) < len(method.runs)
    ]
    return [f"Diverged runs, left out of the means: {', '.join(lost)}."] if lost else []


def _nonfinite(methods: list[Method]) -> list[str]:
    found = []
    for method in methods:
        counts: dict[str, int] = {}
        for run in method.finished:
            for metric, count in _counts(run.get("num_nonfinite")).items():
                counts[metric] = counts.get(metric, 0) + count
        lost = [f"{count} of {metric}" for metric, count in counts.items() if count]
        found += [f"{method.label} {', '.join(lost)}"] if lost else []
    what = "Values that were not finite (NaN or infinite), left out of the means"
    return [f"{what}: {'; '.join(found)}."] if found else []


def _reliability(results: dict[str, Any], methods: list[Method]) -> list[str]:
    evaluation = results["evaluation"]
    runs = [(method.label, method.finished) for method in methods]
    return reliability(runs, evaluation["ks"], evaluation.get("num_data"))


def _counts(found: dict[str, int] | int | None) -> dict[str, int]:
    """Values left out, per metric; older results count data left out of every metric."""
    return found if isinstance(found, dict) else {"every metric": found or 0}
