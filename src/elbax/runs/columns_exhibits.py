"""What columns.json holds, as exhibits: columns and their samples, beside held-out cells."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from elbax.evaluation.reliability import can_tell, khat_threshold
from elbax.exhibits import (
    NONE,
    Exhibit,
    HistogramExhibit,
    LinesExhibit,
    PointsExhibit,
    Section,
    TableExhibit,
)
from elbax.runs.groups import by_method, in_parts, plain
from elbax.runs.held_out_exhibits import LINES, Labeled, held_out, labels_of
from elbax.runs.read import RunResults

_MOST = 24  # columns with a figure
_NO_COLUMNS = "The run folder holds no columns.json; evaluate it again."
_AGAIN = "The same of other columns."
_BESIDE = 2  # methods beside the data in pair plots


def table_sections(run_results: RunResults) -> Iterator[Section]:
    """What a page on a table has in the place of pictures."""
    if (table := rows_table(run_results.results, run_results.per_datum)) is not None:
        yield Section("rows", "How far scores of rows can be trusted", [table])
    if run_results.columns is None:
        yield Section("columns", "Columns", [], _NO_COLUMNS)
        return
    yield from columns_sections(run_results.columns, labels_of(run_results.results))


def is_table(run_results: RunResults) -> bool:
    """Whether these are runs on a table."""
    model = run_results.config.get("model")
    return isinstance(model, dict) and model.get("table") is not None


def columns_sections(content: dict[str, Any], labels: Mapping[int, str]) -> Iterator[Section]:
    """The sections of a page on a table.

    Args:
        content: a columns.json.
        labels: what each shown run's method is called, by its index.
    """
    runs = labeled(content, labels)
    shown = [columns_table(content, runs), *_marginals(content, runs), *_pairs(content, runs)]
    yield Section("columns", "Columns", shown)
    known = [(label, run) for label, run in runs if run["cells"] is not None]
    reasons = dict.fromkeys(str(run["why_not"]) for _, run in runs if run["cells"] is None)
    cells = held_out(content, known) if known else []
    why = " ".join(f"Not measured: {reason}" for reason in reasons)
    yield Section("held-out-cells", "Held-out cells", cells, why)


def labeled(content: dict[str, Any], labels: Mapping[int, str]) -> list[Labeled]:
    """The shown runs with what their methods are called."""
    return [(labels.get(run["index"], str(run["name"])), run) for run in content["runs"]]


def rows_table(
    results: dict[str, Any], per_datum: dict[str, np.ndarray] | None
) -> TableExhibit | None:
    """One row per method: of how many rows log p-hat can be trusted; None where it is not known."""
    k = max(results["evaluation"]["ks"])
    if per_datum is None or "khat" not in per_datum or not can_tell(k):
        return None
    limit, rows = khat_threshold(k), []
    for method in by_method(results):
        khat = per_datum["khat"][list(method.rows)].ravel()
        known = khat[~np.isnan(khat)]
        if not len(known):
            continue
        flagged = len(khat) - int((khat <= limit).sum())
        parts = [f"{np.quantile(known, share):z.2f}" for share in (0.5, 0.9, 1.0)]
        ess = (
            f"{np.median(per_datum['ess'][list(method.rows)]):.0f}" if "ess" in per_datum else NONE
        )
        share = f"{100 * flagged / len(khat):.0f}"
        rows.append((method.label, f"{len(khat)}", f"{flagged}", share, *parts, ess))
    if not rows:
        return None
    return TableExhibit(
        "rows",
        "How far scores of rows can be trusted",
        "",
        ("method", "rows", "flagged", "%", "median k-hat", "90 % below", "largest", "median ESS"),
        rows,
        (
            f"Held-out rows, over all seeds, by {k} samples each. Flagged: Pareto k-hat above "
            f"{limit:.2f}; log p-hat is then further below the truth than its error says.",
            "Which rows of a file these are, elbax score says; it goes on sampling those that "
            "need it.",
        ),
    )


def columns_table(content: dict[str, Any], runs: Sequence[Labeled]) -> TableExhibit:
    """What each column is, and how far the first method's samples are from its data."""
    rows, strong = [], []
    distances = runs[0][1]["distance"] if runs else [[None, None]] * len(content["columns"])
    for place, (one, (far, noise)) in enumerate(zip(content["columns"], distances, strict=True)):
        usual = one["most"] if one["most"] is not None else plain(one["mean"])
        spread = NONE if one["most"] is not None else plain(one["sd"])
        holes = (f"{100 * one['holes_fit']:.0f}", f"{100 * one['holes_test']:.0f}")
        rows.append((one["name"], one["kind"], *holes, usual, spread, plain(far, 2)))
        if far is not None and noise is not None and far > noise:
            strong.append((place, len(rows[-1]) - 1))
    bold = ["Bold: farther apart than chance explains, once in a hundred columns."] * bool(strong)
    who = f" of {runs[0][0]}" if len(runs) > 1 else ""
    return TableExhibit(
        "columns",
        "The columns",
        "",
        ("column", "kind", "% holes at fit", "now", "mean or mode", "sd", "apart"),
        rows,
        (
            "Mean (of categories the most frequent one) and sd are of the observed training cells, "
            "in the units of the table.",
            f"apart: the largest difference of the distribution functions of the data and of "
            f"{content['num_drawn']} samples{who}, from 0 to 1; categories in their order.",
            *bold,
        ),
        strong,
        meanings={
            "% holes at fit": "Share of the training cells that were missing.",
            "now": "Share of the cells missing in the rows that are evaluated.",
        },
    )


