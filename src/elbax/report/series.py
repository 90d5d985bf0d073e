"""The numbers behind each figure, as plain dictionaries that go to JSON unchanged."""

import re
from collections import defaultdict
from typing import Any

from elbax.report import metrics
from elbax.report.results import Method, RunResults, by_method, number, spread

Series = dict[str, Any]


def learning_curves(run_results: RunResults) -> Series:
    """The held-out bound against epoch, per method: mean and sd over seeds.

    Takes IWAE-k for the largest k that was looked at while training; if some method has none, the
    training bound for all of them. Of an epoch that was trained twice, after a resume, the last
    entry counts. Diverged runs are left out.

    Returns:
        `{"metric", "name", "methods": [{"label", "epochs", "mean", "sd", "num_runs"}]}`; an sd
        is null where there is one run. `methods` is empty where no epoch was recorded.
    """
    methods = by_method(run_results.results)
    entries = _by_run(run_results)
    held_out = sorted(
        {int(key[5:]) for entry in run_results.metrics for key in entry if _IWAE.fullmatch(key)}
    )
    if held_out:
        name = f"held-out IWAE-{held_out[-1]}"
        curves = [_curve(method, f"iwae_{held_out[-1]}", entries) for method in methods]
        if all(curve["epochs"] for curve, m in zip(curves, methods, strict=True) if m.finished):
            return _series(f"iwae_{held_out[-1]}", name, curves)
    curves = [_curve(method, "bound", entries) for method in methods]
    return _series("bound", "training bound (each method its own)", curves)


def courses(run_results: RunResults) -> Series:
    """The numbers of objectives that change while training, against epoch: beta, alpha, KL weight.

    Returns:
        As `learning_curves`, one curve for each method and number; `metric` names the numbers
        there are. `methods` is empty where no objective has such a number.
    """
    entries = _by_run(run_results)
    curves = [
        _curve(method, key, entries) | {"number": name}
        for method in by_method(run_results.results)
        for key, name in _NUMBERS.items()
    ]
    curves = [curve for curve in curves if curve["epochs"]]
    names = list(dict.fromkeys(curve["number"] for curve in curves))
    if len(names) > 1:
        curves = [c | {"label": f"{c['label']}: {c['number']}"} for c in curves]
    return _series("courses", " / ".join(names), curves)


def snr_curves(run_results: RunResults) -> Series:
    """The gradient's SNR against epoch, where runs logged it, a curve per method and network.

    Returns:
        As `learning_curves`; `methods` is empty where no run logged it.
    """
    entries = _by_run(run_results)
    curves = [
        _curve(method, f"snr_{network}", entries) | {"label": f"{method.label}: {network}"}
        for network in ("generative", "inference")
        for method in by_method(run_results.results)
    ]
    return _series("snr", "SNR of the gradient", curves)


def bounds_by_k(results: dict[str, Any]) -> Series:
    """IWAE-k against k, per method, up to log p-hat at the largest k.

    Args:
        results: the content of `results.json`.

    Returns:
        `{"metric", "name", "methods": [{"label", "k", "mean", "error", "error_is"}]}`; an
        error is the sd over seeds or, for a single seed, the standard error over the data.
    """
    keys = metrics.bounds(results["evaluation"]["ks"])
    lines = [_bounds(method, keys) for method in by_method(results)]
    return {
        "metric": "iwae_k",
        "name": "held-out IWAE-k",
        "methods": [line for line in lines if line["k"]],
    }


def gaps(results: dict[str, Any]) -> Series:
    """The bounds of each method side by side, from IWAE at the smallest k to log p-hat.

    Returns:
        `{"kind": "dots", "x", "points", "rows": [{"label", "values"}]}`, means over seeds; as
        the exhibits of a study. `rows` is empty where no run finished with a bound.
    """
    keys = metrics.bounds(results["evaluation"]["ks"])
    names = [f"IWAE-{k}" for k in keys]
    names[-1] = "log p-hat"
    rows = []
    for method in by_method(results):
        means = [
            spread([run["metrics"].get(key) for run in method.finished]).mean
            for key in keys.values()
        ]
        if means[-1] is not None:
            rows.append({"label": method.label, "values": means})
    return {"kind": "dots", "x": "nats per datum", "points": names, "rows": rows}


def reconstructions(run_results: RunResults, *, most: int = 10) -> Series:
    """Which entries of `images.npz` are shown: a row of originals, then one row per method.

    Returns:
        `{"array", "columns", "methods": [{"label", "run", "row"}]}`: row `row` of `array`, its
        first `columns` images; `methods` is empty where there are no images.
    """
    return _rows(run_results, "reconstructions", most)


def prior_samples(run_results: RunResults, *, most: int = 25) -> Series:
    """Which entries of `images.npz` are shown: a sheet of samples per method.

    Returns:
        As `reconstructions`, of the array `samples`.
    """
    return _rows(run_results, "samples", most)


# What a line of metrics.jsonl calls the numbers that may change, and their names on paper.
_NUMBERS = {"beta": "beta", "alpha": "alpha", "kl_weight": "KL weight"}
_IWAE = re.compile(r"iwae_[0-9]{1,9}")


def _by_run(run_results: RunResults) -> dict[str, dict[int, dict[str, Any]]]:
    """The entries of metrics.jsonl by run and epoch; of an epoch told twice the last counts."""
    entries: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for entry in run_results.metrics:
        seen = entries[entry["run"]].get(entry["epoch"], {})
        entries[entry["run"]][entry["epoch"]] = {**seen, **entry}
    return entries


def _series(metric: str, name: str, curves: list[Series]) -> Series:
    return {"metric": metric, "name": name, "methods": [c for c in curves if c["epochs"]]}


def _curve(method: Method, key: str, entries: dict[str, dict[int, dict[str, Any]]]) -> Series:
    """One method's curve: at each epoch, over the runs that have a finite value there."""
    values: dict[int, list[float]] = defaultdict(list)
    for run in method.finished:
        for epoch, entry in entries.get(run["name"], {}).items():
            if (value := number(entry.get(key))) is not None:
                values[epoch].append(value)
    epochs = sorted(values)
    spreads = [spread(values[epoch]) for epoch in epochs]
    return {
        "label": method.label,
        "epochs": epochs,
        "mean": [point.mean for point in spreads],
        "sd": [point.sd for point in spreads],
        "num_runs": [point.count for point in spreads],
    }


def _bounds(method: Method, keys: dict[int, str]) -> Series:
    finished = method.finished
    single = len(finished) == 1
    line: Series = {"label": method.label, "k": [], "mean": [], "error": []}
    line["error_is"] = "standard error over data" if single else "sd over seeds"
    for k, key in keys.items():
        point = spread([run["metrics"].get(key) for run in finished])
        if point.mean is None:
            continue
        error = finished[0].get("standard_errors", {}).get(key) if single else point.sd
        line["k"].append(k)
        line["mean"].append(point.mean)
        line["error"].append(number(error))
    return line


def _rows(run_results: RunResults, array: str, most: int) -> Series:
    images = run_results.images
    if images is None:
        return {"array": array, "columns": 0, "methods": []}
    runs = run_results.results["runs"]
    return {
        "array": array,
        "columns": min(most, images[array].shape[1]),
        "methods": [
            {"label": method.label, "run": runs[method.shown]["name"], "row": method.shown}
            for method in by_method(run_results.results)
        ],
    }
