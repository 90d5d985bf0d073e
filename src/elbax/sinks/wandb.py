"""Weights & Biases: one of its runs for each run, grouped by the run folder."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import InputError
from elbax.sinks.known import library
from elbax.sinks.protocol import LoggedRun


class WandB:
    """Logs to the project WANDB_PROJECT, else elbax; online, or as WANDB_MODE says.

    W&B's own files go to WANDB_DIR, else into the run folder, else where W&B puts them. A run that
    goes on does so under its W&B id: online, steps that the server has are not sent again; offline,
    its newest file has all of them, as a process that is killed takes the end of its file along.

    Raises:
        InputError: wandb is not installed, or is to send to a server and nobody is logged in.
    """

    name = "wandb"
    needs_all = True

    def __init__(self) -> None:
        self._wandb = library("wandb")
        self._check_login()
        self._open: dict[str, Any] = {}
        self._last: dict[str, int] = {}

    def _check_login(self) -> None:
        """Refuse what would otherwise ask for a key in the middle of the training."""
        if self._wandb.setup().settings.mode != "online":
            return
        try:
            known = self._wandb.login(prompt=False, verify=False)
        except TypeError:  # an older wandb, whose login always asks
            known = self._wandb.api.api_key
        if not known:
            raise InputError(
                "expected a login to send to W&B; got none. Run `wandb login`, or set "
                "WANDB_MODE=offline to write files that `wandb sync` sends later."
            )

    def start(self, run: LoggedRun) -> dict[str, str]:
        """Begin the W&B run, or go on with it."""
        known = {"id": run.memory["id"], "resume": "allow"} if run.memory else {}
        place = {} if "WANDB_DIR" in os.environ or run.folder is None else {"dir": str(run.folder)}
        begun = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "elbax"),
            group=run.group,
            name=run.name,
            config=dict(run.hyperparameters),
            reinit="create_new",  # the runs of a fleet are open side by side
            settings=self._wandb.Settings(console="off", silent=True),
            **place,
            **known,
        )
        self._open[run.name] = begun
        self._last[run.name] = begun.step - 1  # what the server has; of a new file, -1
        return {"id": begun.id}

    def metrics(self, run: str, step: int, values: Mapping[str, int | float]) -> None:
        """One row of W&B's history."""
        if step > self._last[run]:
            self._open[run].log(dict(values), step=step)

    def image(self, run: str, step: int, name: str, pixels: np.ndarray) -> None:
        """An image in the row of its step."""
        self._open[run].log({name: self._wandb.Image(pixels)}, step=step)

    def artifact(self, run: str, path: Path) -> None:
        """An artifact of the type run-file, named by the W&B run and the file."""
        name = re.sub(r"[^\w.-]", "_", f"{self._open[run].id}-{path.name}")
        artifact = self._wandb.Artifact(name, type="run-file")
        artifact.add_file(str(path), name=path.name)
        self._open[run].log_artifact(artifact)

    def finish(self, run: str, status: str) -> None:
        """End the W&B run; it counts as failed unless it ended well."""
        self._open.pop(run).finish(exit_code=0 if status in ("ok", "pruned") else 1)
