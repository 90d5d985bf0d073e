"""TensorBoard: event files in the run folder, a subfolder for each run."""

import io
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elbax.sinks.known import library
from elbax.sinks.protocol import LoggedRun, flat


class TensorBoard:
    """Writes `tensorboard/RUN` in the run folder, or `RUN` in a folder of one's own.

    A run that goes on appends; TensorBoard hides what was written after the step it goes on from.

    Args:
        folder: where to write instead of the run folder; needed where runs have none.

    Raises:
        InputError: tensorboard is not installed.
    """

    name = "tensorboard"

    def __init__(self, folder: str | Path | None = None):
        self._folder = None if folder is None else Path(folder)
        # The writer that PyTorch's SummaryWriter uses; no TensorFlow is needed for it.
        writer = library("tensorboard.summary.writer.event_file_writer")
        self._writer = writer.EventFileWriter
        self._events = library("tensorboard.compat.proto.event_pb2")
        self._summary = library("tensorboard.compat.proto.summary_pb2").Summary
        self._hparams = library("tensorboard.plugins.hparams.summary_v2").hparams_pb
        self._open: dict[str, Any] = {}

    @property
    def needs_folder(self) -> bool:
        """Whether the runs must have one."""
        return self._folder is None

    def start(self, run: LoggedRun) -> None:
        """Open the run's event file; what runs that were begun again have left is removed."""
        above = self._folder if run.folder is None or self._folder else run.folder / "tensorboard"
        assert above is not None
        folder = above / re.sub(r"[^\w.,=() -]", "_", run.name)
        if not run.resumes:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
        self._open[run.name] = self._writer(str(folder))
        if run.resumes:
            log = self._events.SessionLog(status=self._events.SessionLog.START)
            self._add(run.name, run.step + 1, session_log=log)
        else:
            hyper = self._hparams(flat(run.hyperparameters), trial_id=run.name)
            self._add(run.name, 0, summary=hyper)

    def metrics(self, run: str, step: int, values: Mapping[str, int | float]) -> None:
        """One scalar for each number."""
        entries = [self._summary.Value(tag=name, simple_value=v) for name, v in values.items()]
        self._add(run, step, summary=self._summary(value=entries))

    def image(self, run: str, step: int, name: str, pixels: np.ndarray) -> None:
        """A PNG."""
        from PIL import Image

        png = io.BytesIO()
        Image.fromarray(pixels).save(png, format="png")
        height, width, *channels = pixels.shape
        image = self._summary.Image(
            height=height,
            width=width,
            colorspace=channels[0] if channels else 1,
            encoded_image_string=png.getvalue(),
        )
        entry = self._summary.Value(tag=name, image=image)
        self._add(run, step, summary=self._summary(value=[entry]))

    def artifact(self, run: str, path: Path) -> None:
        """TensorBoard has none; the files are in the run folder anyway."""

    def finish(self, run: str, status: str) -> None:
        """Close the run's file."""
        self._open.pop(run).close()

    def _add(self, run: str, step: int, **content: Any) -> None:
        self._open[run].add_event(self._events.Event(wall_time=time.time(), step=step, **content))
        self._open[run].flush()  # an error of the disk is raised here
