"""Adam, uphill: Optax's moments, in an order that lets a compiler update arrays where they lie.

`optax.scale_by_adam` in a loop has XLA copy both moments and make each of them twice, once to keep
and once for the parameters, and divides three times for each: `benchmarks/LOG.md`.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from elbax._types import PyTree
from elbax.training.config import TrainConfig


def adam_step(
    state: optax.ScaleByAdamState,
    params: PyTree,
    gradient: PyTree,
    rate: Float[Array, ""],
    again: Bool[Array, ""],
    config: TrainConfig,
) -> tuple[optax.ScaleByAdamState, PyTree]:
    """The moments and parameters after one step of `rate` along a gradient that points uphill.

    A step that is to be taken `again` leaves the moments as they are; its rate must be zero.

    References: Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1, in the
    order of operations that the end of section 2 gives.
    """
    b1, b2 = config.adam_b1, config.adam_b2
    count = state.count + ~again
    moments = (
        optax.tree.update_moment(gradient, state.mu, b1, 1),
        optax.tree.update_moment_per_elem_norm(gradient, state.nu, b2, 2),
    )
    moments = optax.tree.where(again, (state.mu, state.nu), moments)
    # Written before the parameters read them.
    mu, nu = jax.lax.optimization_barrier(moments)
    # Both biases are corrected in the rate and epsilon: divisions of whole arrays are what costs.
    steps = jnp.maximum(count, 1)  # a first step that is taken again has no moments yet
    root = jnp.sqrt(1 - b2**steps)
    numbers = rate * root / (1 - b1**steps), config.adam_eps * root

    def moved(p, mean, square):
        speed, eps = (number.astype(p.dtype) for number in numbers)
        return p + speed * mean / (jnp.sqrt(square) + eps)

    return optax.ScaleByAdamState(count, mu, nu), jax.tree.map(moved, params, mu, nu)
