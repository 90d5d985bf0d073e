"""From intensities to 0/1 images: once on the host, or afresh per minibatch on the device."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

# One independent stream of random numbers per split, so that a split does not depend on the others.
STREAMS = {"train": 0, "test": 1, "valid": 2}

_BLOCK_ROWS = 4096  # bounds the temporary float32 arrays at about 13 MB for 28 x 28 images


def to_float(images: Shaped[Any, " *shape"], levels: float | int) -> Float[Any, " *shape"]:
    """Scale stored values to intensities, `images / levels`, as float32.

    Args:
        images: `[*shape]` stored values, a NumPy or a JAX array.
        levels: the stored value that means intensity 1.

    Returns:
        `[*shape]` float32 intensities, of the same kind of array as `images`.

    >>> to_float(np.array([0, 51, 255], dtype=np.uint8), 255).round(2).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    return images.astype("float32") / levels


def binarise_fixed(
    images: Shaped[np.ndarray, " n *event"], levels: float | int, seed: int, stream: str
) -> UInt8[np.ndarray, " n *event"]:
    """Draw every pixel once: 1 with probability `images / levels`.

    The draws are made row after row, so the first rows of a split do not depend on how many follow.

    Args:
        images: `[N, *event]` stored values.
        levels: the stored value that means intensity 1.
        seed: of the PCG64 generator.
        stream: the split, "train", "test" or "valid"; each has its own independent stream.

    Returns:
        `[N, *event]` uint8 of 0 and 1; intensity 0 always gives 0 and intensity 1 always gives 1.

    >>> binarise_fixed(np.array([[0, 255]], dtype=np.uint8), 255, seed=0, stream="test").tolist()
    [[0, 1]]
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(STREAMS[stream],))
    generator = np.random.Generator(np.random.PCG64(sequence))
    binary = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _BLOCK_ROWS):
        block = to_float(images[start : start + _BLOCK_ROWS], levels)
        binary[start : start + _BLOCK_ROWS] = (
            generator.random(block.shape, dtype=np.float32) < block
        )
    return binary


def binarise_batch(
    key: Any, images: Shaped[Any, " *shape"], levels: float | int
) -> Float[Any, " *shape"]:
    """Draw a minibatch afresh on the device: 1 with probability `images / levels`.

    Args:
        key: a JAX random key, consumed here.
        images: `[*shape]` stored values, uint8 or float.
        levels: the stored value that means intensity 1.

    Returns:
        `[*shape]` float32 of 0 and 1; intensity 0 always gives 0 and intensity 1 always gives 1.

    References:
        Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016, section 5:
        binary values sampled with expectations equal to the real pixel values.
    """
    import jax  # here, not above: reading data and `elbax --help` should not wait for JAX

    uniform = jax.random.uniform(key, images.shape, "float32")
    # A compiler may divide by multiplying with 1 / levels, which can miss 1 by a rounding.
    ones = (uniform < to_float(images, levels)) | (images >= levels)
    return ones.astype("float32")
