"""`elbax sample`: what a run has learned, as pictures or arrays."""

import io
from pathlib import Path

import numpy as np

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.cli import options as o
from elbax.cli.named import load_own
from elbax.cli.outcome import Outcome, filled
from elbax.evaluation.images import are_images
from elbax.runs.looks import look


def sample(options: o.Sample) -> Outcome:
    """Show what a run has learned."""
    from elbax.report.pictures import pictures
    from elbax.report.style import save

    path = Path(options.out)
    if path.suffix not in (".png", ".npy"):
        raise InputError(f"expected --out to end in .png or .npy; got '{options.out}'.")
    runs = load_own(options.folder, options.own)
    name = runs.specs[runs.index_of(options.run)].name
    shape = runs.config["data"]["event_shape"]
    if path.suffix == ".png" and not are_images(shape):
        raise InputError(
            f"expected images [H, W] or [H, W, 3] for a .png; these data have shape {shape}. Write "
            "an .npy instead."
        )
    panels = look(
        runs,
        options.what,
        run=options.run,
        num=options.num,
        k=options.k,
        seed=options.seed,
        data_dir=options.data_dir,
        data=options.data,
        split=options.split,
    )
    if path.suffix == ".png":
        save(pictures(panels), path)
    else:
        _save_array(path, *[panel.images for panel in panels])
    shapes = {panel.title: list(panel.images.shape) for panel in panels}
    content = {"file": str(path), "run": name, "what": options.what, "shapes": shapes}
    return Outcome(content, filled(f"{', '.join(shapes)} of {name} in {path}"))


def _save_array(path: Path, *arrays: np.ndarray) -> None:
    """One array, or several one after the other."""
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(arrays))
    write_atomically(path, buffer.getvalue())
