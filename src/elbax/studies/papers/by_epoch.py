"""The 2021 report's runs again, compared with what its authors logged at equal epochs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from elbax.evaluation.paired import over_seeds
from elbax.exhibits import NONE, LinesExhibit, TableExhibit, plus_minus
from elbax.models.config import ModelConfig
from elbax.spelling import label
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers import report_curves as report
from elbax.studies.papers.common import SEEDS, by_epoch
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.study import Findings, Found, Preset

EPOCHS, OMNIGLOT_EPOCHS = 3280, 1000  # the schedule's, and where the report stopped on Omniglot
EQUAL_BUDGET = ("vae(m=64)", "iwae(k=64)", "miwae(m=8, k=8)", "piwae(m=8, k=8)")
EQUAL_BUDGET += ("ciwae(k=64, beta=0.5)",)
_TOLERANCE = 0.5  # nats
_THEIR_EPSILON = 2e-7  # of Adam: 1e-8 on a mean over 20 data
_STARTS = {"fan-in": "the report's start", "glorot": "elbax's start"}


def runs(preset: Preset) -> list[PlannedRun]:
    """What was really run, from the report's start and from ours, and the methods at equal cost."""
    planned = []
    for data in preset.data:
        looks = report.looks(data, preset.until.get(data, preset.epochs[data]))
        ran = tuple(report.METHODS.values())
        theirs = preset.train(data, adam_eps=_THEIR_EPSILON)
        found = grid(data, ran, preset.seeds, as_reported(preset.model), theirs)
        ours = tuple(dict.fromkeys([*ran, *EQUAL_BUDGET]))
        found += grid(data, ours, preset.seeds, preset.model, preset.train(data))
        planned += [replace(run, looks=looks) for run in found]
    return planned


def as_reported(model: ModelConfig) -> ModelConfig:
    """The model as the report's authors started it and made its scales positive."""
    return replace(model, initialization="fan-in", scale="softplus", output_bias=False)


def conclude(preset: Preset, found: Found) -> Findings:
    """Curves and distances for each data set and start; a verdict for each method of theirs."""
    exhibits, verdicts = [], []
    for data in preset.data:
        if (lines := _lines(preset, data, found)).lines:
            exhibits.append(lines)
        tables = [_table(preset, data, start, found) for start in _STARTS]
        exhibits += [table for table in tables if table.rows]
        taken = [name for name in report.METHODS if found.of(name, data)]
        verdicts += [_verdict(preset, data, name, found) for name in taken]
    return Findings(exhibits, verdicts)


def at_ends(data: str, members: Sequence[FoundRun]) -> dict[int, list[float]]:
    """Means over the windows of every member with all three looks, by the epoch of their end."""
    found: dict[int, list[float]] = {}
    for seen in (by_epoch([member]) for member in members):
        for end, length in report.windows(data).items():
            first, middle, last = report.three(end, length)
            if first in seen and middle in seen and last in seen:
                values = seen[first], seen[middle], seen[last]
                found.setdefault(end, []).append(report.window_mean(values, length))
    return found


def _of(found: Found, name: str, data: str, start: str) -> list[FoundRun]:
    return found.of(name, data, initialization=start)


def _lines(preset: Preset, data: str, found: Found) -> LinesExhibit:
    """Ours as lines, theirs as points."""
    lines, ends = [], []
    for name in report.METHODS:
        seen = by_epoch(_of(found, name, data, "fan-in"))
        told = report.published(data, preset.size, name)
        reached = [end for end in told if end <= max(seen, default=0)]
        # A mean over a window lies at its middle.
        middles = [report.three(end, report.windows(data)[end])[1] for end in reached]
        lines.append({"label": name, "x": list(seen), "y": list(seen.values())})
        points = {"x": middles, "y": [told[end] for end in reached], "points": True}
        lines.append({"label": f"{name}, the report", **points})
        ends = max(ends, reached, key=len)
    return LinesExhibit(
        f"by-epoch-{data}",
        f"log p-hat by epoch, {data}, {preset.size} model",
        "Lines: elbax from the report's start, with its scale and its epsilon of Adam. Points: "
        "what the report's authors logged, a mean over some epochs in their middle.",
        "epoch",
        "log p-hat, nats per datum",
        [line for line in lines if line["x"]],
        log_x=True,
        ticks=[2, *ends],
    )


def _table(preset: Preset, data: str, start: str, found: Found) -> TableExhibit:
    """Three rows for each method of theirs; of the others one."""
    theirs = start == "fan-in"
    names = [*report.METHODS, *([] if theirs else _others())]
    ours = {name: at_ends(data, _of(found, name, data, start)) for name in names}
    ours = {name: values for name, values in ours.items() if values}
    ends = sorted({end for values in ours.values() for end in values if end in report.STAGES})
    rows = []
    for name, reached in ours.items():
        rows.append([name, *(plus_minus(reached.get(end, [])) for end in ends)])
        if told := report.published(data, preset.size, name):
            apart = {end: float(np.mean(values)) - told[end] for end, values in reached.items()}
            rows.append(["  the report", *(_cell(told[end]) for end in ends)])
            rows.append(["  difference", *(_cell(apart.get(end), "+.2f") for end in ends)])
    called = [f"{name} was called {other}" for name, other in report.CALLED.items()]
    return TableExhibit(
        f"ends-{data}-{start}",
        f"At the ends of stages, {data}, {_STARTS[start]}",
        "Mean log p-hat over the last epochs of each stage of the learning rate, by the epoch in "
        f"which it ends; the schedule is made for {preset.epochs[data]}.",
        ["method", *map(str, ends)],
        rows,
        (
            "In nats per datum: log p-hat by 5000 samples, ours over all test data. " + SEEDS,
            f"The report has one run each; {', '.join(called)}.",
        ),
    )


def _others() -> list[str]:
    return [name for name in map(label, EQUAL_BUDGET) if name not in report.METHODS]


def _cell(value: float | None, form: str = ".2f") -> str:
    return NONE if value is None else f"{value:{form}}"


def _verdict(preset: Preset, data: str, name: str, found: Found) -> v.Verdict:
    """That the curve from the report's start runs along the report's at the end of each stage."""
    claim = f"{data}, {preset.size} model: {name} is within {_TOLERANCE} nats of the report's curve"
    told = report.published(data, preset.size, name)
    members = _of(found, name, data, "fan-in")
    ours = {end: over_seeds(values) for end, values in at_ends(data, members).items()}
    ends = [end for end in report.STAGES if end in ours and end in told]
    apart = {end: ours[end].mean - told[end] for end in ends}
    if not apart:
        return v.untestable(claim, "no stage has ended, or the report has no such run")
    worst = max(apart, key=lambda end: abs(apart[end]))
    # One seed has no error over seeds; that of the estimate for its model is all there is.
    alone = by_epoch(members, "log_p_hat_error").get(worst)
    is_near = abs(apart[worst]) <= _TOLERANCE
    ended = ", ".join(map(str, ends))
    return v.Verdict(
        claim,
        told[worst],
        ours[worst].mean,
        alone if ours[worst].num_seeds == 1 else ours[worst].error,
        v.REPRODUCED if is_near else v.NOT_REPRODUCED,
        f"farthest at epoch {worst}, by {apart[worst]:+.2f}; stages that ended: {ended}",
    )
