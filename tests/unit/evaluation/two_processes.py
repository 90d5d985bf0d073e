"""Run twice by test_processes.py: one process of two, which evaluate together."""

import json
import sys

import jax
import numpy as np

import elbax

NUM_DATA, KS = 45, (1, 10)


def model(seed: int = 2):
    return elbax.linear_gaussian(4, 2, key=jax.random.key(seed), offset=0.3)


def data() -> np.ndarray:
    return np.asarray(jax.random.normal(jax.random.key(3), (NUM_DATA, 4)))


def found(of, **options) -> list:
    evaluation = elbax.evaluate(of, data(), key=jax.random.key(1), ks=KS, **options)
    return [evaluation.bounds.tolist(), evaluation.ess.tolist(), evaluation.khat.tolist()]


def main(address: str, index: int) -> None:
    jax.distributed.initialize(address, 2, index, initialization_timeout=60)
    together = found(model(), over_processes=True)
    try:
        found(model(index), over_processes=True)
        refused = None
    except elbax.InputError as error:
        refused = str(error)
    jax.distributed.shutdown()
    sys.stderr.write(json.dumps({"found": together, "refused": refused}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
