"""What several studies show in the same way."""

from collections.abc import Callable, Sequence

import numpy as np

from elbax.exhibits import DotsExhibit, LinesExhibit, TableExhibit, plus_minus
from elbax.runs.groups import reliability
from elbax.studies.found import FoundRun
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.study import Found, Preset

NAMES = {
    "iwae_64": "IWAE-64",
    "log_p_hat": "log p-hat",
    "gap_64": "gap_64",
    "gap_1": "gap_1",
    "ssim": "SSIM",
}
SEEDS = "± is the standard deviation over seeds (ddof 1)."


def on_every_data_set(methods: Sequence[str]) -> Callable[[Preset], list[PlannedRun]]:
    """What a study trains that takes the same methods, with every seed, to each data set."""

    def runs(preset: Preset) -> list[PlannedRun]:
        return [
            run
            for data in preset.data
            for run in grid(data, methods, preset.seeds, preset.model, preset.train(data))
        ]

    return runs


def of_mnist(data: str, value: float) -> float | None:
    """A value that was published for MNIST, and so stands beside no other data's."""
    return value if data == "mnist" else None


def values(runs: Sequence[FoundRun], metric: str) -> list[float]:
    """A metric of every run that finished."""
    return [run.metric(metric) for run in runs if run.ok]


def mean(runs: Sequence[FoundRun], metric: str) -> float:
    """The mean of a metric over the runs that finished; NaN for none."""
    known = values(runs, metric)
    return float(np.mean(known)) if known else float("nan")


def units(runs: Sequence[FoundRun]) -> str:
    """Active units by layer, "26+7", means over seeds."""
    counts = [run.entry["active_units"] for run in runs if run.ok]
    if not counts:
        return "-"
    digits = 0 if len(counts) == 1 else 1
    return "+".join(f"{np.mean(layer):.{digits}f}" for layer in zip(*counts, strict=True))


def metric_table(
    name: str,
    title: str,
    caption: str,
    rows: Sequence[tuple[str, Sequence[FoundRun]]],
    metrics: Sequence[str],
    published: dict[str, dict[str, str]],
) -> TableExhibit:
    """Metrics of labelled groups of runs, each beside the published value where there is one.

    `published` holds, by metric, the paper's cell of each label.
    """
    columns = ["method"]
    for metric in metrics:
        columns += [NAMES[metric], "paper"] if metric in published else [NAMES[metric]]
    table = []
    for label, runs in rows:
        row = [label]
        for metric in metrics:
            row.append(plus_minus(values(runs, metric), 3 if metric == "ssim" else 2))
            if metric in published:
                row.append(published[metric].get(label, "-"))
        table.append(row)
    notes = (SEEDS, "In nats per datum.", *reliability_of(rows))
    return TableExhibit(name, title, caption, columns, table, notes)


def reliability_of(rows: Sequence[tuple[str, Sequence[FoundRun]]]) -> list[str]:
    """For how many data the log p-hat of labelled runs can be trusted, as a note of a table."""
    finished = [(label, [run for run in runs if run.ok]) for label, runs in rows]
    runs = [run for _, runs in finished for run in runs]
    if not runs:
        return []
    evaluation = runs[0].results["evaluation"]
    entries = [(label, [run.entry for run in runs]) for label, runs in finished]
    return reliability(entries, evaluation["ks"], evaluation.get("num_data"))


def gap_dots(found: Found, labels: Sequence[str]) -> DotsExhibit:
    """IWAE-1, IWAE-64 and log p-hat of every method on one axis: the gaps are the distances."""
    metrics = ("iwae_1", "iwae_64", "log_p_hat")
    rows = [
        {"label": label, "values": [mean(found.of(label), metric) for metric in metrics]}
        for label in labels
    ]
    return DotsExhibit(
        "gaps",
        "Gap decomposition",
        "From the ELBO by IWAE-64 to log p-hat, means over seeds: the distance between the last "
        "two is gap_64, which Rainforth et al. report as -KL(Q||P).",
        "nats per datum",
        ("IWAE-1", "IWAE-64", "log p-hat"),
        rows,
    )


def curve(runs: Sequence[FoundRun], metric: str, window: int = 1) -> dict:
    """A metric of metrics.jsonl against epochs: rolling mean, and sd over seeds as the band."""
    by_epoch: dict[int, list[float]] = {}
    for run in runs:
        for record in run.curve:
            value = record.get(metric)
            if run.ok and value is not None:
                by_epoch.setdefault(record["epoch"], []).append(value)
    epochs = sorted(by_epoch)
    means = np.array([np.mean(by_epoch[epoch]) for epoch in epochs])
    spread = [float(np.std(by_epoch[e], ddof=1)) if len(by_epoch[e]) > 1 else 0.0 for e in epochs]
    rolled = [float(means[max(0, i - window + 1) : i + 1].mean()) for i in range(len(means))]
    return {"x": epochs, "y": rolled, "error": spread}


def by_epoch(runs: Sequence[FoundRun], metric: str = "log_p_hat") -> dict[int, float]:
    """The same mean by epoch, where it was measured."""
    found = curve(runs, metric)
    return dict(zip(found["x"], found["y"], strict=True))


def curves_exhibit(
    name: str, title: str, caption: str, found: Found, metric: str, window: int = 1
) -> LinesExhibit:
    """One curve per method."""
    lines = [{"label": label, **curve(found.of(label), metric, window)} for label in found.labels()]
    names = {"iwae_64": "held-out IWAE-64", "beta": "beta"}
    shown = [line for line in lines if line["x"]]
    return LinesExhibit(name, title, caption, "epoch", names.get(metric, metric), shown)
