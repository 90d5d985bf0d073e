"""`elbax export`: what was found, as files for other programs."""

from pathlib import Path

import numpy as np

from elbax._errors import InputError
from elbax.cli import options as o
from elbax.cli.named import load_own
from elbax.cli.outcome import Outcome, filled
from elbax.report.export import TABLES, write_table
from elbax.runs.export import VALUES, check_ending, write_values
from elbax.runs.latents import posterior_means_of
from elbax.runs.read import read_results


def export(options: o.Export) -> Outcome:
    """Write the values of every datum, the table, or both."""
    folder = Path(options.folder)
    out = options.out
    if out is None and options.table is None:
        out = str(folder / "per_datum.csv")
    # Both names are looked at before anything is written.
    files = [check_ending(out, VALUES, "--out")] if out is not None else []
    files += [check_ending(options.table, TABLES, "--table")] if options.table is not None else []
    if len({file.resolve() for file in files}) < len(files):
        raise InputError(f"expected two files for --out and --table; got '{out}' for both.")
    shapes = {}
    if out is not None:
        shapes = write_values(folder, out, means=_means(options) if options.latents else None)
    if options.table is not None:
        write_table(folder, options.table)
    content = {"files": [str(file) for file in files], "shapes": shapes}
    return Outcome(content, filled(f"Written: {', '.join(map(str, files))}"))


def _means(options: o.Export) -> list[np.ndarray]:
    evaluation = read_results(options.folder)["evaluation"]
    runs = load_own(options.folder, options.own)
    return posterior_means_of(
        runs,
        num_data=evaluation.get("num_data"),
        seed=evaluation.get("seed", 0),
        data_dir=options.data_dir,
    )
