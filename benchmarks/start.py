"""How long one waits: for the import, for `--help`, and for the first step of a kept program.

    python benchmarks/start.py [--rounds 5]

Each in a process of its own. The kept program is that of `elbax train` with IWAE(64) and the
reference model, compiled by a run before it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

FIRST_STEP = """
import time
from elbax._runtime import prepare
prepare()
import numpy as np
import elbax
from elbax.training.setup import new_fleet
images = np.zeros((100, 28, 28), np.uint8)
data = elbax.Dataset(name="zeros", train=images, test=images, levels=255.0, binarise="dynamic")
_, fleet, _ = new_fleet("iwae(k=64)", data, config=elbax.TrainConfig())
begun = time.perf_counter()
fleet.advance(1)
print(time.perf_counter() - begun)
"""


def measure(rounds: int) -> dict:
    """Seconds: median and least."""
    with tempfile.TemporaryDirectory() as cache:
        kept = dict(os.environ, ELBAX_CACHE=cache)
        compiled = _first_step(kept)
        found = {
            "import elbax": [_seconds("-c", "import elbax") for _ in range(rounds)],
            "elbax --help": [_seconds("-m", "elbax", "--help") for _ in range(rounds)],
            "first step, compiled": [compiled],
            "first step, kept program": [_first_step(kept) for _ in range(rounds)],
        }
    return {
        "seconds at the start": {
            name: {"s": round(statistics.median(values), 3), "s_min": round(min(values), 3)}
            for name, values in found.items()
        }
    }


def _seconds(*words: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def _first_step(environment: dict) -> float:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STEP],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    for rows in measure(parser.parse_args().rounds).values():
        for name, row in rows.items():
            print(f"{name:28}{row['s']:8.2f} s, at best {row['s_min']:.2f} s")


if __name__ == "__main__":
    main()
