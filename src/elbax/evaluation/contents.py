"""Random keys by what a row holds: its draws depend on no neighbour, order or batch."""

import hashlib

import jax
import numpy as np
from jaxtyping import Array, Float, UInt32

from elbax._types import PRNGKey

# Decoder rows at a time, data times samples: on a CPU as many as its caches hold.
_BLOCKS = {"cpu": 2**12}
_BLOCK = 2**17


def words_of(x: Float[np.ndarray, "n c"], *, apart: bool = False) -> UInt32[np.ndarray, "n 2"]:
    """Two words for each row, by a hash of its cells.

    Args:
        x: rows `[N, C]`; every NaN is the same, and so are 0 and -0.
        apart: whether equal rows get different words, by how many there were before.

    >>> x = np.array([[1.0, np.nan], [2.0, 3.0], [1.0, np.nan]])
    >>> words = words_of(x)
    >>> bool((words[0] == words[2]).all()), bool((words[0] == words[1]).all())
    (True, False)
    >>> apart = words_of(x, apart=True)
    >>> bool((apart[0] == apart[2]).all())
    False
    """
    rows = np.where(np.isnan(x), np.nan, np.asarray(x, np.float32) + 0.0).astype(np.float32)
    contents = [row.tobytes() for row in rows.reshape(len(rows), -1)]
    seen: dict[bytes, int] = {}
    found = np.empty((len(rows), 2), np.uint32)
    for index, content in enumerate(contents):
        count = seen.get(content, 0)
        seen[content] = count + 1
        salt = count.to_bytes(8, "little") if apart and count else b""
        digest = hashlib.blake2b(content + salt, digest_size=8).digest()
        found[index] = np.frombuffer(digest, np.uint32)
    return found


def row_key(key: PRNGKey, words: UInt32[Array, " 2"]) -> PRNGKey:
    """The key of a row by its words; may be traced."""
    return jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1])


def blocks_of(num_rows: int, num_samples: int) -> list[np.ndarray]:
    """Rows of each block, all blocks of one size, so that one program serves them.

    The last is filled up with its own first row; whoever reads a block reads `num_rows` in all.

    >>> sum(len(set(block.tolist())) for block in blocks_of(3, 2**11))
    3
    """
    size = max(1, _BLOCKS.get(jax.default_backend(), _BLOCK) // num_samples)
    starts = range(0, num_rows, size)
    rows = [np.arange(start, start + size) for start in starts]
    return [np.where(block < num_rows, block, block[0]) for block in rows]
