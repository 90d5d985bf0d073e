"""A trained and evaluated run, as its folder describes it."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from elbax.models.interface import Model
from elbax.runs.load import load_runs
from elbax.runs.results import read_arrays
from elbax.studies.plan import PlannedRun
from elbax.training import metrics


class FoundRun:
    """A trained and evaluated run, as its folder describes it.

    Attributes:
        plan: what was asked for.
        folder: where it lies.
        entry: its part of results.json.
        results: the whole of it.
    """

    def __init__(
        self,
        plan: PlannedRun,
        folder: Path,
        entry: dict[str, Any],
        row: int,
        *,
        results: dict[str, Any],
        arrays: Path,
    ):
        self.plan, self.folder, self.entry, self.results = plan, folder, entry, results
        self._row, self._file = row, arrays

    @property
    def ok(self) -> bool:
        """Whether it trained to the end without diverging."""
        return self.entry["status"] == "ok"

    def metric(self, name: str) -> float:
        """A mean over the test data; NaN where it is not known."""
        value = self.entry["metrics"].get(name)
        return float("nan") if value is None else float(value)

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: array[self._row] for name, array in read_arrays(self._file).items()}

    def per_datum(self, name: str) -> np.ndarray:
        """A metric of every test datum `[N]`: iwae_K, gap_K, log_p_hat or ssim."""
        if name == "ssim":
            return self._arrays["ssim"]
        bounds = dict(zip(self.results["evaluation"]["ks"], self._arrays["bounds"], strict=True))
        if name == "log_p_hat":
            return bounds[max(bounds)]
        kind, _, k = name.rpartition("_")
        bound = bounds[int(k)]
        return bound - bounds[max(bounds)] if kind == "gap" else bound

    @cached_property
    def curve(self) -> list[dict[str, Any]]:
        """Its lines of metrics.jsonl, by epoch."""
        records = metrics.read(self.folder / "metrics.jsonl")
        return [record for record in records if record["run"] == self.plan.name]

    @cached_property
    def model(self) -> Model:
        """The trained model."""
        runs = load_runs(self.folder)
        return runs.models[runs.index_of(self.plan.name)]
