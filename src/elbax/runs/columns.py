"""What runs on a table have learned of its columns: measured, and kept in columns.json."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elbax._door import schema_of
from elbax._errors import InputError
from elbax._files import finite, json_bytes, write_atomically
from elbax._keys import key_of, stream
from elbax.data.dataset import Dataset
from elbax.evaluation.alone import Alone
from elbax.evaluation.held_out import ROUNDS, HeldOutCells, held_out_cells
from elbax.evaluation.marginals import (
    Bins,
    distance,
    in_units,
    rank_correlation,
    strongest_pairs,
)
from elbax.evaluation.posterior import sample
from elbax.models.interface import Model
from elbax.runs.columns_file import BINS, FORMAT, LEVELS, NAME
from elbax.runs.load import Runs
from elbax.runs.results import setting_stamp
from elbax.tables.schema import Column, Schema

_MOST_ROWS = 300  # of held-out data whose cells are hidden: what is found has a small error then
_SAMPLES = 500  # of each of them
_DRAWN = 2000  # rows of each model
_PAIRS, _IN_PAIRS = 6, 5  # pairs shown, and columns in all of them
_POINTS = 400  # rows of a pair that are shown
_CORRELATED = 30  # columns whose rank correlations are compared, at most


def columns_study(
    runs: Runs,
    shown: Sequence[int],
    dataset: Dataset,
    x: np.ndarray,
    setting: dict[str, Any],
    *,
    progress: Callable[[int, float], None] | None = None,
) -> dict[str, Any]:
    """Columns of samples beside the data's, and held-out cells beside what is imputed for them.

    Writes columns.json into the folder: of the training data and of `_DRAWN` draws of every shown
    model the histogram of each column, pairs of columns, and rank correlations; of the first test
    rows what `elbax.held_out_cells` finds, column by column.

    Args:
        runs: from `load_runs`, of a table.
        shown: which of them, by index, such as one of each method.
        dataset: their data.
        x: the test rows that they are evaluated on.
        setting: of the evaluation, from `setting_of`, with its checkpoint.
        progress: told the run's number and the fraction of it that is done.
    """
    schema = dataset.schema
    assert schema is not None
    train = in_units(dataset.train, schema)
    bins = [Bins(one, train[:, i]) for i, one in enumerate(schema.columns)]
    pairs = strongest_pairs(train, schema, _PAIRS, _IN_PAIRS)
    numbers = [i for i, one in enumerate(schema.columns) if not one.is_category][:_CORRELATED]
    both = [(one, other) for place, one in enumerate(numbers) for other in numbers[place + 1 :]]
    alone = [Alone(one, _seen(dataset.train[:, i])) for i, one in enumerate(schema.columns)]
    rows = x[:_MOST_ROWS]
    found = []
    for index in shown:
        model = runs.models[index]
        drawn = in_units(_drawn(model, schema, setting["seed"]), schema)
        cells, why_not = _cells(model, rows, setting["seed"], index, progress)
        described = None if cells is None else _described(cells, alone, rows)
        found.append(
            {
                "name": runs.specs[index].name,
                "index": index,
                "shares": [b.shares(drawn[:, i]).tolist() for i, b in enumerate(bins)],
                "distance": [distance(train[:, i], drawn[:, i]) for i in range(len(bins))],
                **_together(drawn, pairs, both),
                "cells": described,
                "joint": None if cells is None else _joint(cells),
                "why_not": why_not,
            }
        )
    content = {
        "format": FORMAT,
        "setting": setting_stamp(setting),
        "num_rows": len(rows),
        "num_rounds": ROUNDS,
        "num_samples": _SAMPLES,
        "num_drawn": _DRAWN,
        "columns": [
            _told(one, alone[i], dataset.train[:, i], x[:, i])
            for i, one in enumerate(schema.columns)
        ],
        "bins": [{"edges": one.edges.tolist(), "names": one.names} for one in bins],
        "data": {
            "shares": [one.shares(train[:, i]).tolist() for i, one in enumerate(bins)],
            **_together(train, pairs, both),
        },
        "pairs": [list(pair) for pair in pairs],
        "correlated": [list(pair) for pair in both],
        "runs": found,
    }
    content = finite(content)
    write_atomically(runs.path / NAME, json_bytes(content))
    return content


def can_be_shown(runs: Runs, dataset: Dataset) -> bool:
    """Whether these are runs of elbax's models of tables, under the data's own schema."""
    return dataset.schema is not None and schema_of(runs.models[0]) == dataset.schema


def _drawn(model: Model, schema: Schema, seed: int) -> np.ndarray:
    """Rows of the model; what overflows is no cell."""
    drawn = sample(model, _DRAWN, key=stream(key_of(seed), "sample")).astype(np.float64)
    logs = [i for i, one in enumerate(schema.columns) if one.kind == "log-normal"]
    for i in logs:
        drawn[:, i] = np.clip(drawn[:, i], -50, 50)
    drawn[~np.isfinite(drawn)] = np.nan
    return drawn


def _cells(model, rows, seed, index, progress) -> tuple[HeldOutCells | None, str | None]:
    """What is found of held-out cells, or why nothing is."""

    def told(done: float) -> None:
        if progress is not None:
            progress(index, done)

    try:
        found = held_out_cells(model, rows, num_samples=_SAMPLES, seed=seed, progress=told)
    except InputError as error:
        return None, str(error)
    return found, None


def _seen(cells: np.ndarray) -> np.ndarray:
    """The observed cells; where no row that trains has one, the middle of the scale."""
    seen = cells[~np.isnan(cells)].astype(np.float64)
    return seen if len(seen) else np.zeros(1)


def _told(column: Column, alone: Alone, train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """What a column is, at training and in the rows that are evaluated."""
    return {
        "name": column.name,
        "kind": column.kind,
        "why": column.why,
        "categories": len(column.categories),
        "holes_fit": float(np.isnan(train).mean()),
        "holes_test": float(np.isnan(test).mean()),
        "mean": alone.mean,
        "sd": alone.sd,
        "most": column.categories[int(alone.mean)] if column.is_category else None,
    }


def _together(cells: np.ndarray, pairs: Sequence, both: Sequence) -> dict[str, Any]:
    """Points of pairs of columns, from rows that have both, and rank correlations."""
    points = []
    for one, other in pairs:
        whole = cells[:, [one, other]]
        whole = whole[~np.isnan(whole).any(axis=1)][:_POINTS]
        points.append({"across": _short(whole[:, 0]), "up": _short(whole[:, 1])})
    return {
        "points": points,
        "correlation": [rank_correlation(cells[:, i], cells[:, j]) for i, j in both],
    }


def _short(values: np.ndarray) -> list[float]:
    """Numbers as they are drawn: five digits do."""
    return [float(f"{value:.5g}") for value in values]


def _joint(cells: HeldOutCells) -> dict[str, Any]:
    """Of all columns of numbers together, and how much of it can be trusted."""
    there = ~np.isnan(cells.truth)
    both = [cells.joint_coverage(level) for level in LEVELS]
    return {
        "count": int(there.sum()),
        "unreliable": int((there & ~cells.reliable).sum()),
        "coverage": [held for held, _ in both],
        "error": [error for _, error in both],
    }


def _described(cells: HeldOutCells, alone: Sequence[Alone], rows: np.ndarray) -> list[Any]:
    """Column by column, beside what is said without the rest of the row."""
    coverage = np.stack([cells.coverage(level) for level in LEVELS], axis=1)
    p_values = cells.p_value()
    found = []
    for index, one in enumerate(alone):
        there = ~np.isnan(cells.truth[:, index])
        truth = cells.truth[there, index]
        if not len(truth):
            found.append({"count": 0})
            continue
        log_p = cells.log_p[there, index]
        gain = log_p - one.log_prob(rows[there, index].astype(np.float64))
        entry: dict[str, Any] = {
            "count": len(truth),
            "unreliable": int((~cells.reliable[there, index]).sum()),
            "nll": float(-log_p.mean()),
            "gain": float(gain.mean()),
            "gain_error": _error(gain),
        }
        mean, median = cells.mean[there, index], cells.median[there, index]
        if one.column.is_category:
            entry |= {
                "accuracy": float((mean == truth).mean()),
                "accuracy_alone": float(np.mean(truth == one.mean)),
                "promised": float(cells.confidence[there, index].mean()),
            }
        else:
            entry |= {
                "rmse": float(np.sqrt(np.mean((mean - truth) ** 2))),
                "rmse_alone": float(np.sqrt(np.mean((one.mean - truth) ** 2))),
                "mae": float(np.abs(median - truth).mean()),
                "mae_alone": float(np.abs(one.median - truth).mean()),
                "coverage": coverage[index].tolist(),
                "pit": np.histogram(cells.pit[there, index], BINS, (0, 1))[0].tolist(),
                "p_value": float(p_values[index]),
            }
        found.append(entry)
    return found


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
