"""What runs did while training, and their bounds by number of samples, as lines and dots."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from elbax._errors import InputError
from elbax.exhibits import DotsExhibit, Line, LinesExhibit
from elbax.runs import metrics
from elbax.runs.groups import Method, by_method, number, spread
from elbax.runs.read import RunResults

# What a line of metrics.jsonl calls the numbers that may change, and their names on paper.
_NUMBERS = {"beta": "beta", "alpha": "alpha", "kl_weight": "KL weight"}
_IWAE = re.compile(r"iwae_[0-9]{1,9}")
_BAND = "mean over the seeds of each method, with a band of one standard deviation"


def learning_curves(run_results: RunResults) -> LinesExhibit:
    """The held-out bound against epoch, per method: mean and sd over seeds.

    Takes IWAE-k for the largest k that was looked at while training; if some method has none, the
    training bound for all of them. Of an epoch that was trained twice, after a resume, the last
    entry counts. Diverged runs are left out; there are no lines where no epoch was recorded.
    """
    methods = by_method(run_results.results)
    key = f"iwae_{max(held_out(run_results), default=0)}"
    lines = curves(run_results, key)
    if not lines or len(lines) < sum(bool(method.finished) for method in methods):
        key, lines = "bound", curves(run_results, "bound")
    return against_epoch("learning-curves", key, lines)


def against_epoch(name: str, key: str, lines: Sequence[Line]) -> LinesExhibit:
    """Lines of one metric of metrics.jsonl over the epochs."""
    what = name_of(key)
    return LinesExhibit(
        name,
        "Learning curves",
        f"The {what} against epoch: {_BAND}. The axis is fitted to the last three quarters of "
        "training.",
        "epoch",
        f"{what}, nats" if key == "bound" or _IWAE.fullmatch(key) else what,
        lines,
    )


def name_of(key: str) -> str:
    """What a page calls a metric of metrics.jsonl.

    >>> name_of("iwae_64"), name_of("grad_norm")
    ('held-out IWAE-64', 'grad norm')
    """
    if _IWAE.fullmatch(key):
        return f"held-out IWAE-{key[5:]}"
    if key == "bound":
        return "training bound (each method its own)"
    return _NUMBERS.get(key, key.replace("_", " "))


def held_out(run_results: RunResults) -> list[int]:
    """The sample counts of the bounds that were looked at while training."""
    keys = {key for entry in run_results.metrics for key in entry if _IWAE.fullmatch(key)}
    return sorted(int(key[5:]) for key in keys)


def curves(run_results: RunResults, key: str, *, prefix: str = "") -> list[Line]:
    """One line per method with a metric of metrics.jsonl: mean over seeds, sd as its error."""
    entries = _by_run(run_results)
    found = [_curve(method, key, entries) for method in by_method(run_results.results)]
    return [line | {"label": f"{prefix}{line['label']}"} for line in found if line["x"]]


def overlay(named: dict[str, RunResults], key: str) -> LinesExhibit:
    """One metric of several folders' runs against epoch, on the same axes.

    Args:
        named: what was read of each folder, by the name that its lines begin with.
        key: a metric of metrics.jsonl, such as iwae_64, bound or ess.

    Raises:
        InputError: no run has it.
    """
    lines = [
        line
        for name, run_results in named.items()
        for line in curves(run_results, key, prefix=f"{name}: " if len(named) > 1 else "")
    ]
    if not lines:
        known = {k for one in named.values() for entry in one.metrics for k in entry}
        other = sorted(k for k in known if k not in ("run", "epoch", "step", "time"))
        raise InputError(
            f"expected a metric that these runs recorded while training, {', '.join(other)}; got "
            f"'{key}'."
        )
    return against_epoch("overlay", key, lines)


def courses(run_results: RunResults) -> LinesExhibit:
    """The numbers of objectives that change while training, against epoch: beta, alpha, KL weight.

    There are no lines where no objective has such a number.
    """
    found = {name: curves(run_results, key) for key, name in _NUMBERS.items()}
    found = {name: lines for name, lines in found.items() if lines}
    several = len(found) > 1
    lines = [
        line | ({"label": f"{line['label']}: {name}"} if several else {})
        for name, of_it in found.items()
        for line in of_it
    ]
    what = " / ".join(found)
    return LinesExhibit(
        "courses",
        f"Course of {what}",
        f"The numbers of the objectives that change while training, at the end of each epoch: "
        f"{_BAND}.",
        "epoch",
        what,
        lines,
    )


def snr_curves(run_results: RunResults) -> LinesExhibit:
    """The gradient's SNR against epoch, where runs logged it, a line per method and network."""
    lines = [
        line | {"label": f"{line['label']}: {network}"}
        for network in ("generative", "inference")
        for line in curves(run_results, f"snr_{network}")
    ]
    return LinesExhibit(
        "snr-training",
        "Signal-to-noise while training",
        "Mean over parameters of |mean| / sd of each network's gradient, from 64 draws on 20 data "
        f"at the end of an epoch: {_BAND}.",
        "epoch",
        "SNR of the gradient",
        lines,
        log_y=True,
    )


