"""Do two compilers train and evaluate alike? One run in each environment, on the same data.

    python benchmarks/compilers.py FOLDER    # under the first compiler: keeps what it found
    python benchmarks/compilers.py FOLDER    # under the other: compares

Training amplifies rounding, so that models may part; what must agree is computed from the first
compiler's models: every datum's bounds, and gradients.
"""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

import elbax
from elbax.models.config import PRESETS
from elbax.spelling import parse

BURDA = elbax.TrainConfig(epochs=1, batch_size=20, schedule="constant", learning_rate=1e-3)
SMALL = elbax.TrainConfig(epochs=10, schedule="burda", learning_rate=1e-3)
# data, the training rows taken, model, methods, protocol
CASES = [
    ("mnist", 4000, "reference", ("vae(m=64)", "iwae(k=64)", "piwae(m=8, k=8)"), BURDA),
    ("mnist", 4000, "reference", ("miwae(m=8, k=8)", "ciwae(k=64, beta=0.5)"), BURDA),
    ("mnist", 1000, "two-layer", ("vae(m=50)", "iwae(k=50)"), BURDA),
    ("digits", None, "small", ("vae(m=64)", "iwae(k=64)", "piwae(m=8, k=8)"), SMALL),
]


def arrays_of(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def with_arrays(tree, arrays):
    own, static = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(own), arrays), static)


def computed(model, method: str, x) -> tuple[np.ndarray, list[np.ndarray]]:
    """Bounds per datum, and the gradient on a minibatch."""
    bounds = elbax.evaluate(model, x, key=jax.random.key(1), ks=(1, 64, 5000)).bounds
    step = eqx.filter_jit(elbax.value_and_grad(parse(method)))
    return np.asarray(bounds), arrays_of(step(model, x[:20], key=jax.random.key(2))[1])


def compare(method: str, model, x, file: Path) -> dict:
    """Keep, or hold against what is kept."""
    if not file.exists():
        bounds, gradient = computed(model, method, x)
        np.savez(file, bounds, *gradient, *arrays_of(model))
        return {"kept": bounds.mean(axis=1).tolist()}
    kept = list(np.load(file).values())
    count = len(arrays_of(model))
    bounds, gradient = computed(with_arrays(model, kept[-count:]), method, x)
    pairs = zip(gradient, kept[1:-count], strict=True)
    weights = zip(arrays_of(model), kept[-count:], strict=True)
    return {
        "bounds, nats, largest of any datum": float(np.abs(bounds - kept[0]).max()),
        "gradient, relative": max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs),
        "weights after training": max(float(np.abs(a - b).max()) for a, b in weights),
    }


def main() -> None:
    warnings.simplefilter("ignore")  # of a compiler that is excluded
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print(f"jax {jax.__version__}")
    for name, rows, preset, methods, config in CASES:
        data = elbax.load_data(name)
        data = replace(data, train=data.train[:rows], train_labels=None, test_labels=None)
        x = np.asarray(data.evaluation_split("test"))[:300]
        result = elbax.fit(methods, data, model=PRESETS[preset], config=config)
        for method, model in zip(methods, result.models, strict=True):
            file = folder / f"{name}-{preset}-{method}.npz"
            print(name, preset, method, json.dumps(compare(method, model, x, file)), flush=True)


if __name__ == "__main__":
    main()
