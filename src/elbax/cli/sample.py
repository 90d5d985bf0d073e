"""`elbax sample`: what a run has learned, as pictures, arrays or tables."""

import io
from pathlib import Path

import numpy as np

from elbax._door import schema_of
from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.cli import options as o
from elbax.cli.named import load_own
from elbax.cli.outcome import Outcome, filled
from elbax.evaluation.images import are_images
from elbax.exhibits import Panel
from elbax.runs.looks import look
from elbax.tables.files import write_columns
from elbax.tables.schema import Schema
from elbax.tables.units import in_units


def sample(options: o.Sample) -> Outcome:
    """Show what a run has learned."""
    from elbax.report.pictures import pictures
    from elbax.report.style import save

    path = Path(options.out)
    runs = load_own(options.folder, options.own)
    schema = schema_of(runs.models[0])
    _check_ending(path, schema if options.what != "weights" else None)
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
    elif path.suffix == ".npy":
        _save_array(path, *[panel.images for panel in panels])
    else:
        assert schema is not None
        _save_table(path, panels, schema)
    shapes = {panel.title: list(panel.images.shape) for panel in panels}
    content = {"file": str(path), "run": name, "what": options.what, "shapes": shapes}
    return Outcome(content, filled(f"{', '.join(shapes)} of {name} in {path}"))


def _check_ending(path: Path, schema: Schema | None) -> None:
    """Refuse a file that does not hold what is shown: a table's rows have units and names."""
    tables, arrays = (".csv", ".tsv", ".parquet"), (".png", ".npy")
    if path.suffix not in (*tables, *arrays):
        raise InputError(f"expected --out to end in {', '.join((*arrays, *tables))}; got '{path}'.")
    if schema is not None and path.suffix not in tables:
        raise InputError(
            f"expected --out to end in {', '.join(tables)}, because these runs are of a table, "
            f"whose rows come in its own units and names; got '{path}'."
        )
    if schema is None and path.suffix in tables:
        raise InputError(
            f"expected --out to end in .png or .npy for what is no row of a table; got '{path}'."
        )


def _save_table(path: Path, panels: list[Panel], schema: Schema) -> None:
    """Rows in the user's own units; of several panels, with a first column that tells them."""
    parts = [in_units(np.asarray(panel.images, np.float64), schema) for panel in panels]
    found = {name: np.concatenate([part[name] for part in parts]) for name in schema.names}
    if len(panels) > 1:
        titles = [panel.title for panel in panels]
        found = {"rows": np.repeat(titles, [len(panel.images) for panel in panels])} | found
    write_columns(path, found, {one.name for one in schema.columns if one.values == "int"})


def _save_array(path: Path, *arrays: np.ndarray) -> None:
    """One array, or several one after the other."""
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(arrays))
    write_atomically(path, buffer.getvalue())
