"""What a draw of `elbax.snr` costs beside a plain gradient, and that memory does not grow.

    python benchmarks/snr.py

The toy with 1e3, 1e4 and 1e5 draws: peak resident memory of the process after each. Then the
reference model on 28 x 28 data, 10 data, K = 16 and 64: seconds per draw, from runs of two lengths
so that what is done once cancels, over those of a compiled gradient alone.
"""

import resource
import statistics
import time

import equinox as eqx
import jax

import elbax

ROUNDS, SHORT, LONG = 3, 256, 768


def main():
    model, data = elbax.gaussian_toy(key=jax.random.key(0))
    for draws in (1_000, 10_000, 100_000):
        found = elbax.snr(elbax.iwae(8), model, data[:4], key=jax.random.key(1), num_draws=draws)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{found.num_draws} draws: peak {peak:.0f} MB")
    for name, row in measure(ROUNDS)["a draw over a gradient alone"].items():
        print(f"{name}: a draw takes {row['ratio']:.2f} x a gradient alone")


def measure(rounds: int) -> dict:
    """Seconds of a draw over those of a gradient, per K."""
    model = elbax.one_layer((28, 28), key=jax.random.key(0))
    x = jax.random.bernoulli(jax.random.key(3), 0.5, (10, 28, 28)).astype(float)
    found = {}
    for k in (16, 64):
        ratios = []
        seconds_of_snr(model, x, k, SHORT)  # compiles
        for _ in range(rounds):
            alone = seconds_of_a_gradient(model, x, k)
            short, long = (seconds_of_snr(model, x, k, draws) for draws in (SHORT, LONG))
            ratios.append((long - short) / (LONG - SHORT) / alone)
        found[f"K = {k}"] = {"ratio": round(statistics.median(ratios), 3)}
    return {"a draw over a gradient alone": found}


def seconds_of_a_gradient(model, x, k, repeats=60):
    step = eqx.filter_jit(elbax.value_and_grad(elbax.iwae(k)))
    keys = jax.random.split(jax.random.key(1), repeats)
    jax.block_until_ready(step(model, x, key=keys[0]))
    begun = time.perf_counter()
    for key in keys:
        jax.block_until_ready(step(model, x, key=key))
    return (time.perf_counter() - begun) / repeats


def seconds_of_snr(model, x, k, draws):
    begun = time.perf_counter()
    elbax.snr(elbax.iwae(k), model, x, key=jax.random.key(1), num_draws=draws)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
