"""One evaluation by several processes, each of which has its part of the data."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elbax._errors import InputError
from elbax._types import PyTree


def own_rows(num_rows: int) -> np.ndarray:
    """The rows of this process; every one has equally many, the last ones' the last row again.

    >>> own_rows(3).tolist()
    [0, 1, 2]
    """
    share = -(-num_rows // jax.process_count())
    return np.minimum(share * jax.process_index() + np.arange(share), num_rows - 1)


def gathered(found: PyTree, num_rows: int) -> PyTree:
    """The rows of all processes, on the last axis of every array; each process gets them."""
    from jax.experimental import multihost_utils  # brings much, for few

    def joined(parts: Any) -> np.ndarray:  # [processes, ..., rows of one]
        return np.concatenate(list(np.asarray(parts)), axis=-1)[..., :num_rows]

    return jax.tree.map(joined, multihost_utils.process_allgather(found))


def check_alike(*arguments: PyTree) -> None:
    """Refuse to go on where the processes were not given the same.

    Raises:
        InputError: their results would be a mixture that is of no model.
    """
    from jax.experimental import multihost_utils

    own = 0
    for leaf in jax.tree.leaves(arguments):
        is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        own = zlib.crc32(f"{array.dtype} {array.shape}".encode() + array.tobytes(), own)
    all_own = np.asarray(multihost_utils.process_allgather(np.uint32(own)))
    if len(others := np.flatnonzero(all_own != all_own[0])):
        raise InputError(
            "expected every process to evaluate the same model on the same data, with the same key "
            f"and ks; got others in process {others[0]} than in process 0. Make the same call in "
            "each, on the same files."
        )
