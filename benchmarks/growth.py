"""How the cost of a training step grows with samples, minibatch, width and runs, as a figure.

    python benchmarks/growth.py [--rounds 9] [--json FILE] [--figure docs/images/growth.svg]

The reference model on 28 x 28 data in float32, 20 data and 64 samples where nothing else is said;
each beside the matrix products of the same step, in turns. A fleet's runs take turns on all cores
("sequential"), or are one batched program ("vmap").
"""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
from bench import machine
from turns import WIDTHS, looped_products, show, take_turns

import elbax
from elbax.training.setup import new_fleet

matplotlib.use("svg")
import matplotlib.pyplot as plt

BATCH, K = 20, 64
SAMPLES = (1, 2, 5, 10, 20, 64, 200, 500)
BATCHES = (5, 10, 20, 50, 100, 200)
HIDDEN = (50, 100, 200, 400, 800)
RUNS = (1, 2, 4, 8)


def steps_of(k: int, *, batch: int = BATCH, hidden: int = 200, runs: int = 1, kind: str = "auto"):
    """The training loop of a fleet of IWAE runs that differ in their seed."""
    grey = np.random.default_rng(0).integers(0, 256, (2000, 28, 28)).astype(np.uint8)
    data = elbax.Dataset(name="noise", train=grey, test=grey[:2], levels=255.0, binarise="dynamic")
    config = elbax.TrainConfig(epochs=1000, batch_size=batch)
    model = elbax.ModelConfig(hidden=(hidden, hidden))
    _, fleet, _ = new_fleet(
        f"iwae(k={k})", data, model=model, config=config, seeds=tuple(range(runs)), fleet_map=kind
    )
    return fleet.advance


def beside_products(k: int, batch: int, hidden: int, rounds: int) -> dict:
    """A step and its products, in turns; small steps many at a time."""
    widths = (WIDTHS[0], hidden, hidden, WIDTHS[-1])
    many = max(2, min(40, 2000 // (k * batch * hidden // 200 + 20)))
    return take_turns(
        {
            "products": (looped_products(batch, k, widths), many),
            "step": (steps_of(k, batch=batch, hidden=hidden), many),
        },
        rounds,
    )


def measure(rounds: int) -> dict:
    """Every axis: by its value, what take_turns says of a step and of its products."""
    found: dict[str, dict] = {
        "samples": {k: beside_products(k, BATCH, 200, rounds) for k in SAMPLES},
        "minibatch": {batch: beside_products(K, batch, 200, rounds) for batch in BATCHES},
        "hidden units": {size: beside_products(K, BATCH, size, rounds) for size in HIDDEN},
    }
    for k in (1, K):
        fleets = {
            f"{kind}, {runs}": (steps_of(k, runs=runs, kind=kind), max(2, 40 // k))
            for runs in RUNS
            for kind in ("sequential", "vmap")
        }
        found[f"runs of a fleet, {k} sample{'s' * (k > 1)}"] = take_turns(fleets, rounds)
    return found


def draw(found: dict, path: Path) -> None:
    """One panel for each axis."""
    figure, panels = plt.subplots(1, 5, figsize=(17, 3.4), layout="constrained")
    for panel, (axis, rows) in zip(panels, found.items(), strict=True):
        if axis.startswith("runs"):
            for kind in ("sequential", "vmap"):
                values = [rows[f"{kind}, {runs}"]["ms_min"] / runs for runs in RUNS]
                panel.plot(RUNS, values, "o-", label=kind)
            panel.set_ylabel("ms a step and run")
        else:
            for name in ("step", "products"):
                values = [row[name]["ms_min"] for row in rows.values()]
                panel.plot(list(rows), values, "o-", label=name)
            panel.set_yscale("log")
            panel.set_ylabel("ms a step")
        panel.set_xscale("log")
        panel.set_xticks(RUNS if axis.startswith("runs") else list(rows))
        panel.get_xaxis().set_major_formatter(matplotlib.ticker.ScalarFormatter())
        panel.minorticks_off()
        panel.set_xlabel(axis)
        panel.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("runs/growth.json"))
    parser.add_argument("--figure", type=Path, default=Path("docs/images/growth.svg"))
    options = parser.parse_args()
    found = measure(options.rounds)
    for title, rows in found.items():
        if title.startswith("runs"):
            show(title, rows)
        else:
            show(title, {str(at): row["step"] for at, row in rows.items()})
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    draw(found, options.figure)


if __name__ == "__main__":
    main()
