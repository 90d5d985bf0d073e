"""Named streams of random keys: each use of randomness in a run draws from a stream of its own.

A stream is `fold_in(key, number)`, so adding a stream never changes the draws of another, and
what is drawn at a step depends only on the run's key and the step: nothing else need be stored.
"""

import jax

from elbax._types import PRNGKey

STREAMS = ("init", "order", "binarise", "noise", "evaluate", "sample", "baseline")


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
