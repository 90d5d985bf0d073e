"""Seconds that scores of a table's rows take, and how they grow with rows and samples.

    python benchmarks/tables/scores.py [--rows 10000] [--samples 1000] [--turns 3]

The preset `table` (3 x 128, 10 latents) at its first parameters, ten columns, a fifth of the cells
missing; every row has as many samples, none is sampled on. Least of some turns, in which all sizes
come one after the other; the first call of a size, which compiles, is left out.
"""

import argparse
import json
import os
import time
from pathlib import Path

import jax
import numpy as np

import elbax
from elbax.models.config import PRESETS


def setting(num_rows: int):
    """A model and rows with holes."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((num_rows, 10))
    x[rng.random(x.shape) < 0.2] = np.nan
    table = elbax.table_of(x, types={f"x{i}": "gaussian" for i in range(10)})
    config = PRESETS["table"].of_table(table.schema)
    return elbax.one_layer((10,), config, key=jax.random.key(0)), table


def measure(most_rows: int, samples: int, turns: int) -> dict:
    """Least seconds by (rows, samples)."""
    model, table = setting(most_rows)
    sizes = [(most_rows // share, samples) for share in (8, 4, 2, 1)]
    sizes += [(most_rows // 4, samples * factor) for factor in (2, 4)]
    parts = {rows: table.rows(np.arange(rows)) for rows, _ in sizes}
    seconds: dict = {size: [] for size in sizes}
    for turn in range(turns + 1):
        for rows, k in sizes:
            begun = time.perf_counter()
            elbax.score(model, parts[rows], num_samples=k, most_samples=k)
            if turn:
                seconds[rows, k].append(time.perf_counter() - begun)
    base = min(seconds[sizes[0]]) / sizes[0][0] / sizes[0][1]
    return {
        f"{rows} rows, K = {k}": {
            "seconds": round(min(found), 2),
            "per row and sample, to the first": round(min(found) / rows / k / base, 3),
        }
        for (rows, k), found in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("runs/scores.json"))
    options = parser.parse_args()
    found = {"load before": os.getloadavg()[0]}
    found |= {"sizes": measure(options.rows, options.samples, options.turns)}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    print(f"Saved: {options.json}")


if __name__ == "__main__":
    main()