def _marginals(content: dict[str, Any], runs: Sequence[Labeled]) -> list[Exhibit]:
    """Histograms of the data and of samples, the worst columns where there are very many."""
    places, said = _most_apart(content, runs)
    panels = [
        {
            "title": f"{content['columns'][i]['name']} ({content['columns'][i]['kind']})",
            "edges": content["bins"][i]["edges"],
            "names": content["bins"][i]["names"],
            "lines": [
                {"label": "data", "heights": content["data"]["shares"][i]},
                *({"label": who, "heights": run["shares"][i]} for who, run in runs[:LINES]),
            ],
        }
        for i in places
    ]
    caption = (
        "Of each column the observed training cells, and samples of the model, in the units of "
        "the table; the outermost bars hold what lies beyond. Where holes depend on other "
        f"columns, the two differ even if the model is right.{said}"
    )
    return [
        HistogramExhibit(
            name, title, caption if part[0] is panels[0] else _AGAIN, "value",
            "share of the cells", part, filled=True,
        )
        for name, title, part in in_parts("marginals", "Data and samples", panels)
    ]  # fmt: skip


def _most_apart(content: dict[str, Any], runs: Sequence[Labeled]) -> tuple[list[int], str]:
    size = len(content["columns"])
    if size <= _MOST or not runs:
        return list(range(size))[:_MOST], ""
    far = [-(one[0] or 0.0) for one in runs[0][1]["distance"]]
    places = sorted(np.argsort(far, kind="stable")[:_MOST].tolist())
    return places, f" Of {size} columns the {_MOST} whose samples are farthest from the data."


def _pairs(content: dict[str, Any], runs: Sequence[Labeled]) -> list[Exhibit]:
    """Pairs of columns, data left and samples right of it, and all rank correlations."""
    names = [one["name"] for one in content["columns"]]
    sources = [("data", content["data"]), *runs[:_BESIDE]]
    panels, columns = [], len(sources)
    for place, (one, other) in enumerate(content["pairs"]):
        at = content["correlated"].index([one, other]) if [one, other] in content[
            "correlated"] else None  # fmt: skip
        for label, source in sources:
            rank = None if at is None else source["correlation"][at]
            said = "" if rank is None else f": {rank:.2f}"
            points = source["points"][place]
            panels.append({"title": f"{label}{said}", "x": names[one], "y": names[other], **points})
    caption = (
        "The columns of numbers with the strongest rank correlations, which the titles say; "
        "at most five columns, and 400 rows. Left the training data, right samples of the model, "
        "on the same axes."
    )
    found: list[Exhibit] = [
        PointsExhibit(name, title, caption if part[0] is panels[0] else _AGAIN, part, columns)
        for name, title, part in in_parts("pairs", "Pairs", panels, 3 * columns, columns)
    ]
    return [*found, *_correlations(content, runs)]


def _correlations(content: dict[str, Any], runs: Sequence[Labeled]) -> list[Exhibit]:
    data = content["data"]["correlation"]
    lines = []
    for label, run in runs[:LINES]:
        known = [
            (one, other)
            for one, other in zip(data, run["correlation"], strict=True)
            if one is not None and other is not None
        ]
        across, up = zip(*known, strict=True) if known else ((), ())
        lines.append({"label": label, "x": list(across), "y": list(up), "points": True})
    if not any(len(line["x"]) > 1 for line in lines):
        return []
    return [
        LinesExhibit(
            "rank-correlations",
            "Rank correlations",
            "A point for every pair of columns of numbers: its rank correlation in the training "
            "data and in samples of the model. Above the dashed line the model has made it "
            "stronger, or less negative.",
            "in the data",
            "in samples",
            lines,
            equals=True,
        )
    ]
