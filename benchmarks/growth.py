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


def beside_products(sizes: dict[int, tuple[int, int, int]], rounds: int) -> dict:
    """Steps of every size (samples, minibatch, hidden units) and their products, all in turns.

    A machine can be slow for seconds: in turns it is so to one round of all, not to all of one.
    """
    contenders, beside = {}, {}
    for at, (k, batch, hidden) in sizes.items():
        widths = (WIDTHS[0], hidden, hidden, WIDTHS[-1])
        many = max(2, min(40, 2000 // (k * batch * hidden // 200 + 20)))  # small steps: many
        contenders[f"products, {at}"] = (looped_products(batch, k, widths), many)
        contenders[f"step, {at}"] = (steps_of(k, batch=batch, hidden=hidden), many)
        beside |= dict.fromkeys((f"products, {at}", f"step, {at}"), f"products, {at}")
    return take_turns(contenders, rounds, beside)


def measure(rounds: int) -> dict:
    """Of every axis what take_turns says of its steps."""
    found: dict[str, dict] = {
        "samples": beside_products({k: (k, BATCH, 200) for k in SAMPLES}, rounds),
        "minibatch": beside_products({batch: (K, batch, 200) for batch in BATCHES}, rounds),
        "hidden units": beside_products({size: (K, BATCH, size) for size in HIDDEN}, rounds),
    }
    for k in (1, K):
        fleets = {
            f"{kind}, {runs}": (steps_of(k, runs=runs, kind=kind), max(10, 40 // k))
            for runs in RUNS
            for kind in ("sequential", "vmap")
        }
        found[f"runs of a fleet, {k} sample{'s' * (k > 1)}"] = take_turns(fleets, rounds)
    return found


def draw(found: dict, path: Path) -> None:
    """One panel for each axis."""
    figure, panels = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained")
    panels.flat[len(found)].axis("off")
    for panel, (axis, rows) in zip(panels.flat, found.items(), strict=False):
        is_fleet = axis.startswith("runs")
        names = [name.rpartition(", ") for name in rows]
        sizes = list(dict.fromkeys(int(size) for _, _, size in names))
        for kind in dict.fromkeys(kind for kind, _, _ in names):
            values = [rows[f"{kind}, {size}"]["ms_min"] for size in sizes]
            each = [value / size for value, size in zip(values, sizes, strict=True)]
            panel.plot(sizes, each if is_fleet else values, "o-", label=kind)
        panel.set_yscale("linear" if is_fleet else "log")
        if is_fleet:
            panel.set_ylim(bottom=0)
        panel.set_ylabel("ms a step and run" if is_fleet else "ms a step")
        panel.set_xscale("log")
        panel.set_xticks(sizes)
        for ticks in (panel.xaxis, panel.yaxis):
            ticks.set_major_formatter(matplotlib.ticker.ScalarFormatter())
        panel.minorticks_off()
        panel.set_xlabel(axis)
        panel.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=Path("runs/growth.json"))
    parser.add_argument("--figure", type=Path, default=Path("docs/images/growth.svg"))
    options = parser.parse_args()
    found = measure(options.rounds)
    for title, rows in found.items():
        show(title, rows)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    draw(found, options.figure)


if __name__ == "__main__":
    main()
