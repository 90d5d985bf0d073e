r"""One Hamiltonian Monte Carlo step on the path from q(z | x) to p(z | x).

At b in [0, 1] the target is `q(z | x)^(1 - b) p(x, z)^b`, unnormalized. Everything is of one chain
of one datum, its latents raveled to a vector `[D]`; callers batch with `jax.vmap`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._types import PRNGKey

Density = Callable[[Float[Array, " d"]], Float[Array, ""]]
_JITTER = (0.8, 1.2)  # times the step size, so that no period of the target is met for ever


class Point(NamedTuple):
    """Where a chain is, with all that a step needs to know of the place.

    Both gradients are kept, so that the next temperature costs no evaluation.
    """

    z: Float[Array, " d"]
    log_p: Float[Array, ""]
    """log p(x, z), in nats."""
    log_q: Float[Array, ""]
    """log q(z | x), in nats."""
    gradient_p: Float[Array, " d"]
    gradient_q: Float[Array, " d"]

    @property
    def log_w(self) -> Array:
        """The log-weight, log p(x, z) - log q(z | x); of many points, of each."""
        return self.log_p - self.log_q


def point_at(log_p: Density, log_q: Density, z: Float[Array, " d"]) -> Point:
    """A place with its densities and their gradients."""
    value_p, gradient_p = jax.value_and_grad(log_p)(z)
    value_q, gradient_q = jax.value_and_grad(log_q)(z)
    return Point(z, value_p, value_q, gradient_p, gradient_q)


def trajectory(
    at: Callable[[Float[Array, " d"]], Point],
    start: Point,
    momentum: Float[Array, " d"],
    b: Float[Array, ""],
    step: Float[Array, " d"],
    num_leapfrogs: int,
) -> tuple[Point, Float[Array, " d"]]:
    """Where leapfrog leads; volume is preserved, and back it leads with the momentum turned.

    Args:
        at: `point_at` of the two densities.
        start: the place it begins.
        momentum: `[D]`, standard normal.
        b: of the path.
        step: the step size of every coordinate, `[D]`: a diagonal mass matrix.
        num_leapfrogs: gradients to take.
    """

    def leapfrog(state, _):
        point, momentum = state
        momentum = momentum + 0.5 * step * _force(point, b)
        point = at(point.z + step * momentum)
        return (point, momentum + 0.5 * step * _force(point, b)), None

    return jax.lax.scan(leapfrog, (start, momentum), length=num_leapfrogs)[0]


def hmc_step(
    at: Callable[[Float[Array, " d"]], Point],
    point: Point,
    key: PRNGKey,
    *,
    b: Float[Array, ""],
    step: Float[Array, " d"],
    num_leapfrogs: int,
) -> tuple[Point, Float[Array, ""]]:
    """One step that leaves the path's target at b invariant, and is reversible in it.

    A proposal whose energy is not finite is refused.

    Returns:
        The next place, and the probability with which the proposal was taken.

    References: Neal 2011, MCMC using Hamiltonian dynamics, section 3 and 3.2 (jittered steps).
    """
    momentum_key, jitter_key, accept_key = jax.random.split(key, 3)
    low, high = _JITTER
    jitter = jax.random.uniform(jitter_key, (), point.z.dtype, low, high)
    momentum = jax.random.normal(momentum_key, point.z.shape, point.z.dtype)
    end, turned = trajectory(at, point, momentum, b, jitter * step, num_leapfrogs)
    # Differences of densities, not of energies: log-densities of images are hundreds of nats.
    gain = (1 - b) * (end.log_q - point.log_q) + b * (end.log_p - point.log_p)
    log_ratio = gain + 0.5 * jnp.sum((momentum - turned) * (momentum + turned))
    chance = jnp.where(jnp.isnan(log_ratio), 0, jnp.exp(jnp.minimum(log_ratio, 0)))
    is_taken = jax.random.uniform(accept_key, (), point.z.dtype) < chance
    return jax.tree.map(lambda new, old: jnp.where(is_taken, new, old), end, point), chance


def _force(point: Point, b: Float[Array, ""]) -> Float[Array, " d"]:
    return (1 - b) * point.gradient_q + b * point.gradient_p
