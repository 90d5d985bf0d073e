"""What sinks are told when a training has come to its end."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from elbax._errors import ElbaxWarning
from elbax.models.interface import Model
from elbax.sinks.pictures import pictures
from elbax.sinks.sinks import Sinks


def tell_end(
    sinks: Sinks,
    statuses: Mapping[str, str],
    models: Sequence[Model],
    step: int,
    show: Callable[[], np.ndarray | None] | None,
    folder: Path | None,
) -> None:
    """Tell how runs ended, show what they make of images, and hand over the files of their folder.

    Args:
        sinks: where to.
        statuses: "ok", "diverged" or "pruned", by the names of the runs.
        models: theirs.
        step: the last.
        show: gives the images to show, None of data that are no images; or nothing to show.
        folder: theirs, or None.
    """
    sinks.ended(statuses)
    try:
        x = None if show is None else show()
        for run, model in zip(statuses, models, strict=True):
            for name, pixels in ({} if x is None else pictures(model, x)).items():
                sinks.image(run, step, name, pixels)
    except Exception as error:  # noqa: BLE001 (a model of the user's own may lack what this needs)
        why = str(error).partition("\n")[0]
        warnings.warn(
            f"no pictures were logged ({type(error).__name__}: {why}); the runs are whole.",
            ElbaxWarning,
            stacklevel=3,
        )
    if folder is not None:
        sinks.artifact(folder / "config.json")
        sinks.artifact(folder / "metrics.jsonl")
