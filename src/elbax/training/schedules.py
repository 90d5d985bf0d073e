"""The learning rate as a function of the step."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_STAGES = 8


def burda_boundaries(num_steps: int) -> np.ndarray:
    """First steps of stages 1 to 7 in a run of `num_steps`, stage i lasting 3^i parts of 3280.

    References: Burda, Grosse & Salakhutdinov 2015, section 5: rate 0.001 * 10^(-i/7) for 3^i
    epochs, i = 0 .. 7.

    >>> burda_boundaries(3280).tolist()
    [1, 4, 13, 40, 121, 364, 1093]
    """
    lengths = 3 ** np.arange(_STAGES)
    return np.round(np.cumsum(lengths)[:-1] / lengths.sum() * num_steps).astype(np.int32)


def learning_rate_factor(schedule: str, num_steps: int, step: Int[Array, ""]) -> Float[Array, ""]:
    """What multiplies the first learning rate at `step` (0-based) of `num_steps`.

    "anneal" is 1 for the first half, then falls along a line to 1 / (half of the steps): what the
    few epochs of a short training need (docs/methods.md has the measurements).

    >>> float(learning_rate_factor("burda", 3280, jnp.asarray(3279)))
    0.10000000149011612
    >>> [float(learning_rate_factor("anneal", 8, jnp.asarray(step))) for step in (0, 4, 6)]
    [1.0, 1.0, 0.5]
    """
    if schedule == "constant":
        return jnp.ones(())
    if schedule == "anneal":
        return jnp.minimum(1, 2 * (1 - step / num_steps))
    stage = jnp.searchsorted(burda_boundaries(num_steps), step, side="right")
    return jnp.asarray(10.0 ** (-np.arange(_STAGES) / (_STAGES - 1)), jnp.float32)[stage]
