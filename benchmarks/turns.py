"""Contenders that take turns, and the matrix products that a step cannot do without.

Machines are noisy, so that only ratios within one run say anything: every contender runs for a
moment, round after round, and each round gives a ratio to the first of them.
"""

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

WIDTHS = (784, 200, 200, 50)  # of the reference model's encoder; the decoder's are these reversed


def take_turns(
    contenders: dict[str, tuple[Callable[[int], None], int]],
    rounds: int,
    beside: dict[str, str] | None = None,
) -> dict:
    """Milliseconds a step; contenders are (function of a number of steps, steps a turn).

    Ratios are to the first contender, or to the one that `beside` names.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for run, _ in contenders.values():
        run(2)  # compiles, and warms the caches
    for _ in range(rounds):
        for name, (run, steps) in contenders.items():
            begun = time.perf_counter()
            run(steps)
            times[name].append((time.perf_counter() - begun) / steps * 1e3)
    beside = beside or dict.fromkeys(times, next(iter(times)))
    return {name: _summary(values, times[beside[name]]) for name, values in times.items()}


def _summary(values: list[float], base: list[float]) -> dict[str, float]:
    return {
        "ms": round(statistics.median(values), 4),
        "ms_min": round(min(values), 4),
        "ratio": round(statistics.median(a / b for a, b in zip(values, base, strict=True)), 4),
        "ratio_min": round(min(values) / min(base), 4),
    }


def show(title: str, found: dict) -> None:
    """One line a contender: whatever was found of it."""
    print(f"\n{title}")
    for name, row in found.items():
        print(f"  {name:28}" + "  ".join(f"{key} {value:.3f}" for key, value in row.items()))


def step_products(batch: int, samples: int, dtype=jnp.float32) -> Callable[[int], None]:
    """The matrix products of one training step and nothing else; sums are in float32.

    Each step is a call of its own, which writes to fresh memory: with few samples that takes as
    long as the products do (`looped_products`).
    """
    layers = _layers(batch, samples, dtype)
    step = jax.jit(_products)
    return repeat(lambda: step(layers))


def looped_products(
    batch: int, samples: int, widths: tuple[int, ...] = WIDTHS
) -> Callable[[int], None]:
    """The same in one compiled loop, as training takes its steps."""
    layers = _layers(batch, samples, jnp.float32, widths)

    @jax.jit
    def steps(layers, count):
        def body(_, carry):
            layers, _ = jax.lax.optimization_barrier(carry)
            return layers, _products(layers)

        return jax.lax.fori_loop(0, count, body, (layers, _products(layers)))[1]

    return lambda count: jax.block_until_ready(steps(layers, count - 1))


def _layers(
    batch: int, samples: int, dtype, widths: tuple[int, ...] = WIDTHS
) -> list[tuple[jax.Array, jax.Array, jax.Array]]:
    """Of each layer of a model its input, its weight and its output's cotangent."""
    encoder = [*pairwise(widths), widths[-2:]]  # two heads
    decoder = list(pairwise(widths[::-1]))
    shapes = [(batch, *one) for one in encoder] + [(batch * samples, *one) for one in decoder]
    generator = np.random.default_rng(0)

    def noise(*shape):
        return jnp.asarray(0.1 * generator.normal(size=shape), dtype)

    return [(noise(n, i), noise(i, o), noise(n, o)) for n, i, o in shapes]


def _products(layers) -> list[jax.Array]:
    def dot(a, b, contract):
        dimensions = ((contract[:1], contract[1:]), ((), ()))
        return jax.lax.dot_general(a, b, dimensions, preferred_element_type=jnp.float32)

    out = []
    for index, (x, weight, cotangent) in enumerate(layers):
        out += [dot(x, weight, (1, 0)), dot(x, cotangent, (0, 0))]
        if index:  # the data need no gradient
            out.append(dot(cotangent, weight, (1, 1)))
    return out


def forward_products(rows: int) -> Callable[[int], None]:
    """The decoder's products of one block of an evaluation."""
    generator = np.random.default_rng(0)
    sizes = WIDTHS[::-1]
    weights = [
        jnp.asarray(0.1 * generator.normal(size=size), jnp.float32) for size in pairwise(sizes)
    ]
    inputs = [jnp.asarray(generator.normal(size=(rows, size)), jnp.float32) for size in sizes[:-1]]

    @jax.jit
    def block(inputs, weights):
        return [x @ weight for x, weight in zip(inputs, weights, strict=True)]

    return repeat(lambda: block(inputs, weights))


def repeat(once: Callable) -> Callable[[int], None]:
    def steps(count: int) -> None:
        for _ in range(count):
            jax.block_until_ready(once())

    return steps
