"""Two ways to advance a fleet: run by run on all cores, or all runs in one batched program.

    python benchmarks/fleet.py [--runs 6] [--rounds 5] [--steps 20]

Batch 20, T = 64, reference model, 28 x 28. Prints the time per run and step, and the ratio.
"""

import argparse
import statistics
import time

import numpy as np

import elbax
from elbax.training.setup import new_fleet


def fleet(num_runs: int, kind: str):
    """The `advance` of a fleet of IWAE runs that differ in their seed."""
    grey = np.random.default_rng(0).integers(0, 256, (2000, 28, 28)).astype(np.uint8)
    data = elbax.Dataset(name="noise", train=grey, test=grey[:2], levels=255.0, binarise="dynamic")
    config = elbax.TrainConfig(epochs=1000)
    seeds = tuple(range(num_runs))
    _, found, _ = new_fleet("iwae(k=64)", data, config=config, seeds=seeds, fleet_map=kind)
    found.advance(2)
    return found.advance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    contenders = {
        "alone": (fleet(1, "sequential"), 1),
        "sequential": (fleet(options.runs, "sequential"), options.runs),
        "vmap": (fleet(options.runs, "vmap"), options.runs),
    }
    times = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, (advance, num_runs) in contenders.items():
            begun = time.perf_counter()
            advance(options.steps)
            times[name].append((time.perf_counter() - begun) / options.steps / num_runs * 1e3)
    for name, values in times.items():
        ratios = [a / b for a, b in zip(values, times["alone"], strict=True)]
        print(
            f"{name:11} {statistics.median(values):7.2f} ms per run and step, "
            f"{statistics.median(ratios):.3f} of a run alone"
        )


if __name__ == "__main__":
    main()
