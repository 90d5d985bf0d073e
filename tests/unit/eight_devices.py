"""Run by test_devices.py on eight virtual devices: prints what each number of devices finds."""

import json
import sys

import jax
import numpy as np

import elbax
from elbax._devices import mesh_for
from elbax.training.fleet import Fleet
from elbax.training.setup import new_fleet

MODEL = elbax.linear_gaussian(4, 2, key=jax.random.key(2), offset=0.3)
X = np.asarray(jax.random.normal(jax.random.key(3), (163, 4)))


def evaluation(rows: int) -> dict:
    found = elbax.evaluate(MODEL, X[:rows], key=jax.random.key(1), ks=(1, 10), block_rows=200)
    return {"bounds": found.bounds, "ess": found.ess}


def snr() -> dict:
    found = elbax.snr(elbax.iwae(3), MODEL, X[:3], key=jax.random.key(1), num_draws=40)
    ratios = [getattr(found, kind)[name].value for kind in ("snr", "dsnr") for name in found.snr]
    defined = [ratio for ratio in ratios if not np.isnan(ratio)]
    return {"mean": found.mean["inference"], "sd": found.sd["inference"], "ratios": defined}


def fleet() -> tuple[dict, dict]:
    """Five runs, advanced twice; and how they lie."""
    _, found, _ = new_fleet(
        "iwae(k=4)",
        X[:40].astype(np.float32),
        model=lambda key: elbax.linear_gaussian(4, 2, key=key),
        config=elbax.TrainConfig(epochs=2, batch_size=8),
        seeds=range(5),
        fleet_map="vmap",
    )
    assert isinstance(found, Fleet)
    for steps in (3, 2):
        found.advance(steps)
    models = [jax.tree.leaves(found.model(index)) for index in range(5)]
    jax.tree.map(lambda *leaves: sum(leaves), *models)  # of several devices, and yet combined
    held: dict[int, int] = {}
    for leaf in jax.tree.leaves(found.states):
        if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            [device] = leaf.devices()
            held[device.id] = held.get(device.id, 0) + leaf.nbytes
    told = {
        "compilations": max(found.num_compilations, found._chunk._cache_size()),
        "devices": len(held),
        "bytes": max(held.values()),
    }
    parameters = np.stack([np.concatenate(list(map(np.ravel, leaves))) for leaves in models])
    return {"parameters": parameters}, told


WHAT = {
    "many data": lambda: evaluation(163),
    "few data": lambda: evaluation(5),
    "snr": snr,
    "fleet": fleet,
}


def main(asked: list[str]) -> None:
    """`asked` are numbers of devices and what they do: "3 snr"."""
    found: dict = {}
    for one in asked:
        count, _, what = one.partition(" ")
        with elbax.limit_devices(int(count)):
            arrays, told = WHAT[what](), None
        if isinstance(arrays, tuple):
            arrays, told = arrays
        found[one] = {name: np.asarray(array).tolist() for name, array in arrays.items()}
        found[f"{one}, told"] = told
    try:
        with elbax.limit_devices(9):
            pass
    except elbax.InputError as error:
        found["refused"] = str(error)
    found["default"] = mesh_for(100).size
    with elbax.limit_devices(4):
        found["five on four"] = mesh_for(5).size
    with jax.default_device(jax.local_devices()[2]):
        found["named"] = mesh_for(100)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
