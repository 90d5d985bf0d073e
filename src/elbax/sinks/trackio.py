"""Trackio: one of its runs for each run, grouped by the run folder."""

import contextvars
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elbax.sinks.known import library
from elbax.sinks.protocol import LoggedRun, flat


class Trackio:
    """Logs to the project TRACKIO_PROJECT, else elbax: on this machine, or to TRACKIO_SPACE_ID.

    A run is called GROUP/RUN, since Trackio finds a run that goes on by its name. Steps that its
    database has already are not logged again.

    Raises:
        InputError: trackio is not installed.
    """

    name = "trackio"
    needs_all = True  # what a killed process had not written yet is told again

    def __init__(self) -> None:
        self._trackio = library("trackio")
        self._store = library("trackio.sqlite_storage").SQLiteStorage
        self._project = os.environ.get("TRACKIO_PROJECT", "elbax")
        self._open: dict[str, Any] = {}
        self._last: dict[str, int] = {}

    def start(self, run: LoggedRun) -> dict[str, str]:
        """Begin the Trackio run, or go on with it."""
        # In a context of its own, as `init` would end the run that it finds open in this one.
        begun = contextvars.Context().run(
            self._trackio.init,
            project=self._project,
            name=f"{run.group}/{run.name}",
            group=run.group,
            config=flat(run.hyperparameters),
            resume="allow" if run.memory else "never",
            embed=False,
        )
        self._open[run.name] = begun
        stored = self._store.get_max_step_for_run(self._project, begun.name, run_id=begun.id)
        # A new one where the first was killed before Trackio had written anything.
        if run.memory and begun.id != run.memory["id"] and stored is not None:
            raise RuntimeError(f"another run '{begun.name}' was begun in Trackio since")
        self._last[run.name] = 0 if stored is None else stored
        return {"id": begun.id}

    def metrics(self, run: str, step: int, values: Mapping[str, int | float]) -> None:
        """One row of Trackio's log."""
        if step > self._last[run]:
            self._open[run].log(dict(values), step=step)

    def image(self, run: str, step: int, name: str, pixels: np.ndarray) -> None:
        """An image in a row of its own."""
        self._open[run].log({name: self._trackio.Image(pixels)}, step=step)

    def artifact(self, run: str, path: Path) -> None:
        """An artifact, named by the Trackio run and the file."""
        name = re.sub(r"[^\w.-]", "_", f"{self._open[run].id[:8]}-{path.name}")
        self._open[run].log_artifact(path, name=name, type="run-file")

    def finish(self, run: str, status: str) -> None:
        """End the Trackio run; it keeps no status."""
        self._open.pop(run).finish()