def bounds_by_k(results: dict[str, Any]) -> LinesExhibit:
    """IWAE-k against k, per method, up to log p-hat at the largest k.

    Bars are the sd over seeds or, for a single seed, the standard error over the data.

    Args:
        results: the content of `results.json`.
    """
    ks = sorted(set(results["evaluation"]["ks"]))
    lines = [_bounds(method, metrics.bounds(ks)) for method in by_method(results)]
    single = {len(method.finished) == 1 for method in by_method(results) if method.finished}
    kinds = {True: "the standard error over data", False: "the sd over seeds"}
    return LinesExhibit(
        "bounds-by-k",
        "Bounds by number of samples",
        "The held-out IWAE-k bound against k. It rises with k towards the log-likelihood; the "
        "faster it does, the better the inference network fits. Bars are "
        f"± {' or '.join(kinds[one] for one in sorted(single))}.",
        f"samples k per datum; log p-hat at {ks[-1]}",
        "held-out IWAE-k, nats",
        [line for line in lines if line["x"]],
        log_x=True,
        ticks=ks,
    )


def gaps(results: dict[str, Any]) -> list[DotsExhibit]:
    """The bounds of each method on one axis, and each gap but the ELBO's on an axis of its own.

    Empty where no run finished with a bound.
    """
    keys = metrics.bounds(results["evaluation"]["ks"])
    names = [f"IWAE-{k}" for k in keys]
    names[-1] = "log p-hat"
    methods = [m for m in by_method(results) if m.mean("log_p_hat")[0] is not None]
    if not methods:
        return []
    rows = [
        {"label": m.label, "values": [m.mean(key)[0] for key in keys.values()]} for m in methods
    ]
    found = [
        DotsExhibit(
            "gaps",
            "Gap decomposition",
            "The bounds of each method on one axis, means over seeds. From the left-most point to "
            "log p-hat is what the inference network costs with that many samples.",
            "nats per datum",
            names,
            rows,
        )
    ]
    for k in [k for k in list(keys)[:-1] if k > 1]:
        means = [method.mean(f"gap_{k}") for method in methods]
        if any(mean is not None for mean, _ in means):
            found.append(_gap(k, methods, means))
    return found


def _gap(k: int, methods: Sequence[Method], means: Sequence[tuple]) -> DotsExhibit:
    return DotsExhibit(
        f"gap-{k}",
        f"gap_{k}",
        f"IWAE-{k} minus log p-hat, on an axis of its own: nearer to 0 is an inference network "
        "that serves its generative network better. It says nothing of how good the latter is.",
        "nats per datum",
        [f"gap_{k}"],
        [
            {"label": method.label, "values": [mean], "errors": [error]}
            for method, (mean, error) in zip(methods, means, strict=True)
        ],
    )


def _by_run(run_results: RunResults) -> dict[str, dict[int, dict[str, Any]]]:
    """The entries of metrics.jsonl by run and epoch; of an epoch told twice the last counts."""
    entries: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for entry in run_results.metrics:
        seen = entries[entry["run"]].get(entry["epoch"], {})
        entries[entry["run"]][entry["epoch"]] = {**seen, **entry}
    return entries


def _curve(method: Method, key: str, entries: dict[str, dict[int, dict[str, Any]]]) -> Line:
    """One method's line: at each epoch, over the runs that have a finite value there."""
    values: dict[int, list[float]] = defaultdict(list)
    for run in method.finished:
        for epoch, entry in entries.get(run["name"], {}).items():
            if (value := number(entry.get(key))) is not None:
                values[epoch].append(value)
    epochs = sorted(values)
    spreads = [spread(values[epoch]) for epoch in epochs]
    return {
        "label": method.label,
        "x": epochs,
        "y": [point.mean for point in spreads],
        "error": [point.sd or 0.0 for point in spreads],
        "num_runs": [point.count for point in spreads],
    }


def _bounds(method: Method, keys: dict[int, str]) -> Line:
    """The curve of an evaluation or, of an earlier elbax, the bounds that were asked for."""
    stored = [run.get("curve") for run in method.finished]
    points: dict[int, tuple[float | None, float | None]] = {
        k: method.mean(key) for k, key in keys.items()
    }
    for k in sorted({k for curve in stored if curve for k in curve["k"]} - set(points)):
        known = [
            (curve["mean"][curve["k"].index(k)], curve["standard_error"][curve["k"].index(k)])
            for curve in stored
            if curve and k in curve["k"]
        ]
        found = spread([mean for mean, _ in known])
        points[k] = found.mean, number(known[0][1]) if len(method.finished) == 1 else found.sd
    shown = [
        (k, mean, error or 0.0) for k, (mean, error) in sorted(points.items()) if mean is not None
    ]
    return {
        "label": method.label,
        "x": [k for k, _, _ in shown],
        "y": [mean for _, mean, _ in shown],
        "low": [mean - error for _, mean, error in shown],
        "high": [mean + error for _, mean, error in shown],
    }
