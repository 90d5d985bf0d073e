"""Runs grouped by method, and means over them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (ddof 1) of one number over seeds.

    `sd` is None for fewer than two values, `mean` for none.
    """

    mean: float | None
    sd: float | None
    count: int


@dataclass(frozen=True)
class Method:
    """The runs that differ in nothing but their seed.

    Attributes:
        label: the name to print, such as "IWAE(64)".
        runs: entries of `results["runs"]`, diverged ones included.
        rows: where those entries stand in `results["runs"]`, and so in the image arrays.
    """

    label: str
    runs: tuple[dict[str, Any], ...]
    rows: tuple[int, ...]

    @property
    def finished(self) -> list[dict[str, Any]]:
        """The runs that did not diverge."""
        return [run for run in self.runs if run["status"] == "ok"]

    @property
    def shown(self) -> int:
        """The row of the run whose images are shown: the first that did not diverge."""
        pairs = zip(self.rows, self.runs, strict=True)
        return next((row for row, run in pairs if run["status"] == "ok"), self.rows[0])

    def mean(self, key: str) -> tuple[float | None, float | None]:
        """Mean of a metric over the finished runs, and its error.

        The error is the sd over seeds (ddof 1) or, of a single run, the standard error over data.
        """
        finished = self.finished
        found = spread([run["metrics"].get(key) for run in finished])
        if len(finished) == 1:
            return found.mean, number(finished[0].get("standard_errors", {}).get(key))
        return found.mean, found.sd


def by_method(results: dict[str, Any]) -> list[Method]:
    """The runs of each method, in order of first appearance.

    Two methods of the same label are told apart by their full name, such as
    "iwae(k=64, gradient=dreg)".
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for row, run in enumerate(results["runs"]):
        groups.setdefault((run["method"], run["label"]), []).append(row)
    labels = [label for _, label in groups]
    return [
        Method(
            label=label if labels.count(label) == 1 else method,
            runs=tuple(results["runs"][row] for row in rows),
            rows=tuple(rows),
        )
        for (method, label), rows in groups.items()
    ]


def number(value: Any) -> float | None:
    """A finite number as float, and None for null, NaN, infinities and anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def spread(values: Sequence[Any]) -> Spread:
    """Mean and standard deviation of those values that are finite numbers.

    >>> spread([1.0, None, 3.0])
    Spread(mean=2.0, sd=1.4142135623730951, count=2)
    """
    known = [known for value in values if (known := number(value)) is not None]
    mean = float(np.mean(known)) if known else None
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(mean, sd, len(known))
