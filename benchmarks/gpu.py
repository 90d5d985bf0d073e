"""The runs of Table 1 (8 methods, 4 seeds) as one batched fleet: steps per second against R.

    python benchmarks/gpu.py [--steps 300] [--runs 1 2 4 8 16 32] [--devices N] [--json FILE]

Made for a GPU, on all devices that JAX has; on a CPU it runs, slowly (--steps 2 --runs 1 2).
Noise of 28 x 28, batch 20, T = 64, the reference model: the cost does not depend on what is
learned. Every time ends when the devices have finished. What the paper preset would take is
projected from the speed of the largest fleet: hours of training, without evaluations.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np
from turns import show

import elbax
from elbax.data.registry import get
from elbax.studies.papers.table1 import METHODS, STUDY
from elbax.training.setup import new_fleet

PAPER = STUDY.presets["paper"]
BATCH, CHUNK = 20, 100


def fleet(num_runs: int):
    """The first R runs, each seed with all methods before the next seed."""
    grey = np.random.default_rng(0).integers(0, 256, (4000, 28, 28)).astype(np.uint8)
    data = elbax.Dataset(name="noise", train=grey, test=grey[:2], levels=255.0, binarise="dynamic")
    num_methods = min(num_runs, len(METHODS))
    if num_runs % num_methods:
        raise SystemExit(f"expected R up to {len(METHODS)}, or a multiple of it; got {num_runs}.")
    _, found, _ = new_fleet(
        METHODS[:num_methods],
        data,
        config=elbax.TrainConfig(epochs=100_000, batch_size=BATCH),
        seeds=range(num_runs // num_methods),
        fleet_map="vmap",
    )
    return found


def timed(num_runs: int, num_steps: int) -> dict[str, float]:
    """`Fleet.advance` returns when its devices have finished, so a clock around it is enough."""
    found = fleet(num_runs)
    begun = time.perf_counter()
    found.advance(1)
    compiled = time.perf_counter() - begun
    found.advance(1)
    per_epoch, at, begun = found.program.steps_per_epoch(4000), 2, time.perf_counter()
    end = at + num_steps
    while at < end:
        taken = min(CHUNK, end - at, per_epoch - at % per_epoch)
        found.advance(taken)
        at += taken
    seconds = time.perf_counter() - begun
    speed = num_steps / seconds
    return {
        "steps_per_s": speed,
        "run_steps_per_s": speed * num_runs,
        "ms": 1e3 / speed,
        "compile_s": compiled,
        "GB": peak() / 1e9,
    }


def peak() -> float:
    """Of the fullest device since the start; 0 where JAX does not know, as on a CPU."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    return float(max(one.get("peak_bytes_in_use", 0) for one in stats))


def projected(run_steps_per_s: float) -> dict[str, float]:
    """Hours of the paper preset by data set, all its runs in fleets of the same speed."""
    num_runs = len(METHODS) * len(PAPER.seeds)
    steps = {data: n * (get(data).num_train // BATCH) for data, n in PAPER.epochs.items()}
    return {data: n * num_runs / run_steps_per_s / 3600 for data, n in steps.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--devices", type=int)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    kinds = [device.device_kind for device in jax.local_devices()][: options.devices]
    print(f"{len(kinds)} x {kinds[0]}, jax {jax.__version__}, {options.steps} steps each")
    with elbax.limit_devices(options.devices):
        found = {f"R = {count}": timed(count, options.steps) for count in options.runs}
    show("vmapped fleets of Table 1", found)
    hours = projected(found[f"R = {max(options.runs)}"]["run_steps_per_s"])
    print(f"\nprojected for `elbax reproduce table1 --preset paper`, from R = {max(options.runs)}:")
    for data, number in hours.items():
        print(f"  {data:28}{number:.1f} h of training")
    if options.json is not None:
        content = {"devices": kinds, "fleets": found, "paper_hours": hours}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
