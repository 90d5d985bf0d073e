"""Time and peak memory of the IWAE-5000 pass over a test set, in a process of its own.

    python benchmarks/evaluation.py [--num-data 10000] [--ks 1 64 5000]

Uses 28 x 28 noise and the reference model at its first parameters: the cost does not depend on
what was learned.
"""

import argparse
import resource
import time

import jax
import numpy as np

import elbax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-data", type=int, default=10_000)
    parser.add_argument("--ks", type=int, nargs="+", default=[1, 64, 5000])
    options = parser.parse_args()
    model = elbax.one_layer((28, 28), key=jax.random.key(0))
    x = np.random.default_rng(0).integers(0, 2, (options.num_data, 28, 28)).astype(np.float32)
    begun = time.perf_counter()
    result = elbax.evaluate(model, x, key=jax.random.key(1), ks=options.ks)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rows = options.num_data * max(options.ks)
    print(f"{options.num_data} data, ks {options.ks}: {seconds:.1f} s, {peak:.2f} GiB resident")
    print(f"{seconds / rows * 1e6:.3f} us per sample; log p-hat {result.log_p_hat.mean:.3f}")


if __name__ == "__main__":
    main()
