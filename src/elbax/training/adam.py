"""Adam, uphill, written so that a compiler updates every array where it lies.

The state is Optax's, and so are the numbers; Optax's own update, compiled into a loop, copies both
moments and writes each array of the model five times over (`benchmarks/step.py`).
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from elbax._types import PyTree
from elbax.training.config import TrainConfig


def adam_start(params: PyTree) -> optax.ScaleByAdamState:
    """Moments of zero."""
    zeros = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
    return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), *zeros)


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

    def first(m, g):
        return jnp.where(again, m, b1 * m + (1 - b1) * g)

    def second(v, g):
        return jnp.where(again, v, b2 * v + (1 - b2) * g**2)

    moments = (
        jax.tree.map(first, state.mu, gradient),
        jax.tree.map(second, state.nu, gradient),
    )
    # Written before the parameters read them: a compiler would rather make them again from copies.
    mu, nu = jax.lax.optimization_barrier(moments)
    dtype = jnp.zeros(()).dtype
    along, across = (1 - jnp.asarray(b, dtype) ** count for b in (b1, b2))

    def moved(p, m, v):
        mean, square = m / along.astype(m.dtype), v / across.astype(v.dtype)
        return p + rate * mean / (jnp.sqrt(square) + config.adam_eps)

    return optax.ScaleByAdamState(count, mu, nu), jax.tree.map(moved, params, mu, nu)
