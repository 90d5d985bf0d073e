"""A training step beside its own matrix products and beside its peers, in one run.

    python benchmarks/step.py [--rounds 15] [--json FILE]

Batch 20, the reference model on 28 x 28 data, float32, on however many cores there are. Everyone
gathers a minibatch of grey images, binarises it afresh, draws its samples, and takes an Adam step.
Peers that are not installed (`pip install torch pythae`) are left out.
"""

import argparse
import contextlib
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from peers import pythae_steps, torch_steps
from turns import looped_products, show, step_products, take_turns

import elbax
from elbax.training.setup import new_fleet

BATCH, NUM_DATA = 20, 4000
LARGE = ("iwae(k=64)", "piwae(m=8, k=8)", "iwae(k=64, gradient=dreg)", "vae(m=64)")
SMALL = {1: "vae(m=1)", 5: "iwae(k=5)"}


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (NUM_DATA, 28, 28)).astype(np.uint8)


def elbax_steps(method: str, matmul_precision: str = "float32"):
    """A function that takes n steps of a run of its own, through the library's training loop."""
    data = elbax.Dataset(
        name="noise", train=images(), test=images()[:2], levels=255.0, binarise="dynamic"
    )
    config = elbax.TrainConfig(epochs=1000, batch_size=BATCH, matmul_precision=matmul_precision)
    _, fleet, _ = new_fleet(method, data, config=config)
    return fleet.advance


def large(rounds: int) -> dict:
    """64 samples."""
    found = {
        "products": (step_products(BATCH, 64), 4),
        "products bfloat16": (step_products(BATCH, 64, jnp.bfloat16), 4),
        **{method: (elbax_steps(method), 4) for method in LARGE},
        "iwae(k=64) bfloat16": (elbax_steps("iwae(k=64)", "bfloat16"), 4),
    }
    for peer in (torch_steps, pythae_steps):
        with contextlib.suppress(ImportError):
            found |= {name: (steps, 4) for name, steps in peer(images(), BATCH, 64).items()}
    return take_turns(found, rounds)


def small(samples: int, rounds: int) -> dict:
    """Few samples: all overhead."""
    found = {
        "products": (step_products(BATCH, samples), 20),
        "products in one loop": (looped_products(BATCH, samples), 20),
        SMALL[samples]: (elbax_steps(SMALL[samples]), 20),
    }
    with contextlib.suppress(ImportError):
        found |= {name: (run, 20) for name, run in torch_steps(images(), BATCH, samples).items()}
    return take_turns(found, rounds)


def measure(rounds: int) -> dict:
    found = {"64 samples": large(rounds)}
    return found | {f"{samples} samples": small(samples, rounds) for samples in SMALL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.rounds)
    for title, rows in found.items():
        show(title, rows)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
