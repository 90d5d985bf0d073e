"""Adam, uphill: Optax's pieces, in an order that lets a compiler update arrays where they lie.

`optax.scale_by_adam` in a loop has XLA copy both moments and make each of them twice, once to keep
and once for the parameters: `benchmarks/LOG.md`, 2026-11-26.
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

    References: Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1.
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
    means = optax.tree.bias_correction(mu, b1, count)
    squares = optax.tree.bias_correction(nu, b2, count)

    def moved(p, mean, square):
        return p + rate * mean / (jnp.sqrt(square) + config.adam_eps)

    return optax.ScaleByAdamState(count, mu, nu), jax.tree.map(moved, params, means, squares)
