"""Runs grouped by method, and means over them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elbax.evaluation.reliability import can_tell, khat_threshold
from elbax.exhibits import NONE


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


def reliability(
    methods: Sequence[tuple[str, Sequence[dict[str, Any]]]], ks: Sequence[int], num_data: int | None
) -> list[str]:
    """A sentence that says for how many data log p-hat can be trusted; none where it is not known.

    Args:
        methods: label and finished runs of each.
        ks: sample counts of the evaluation.
        num_data: how many data it was of.

    >>> run = {"num_unreliable": 3, "mc_error": 0.01}
    >>> [note] = reliability([("VAE(4)", [run])], (1, 5000), 360)
    >>> note.partition(", where ")[2]
    "Pareto k-hat is above 0.70: VAE(4) 3 of 360. Monte Carlo error of a run's mean: at most 0.010."
    """
    known = [
        (label, [run["num_unreliable"] for run in runs if run.get("num_unreliable") is not None])
        for label, runs in methods
    ]
    if num_data is None or not any(counts for _, counts in known):
        return []
    most = max(ks)
    if not can_tell(most):
        return [
            f"{most} samples are too few to tell by Pareto k-hat whether log p-hat is reliable."
        ]
    limit = f"{khat_threshold(most):.2f}"
    lost = [f"{label} {sum(n)} of {len(n) * num_data}" for label, n in known if sum(n)]
    errors = [number(run.get("mc_error")) or 0.0 for _, runs in methods for run in runs]
    error = f" Monte Carlo error of a run's mean: at most {max(errors):.3f}."
    if not lost:
        return [f"log p-hat is reliable for all data: Pareto k-hat is at most {limit}.{error}"]
    return [
        "log p-hat is unreliable, further below the truth than its error says, where Pareto k-hat "
        f"is above {limit}: {', '.join(lost)}.{error}"
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


def in_parts(
    name: str, title: str, panels: list[dict[str, Any]], size: int = 6, each: int = 1
) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Panels as many at a time as a phone can show, with a name and a title for each figure.

    Args:
        name: of the exhibit.
        title: likewise.
        panels: all of them.
        size: how many in one figure.
        each: how many panels make one thing that the title counts.

    >>> [(name, title, len(part)) for name, title, part in in_parts("a", "A", [{}] * 8)]
    [('a-1', 'A, 1 to 6 of 8', 6), ('a-2', 'A, 7 to 8 of 8', 2)]
    """
    many = len(panels) > size
    for start in range(0, len(panels), size):
        part = panels[start : start + size]
        first, last = start // each + 1, (start + len(part)) // each
        counted = f"{title}, {first} to {last} of {len(panels) // each}"
        yield f"{name}-{start // size + 1}" if many else name, counted if many else title, part


def plain(value: float | None, decimals: int | None = None, sign: str = "") -> str:
    """A number as people write it: three digits, or so many decimals.

    >>> plain(0.12345), plain(20.0), plain(54321.5), plain(0.5, 2, "+"), plain(None)
    ('0.123', '20.0', '54322', '+0.50', '-')
    """
    if value is None:
        return NONE
    if decimals is not None:
        return f"{value:{sign}.{decimals}f}"
    if 999.5 <= abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:#.3g}".removesuffix(".") if value else "0"
