"""MLflow: one of its runs for each run, tagged with the run folder."""

import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elbax.sinks.known import library
from elbax.sinks.protocol import LoggedRun, flat

_MOST_PARAMS, _LONGEST = 100, 500  # of a batch; characters that every store of MLflow holds
_STATUS = {
    "ok": "FINISHED",
    "stopped": "KILLED",
    "pruned": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
}


class MLflow:
    """Logs to the experiment MLFLOW_EXPERIMENT_NAME, else elbax, at MLFLOW_TRACKING_URI.

    Without an address MLflow keeps runs where it does by itself. A run has the tag `elbax.group`,
    by which those of one fleet are found. One that goes on does so under its MLflow id, and steps
    that the store has already are not logged again.

    Raises:
        InputError: mlflow is not installed.
    """

    name = "mlflow"
    needs_all = True  # in a store of its own it knows better what is there

    def __init__(self) -> None:
        self._entities = library("mlflow.entities")
        self._make_client = library("mlflow").MlflowClient
        self._client: Any = None
        self._ids: dict[str, str] = {}
        self._last: dict[str, int] = {}

    def start(self, run: LoggedRun) -> dict[str, str]:
        """Begin the MLflow run, or go on with it."""
        if self._client is None:  # here, as a database may be made or a server be asked
            self._client = self._make_client()
        if run.memory:
            known = run.memory["id"]
            self._client.update_run(known, status="RUNNING")
            self._last[run.name] = self._last_step(known)
        else:
            begun = self._client.create_run(
                self._experiment(), run_name=run.name, tags={"elbax.group": run.group}
            )
            known, self._last[run.name] = begun.info.run_id, 0
            self._params(known, run)
        self._ids[run.name] = known
        return {"id": known}

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "elbax")
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        try:
            return self._client.create_experiment(name)
        except Exception:
            found = self._client.get_experiment_by_name(name)  # another process was first
            if found is None:
                raise
            return found.experiment_id

    def _params(self, known: str, run: LoggedRun) -> None:
        param = self._entities.Param
        params = (param(n, str(v)[:_LONGEST]) for n, v in flat(run.hyperparameters).items())
        while some := list(itertools.islice(params, _MOST_PARAMS)):
            self._client.log_batch(known, params=some)

    def _last_step(self, known: str) -> int:
        """The last step that the store has; a batch is stored whole or not at all."""
        history = self._client.get_metric_history(known, "epoch")
        return max((point.step for point in history), default=0)

    def metrics(self, run: str, step: int, values: Mapping[str, int | float]) -> None:
        """One batch of metrics."""
        if step > self._last[run]:
            now, metric = int(time.time() * 1000), self._entities.Metric
            points = [metric(name, float(value), now, step) for name, value in values.items()]
            self._client.log_batch(self._ids[run], metrics=points)

    def image(self, run: str, step: int, name: str, pixels: np.ndarray) -> None:
        """A PNG among the run's artifacts, under `images`."""
        from PIL import Image

        self._client.log_image(self._ids[run], Image.fromarray(pixels), f"images/{name}.png")

    def artifact(self, run: str, path: Path) -> None:
        """A file among the run's artifacts."""
        self._client.log_artifact(self._ids[run], str(path))

    def finish(self, run: str, status: str) -> None:
        """End the MLflow run."""
        self._client.set_terminated(self._ids[run], status=_STATUS[status])
