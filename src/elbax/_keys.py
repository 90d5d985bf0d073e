"""Named streams of random keys: each use of randomness in a run draws from a stream of its own.

A stream is `fold_in(key, number)`, so adding a stream never changes the draws of another, and
what is drawn at a step depends only on the run's key and the step: nothing else need be stored.
"""

from typing import Any

import jax

from elbax._checks import is_whole
from elbax._errors import InputError
from elbax._types import PRNGKey

STREAMS = (
    *("init", "order", "binarise", "noise", "evaluate", "sample", "baseline"),
    *("anneal", "simulate", "truncate", "bootstrap"),
)


_NUM_SEEDS = 2**32  # as many as JAX tells apart; others would be the same run under another name


def key_of(seed: Any) -> PRNGKey:
    """The random key of a seed from 0 to 2^32 - 1.

    Raises:
        InputError: no whole number, or outside that range.

    >>> bool(key_of(0) == jax.random.key(0))
    True
    """
    if not is_whole(seed) or not 0 <= seed < _NUM_SEEDS:
        raise InputError(f"expected a seed from 0 to {_NUM_SEEDS - 1}; got {seed!r}.")
    return jax.random.key(int(seed))


def stream(key: PRNGKey, name: str) -> PRNGKey:
    """The key of the stream called `name`.

    >>> key = jax.random.key(0)
    >>> bool(stream(key, "order") == stream(key, "noise"))
    False
    """
    return jax.random.fold_in(key, STREAMS.index(name))


def step_key(key: PRNGKey, name: str, step) -> PRNGKey:
    """The key of the stream `name` at one step (or epoch, or index); `step` may be traced."""
    return jax.random.fold_in(stream(key, name), step)
