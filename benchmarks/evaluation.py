"""The IWAE-5000 pass: beside the decoder's products alone, and its peak memory over a test set.

    python benchmarks/evaluation.py [--num-data 10000] [--ks 1 64 5000]

Uses 28 x 28 noise and the reference model at its first parameters: the cost does not depend on
what was learned.
"""

import argparse
import resource
import time

import jax
import numpy as np
from turns import forward_products, show, take_turns

import elbax

BATCH, SAMPLES, ROWS = 20, 5000, 2560


def noise(num_data: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (num_data, 28, 28)).astype(np.float32)


def measure(rounds: int) -> dict:
    """20 data, 5000 samples: the pass and its products."""
    model, x = elbax.one_layer((28, 28), key=jax.random.key(0)), noise(BATCH)
    products = forward_products(ROWS)

    def evaluate(count: int) -> None:
        for _ in range(count):
            elbax.evaluate(model, x, key=jax.random.key(1), ks=(1, 64, SAMPLES))

    def alone(count: int) -> None:
        products(count * BATCH * SAMPLES // ROWS)

    return {
        "IWAE-5000 of 20 data": take_turns(
            {"products": (alone, 1), "evaluate": (evaluate, 1)}, rounds
        )
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-data", type=int, default=10_000)
    parser.add_argument("--ks", type=int, nargs="+", default=[1, 64, 5000])
    options = parser.parse_args()
    for title, rows in measure(5).items():
        show(title, rows)
    model = elbax.one_layer((28, 28), key=jax.random.key(0))
    begun = time.perf_counter()
    result = elbax.evaluate(model, noise(options.num_data), key=jax.random.key(1), ks=options.ks)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rows = options.num_data * max(options.ks)
    print(f"{options.num_data} data, ks {options.ks}: {seconds:.1f} s, {peak:.2f} GiB resident")
    print(f"{seconds / rows * 1e6:.3f} us per sample; log p-hat {result.log_p_hat.mean:.3f}")


if __name__ == "__main__":
    main()
