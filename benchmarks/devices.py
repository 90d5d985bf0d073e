"""Memory and numbers of 1, 2, 4 and 8 devices, and of a step against its number of samples.

    python benchmarks/devices.py [--runs 8] [--data 160] [--json FILE]

Without GPUs it makes eight devices of the CPU. The bytes are those of each device, by the
compiler's own account (arguments, results and what lies between); "most" is the largest difference
to one device's numbers.
"""

import argparse
import json
import os
from pathlib import Path

os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
)

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import elbax
from elbax._devices import everywhere, mesh_for, parted
from elbax.evaluation import blocks
from elbax.training.setup import new_fleet

SHAPE, BATCH = (28, 28), 20
KS = (1, 64, 5000)
SAMPLES = (1000, 10_000, 100_000)


def held(compiled) -> float:
    """MB that a device holds."""
    found = compiled.memory_analysis()
    alias = found.alias_size_in_bytes
    total = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return (total - alias) / 1e6


def fleet(num_runs: int) -> tuple[float, np.ndarray]:
    """MB on a device for a batched fleet, and the parameters after five steps."""
    grey = np.random.default_rng(0).integers(0, 256, (2000, *SHAPE)).astype(np.uint8)
    data = elbax.Dataset(name="noise", train=grey, test=grey[:2], levels=255.0, binarise="dynamic")
    config = elbax.TrainConfig(epochs=1000, batch_size=BATCH)
    seeds = range(num_runs)
    _, found, _ = new_fleet("iwae(k=64)", data, config=config, seeds=seeds, fleet_map="vmap")
    stacked = found._side_by_side.stacked(found.states)
    needs = found.program.objectives.all_needs
    memory = held(found._chunk.lower(stacked, found._images, jnp.int32(1), needs).compile())
    found.advance(5)
    leaves = [jax.tree.leaves(found.model(index)) for index in range(num_runs)]
    return memory, np.concatenate([np.ravel(leaf) for model in leaves for leaf in model])


def evaluation(num_data: int) -> tuple[float, np.ndarray]:
    """MB on a device for the pass of so many data at once, and their bounds."""
    model = elbax.one_layer(SHAPE, key=jax.random.key(0))
    x = np.random.default_rng(0).integers(0, 2, (num_data, *SHAPE)).astype(np.float32)
    mesh = mesh_for(num_data)
    params, static = eqx.partition(model, eqx.is_array)
    known, key = (jnp.asarray(x), jnp.arange(num_data)), jax.random.key(1)
    if mesh is not None:
        (params, key), known = everywhere((params, key), mesh), parted(known, mesh)
    cut = 125, 40  # samples at a time, and how often
    program = blocks._evaluate_block.lower(params, known[0], key, known[1], static, KS, *cut, mesh)
    memory = held(program.compile())
    found = elbax.evaluate(model, x, key=jax.random.key(1), ks=(1, 64))
    return memory, found.bounds


def table(title: str, of, size: int) -> list[dict]:
    """A row for each number of devices."""
    print(f"\n{title}\n  devices   MB on each   of one   most")
    rows, first = [], None
    for count in (1, 2, 4, 8):
        with elbax.limit_devices(count):
            memory, numbers = of(size)
        first = (memory, numbers) if first is None else first
        most = float(np.abs(numbers - first[1]).max())
        rows.append({"devices": count, "mb": memory, "ratio": memory / first[0], "most": most})
        print(f"  {count:7} {memory:12.1f} {memory / first[0]:8.3f}   {most:.1e}")
    return rows


def step(num_samples: int, sample_chunk: int | None) -> float:
    """MB of a gradient of IWAE, batch 20, the reference model; it is compiled, not run."""
    model = elbax.one_layer(SHAPE, key=jax.random.key(0))
    gradient = elbax.value_and_grad(elbax.iwae(num_samples), sample_chunk=sample_chunk)
    params, static = eqx.partition(model, eqx.is_array)

    def of(params, x, key):
        return gradient(eqx.combine(params, static), x, key=key)[1]

    x = jax.ShapeDtypeStruct((BATCH, *SHAPE), jnp.float32)
    return held(jax.jit(of).lower(params, x, jax.random.key(0)).compile())


def samples() -> list[dict]:
    """All samples at once, cut by memory, and cut by hand."""
    print("\na gradient step of IWAE(K), MB\n        K   at once   by memory   chunks of 1000")
    rows = []
    for count in SAMPLES:
        found = {"k": count, "whole": step(count, count)}
        found |= {"by_memory": step(count, None), "by_1000": step(count, 1000)}
        rows.append(found)
        print(
            f"  {count:7} {found['whole']:9.0f} {found['by_memory']:11.0f} {found['by_1000']:16.0f}"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--data", type=int, default=160)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {
        "fleet": table(f"a fleet of {options.runs} runs, IWAE(64)", fleet, options.runs),
        "evaluation": table(f"IWAE-5000 of {options.data} data at once", evaluation, options.data),
        "samples": samples(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
