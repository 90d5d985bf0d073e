"""Every figure of docs/speed.md in one run, printed and saved as one JSON.

python benchmarks/bench.py [--rounds 15] [--json runs/bench.json]
"""

import argparse
import json
import os
import platform
from pathlib import Path

import evaluation
import jax
import jaxlib
import snr
import start
import step
from turns import show

import elbax

PARTS = {"step": step, "evaluation": evaluation, "snr": snr, "start": start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, default=Path("runs/bench.json"))
    options = parser.parse_args()
    found = {"machine": machine()}
    for name, part in PARTS.items():
        found[name] = part.measure(options.rounds if part is step else min(options.rounds, 5))
        for title, rows in found[name].items():
            show(title, rows)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\nSaved: {options.json}")


def machine() -> dict:
    """What the figures are of."""
    return {
        "elbax": elbax.__version__,
        "python": platform.python_version(),
        "jaxlib": jaxlib.__version__,
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    main()
