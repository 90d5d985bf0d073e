r"""Chains along `q(z | x)^(1 - b) p(x, z)^b`, and the sums of log-weights that they gather.

One program takes chains through a fixed number of temperatures, up or down, tuning its steps or
with fixed ones. Annealing is calls of it, whose sums are added up in float64.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from elbax.evaluation.hamiltonian import hmc_step, point_at
from elbax.models.interface import Model

LEAPFROGS = 8  # gradients per step
_ACCEPTANCE = 0.75  # towards which step sizes are tuned
_GAIN = 0.15  # of the logarithm of a step size, for an acceptance that is off by one
_FIRST = 0.5  # step size, in standard deviations of q
_WARMUP = 48  # steps of the tuning chains at the encoder's own distribution
_TUNED = 208  # temperatures that are tuned at, whatever the path's own number
_AT_ONCE = 32  # temperatures that one call goes through
_SCALE_DRAWS = 64  # draws of q that tell the scale of each latent
_ENDS = 4.0  # how much closer temperatures are near both ends
_BEGIN, _TUNE, _UP, _DOWN = range(4)  # streams of random keys


def temperatures(steps: int) -> Float[np.ndarray, " t"]:
    """The path's b from 0 to 1 in `steps` intervals, a sigmoid: closest near both ends.

    References: Wu et al. 2017 (its sigmoidal schedule).

    >>> temperatures(2).tolist()
    [0.0, 0.5, 1.0]
    """
    sigmoid = 1 / (1 + np.exp(-_ENDS * np.linspace(-1, 1, steps + 1)))
    return (sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])


class Block(NamedTuple):
    """Some data of a model, with the scale of their latents `[N, D]` under q."""

    params: Any
    static: Any
    x: Array
    keys: Key[Array, " n"]
    scale: Array


class Walk(NamedTuple):
    """What chains found on their way.

    Attributes:
        log_w: `[C, N]`, the sum over the path of width times log w, in float64.
        sizes: `[T, N]`, step sizes in standard deviations of q.
        acceptance: `[T, N]`, means over the chains.
    """

    log_w: np.ndarray
    sizes: np.ndarray
    acceptance: np.ndarray


def walks(
    model: Model, x: Array, keys: Key[Array, " n"], steps: int, chains: int, z: Array | None
) -> list[Walk]:
    """Tune the steps, then go up from q and, where exact posterior draws z are given, down.

    Args:
        model: of continuous latents.
        x: data `[N, *event]`.
        keys: a random key for each datum.
        steps: intervals of the path, at least 2.
        chains: per datum and direction, C.
        z: `[N, D]`, a draw of each datum's posterior, raveled.

    Returns:
        The walk up, for which the mean of exp(log_w) is p(x); then that down, for which the mean
        of exp(-log_w) is 1 / p(x).
    """
    params, static = eqx.partition(model, eqx.is_array)
    begun = partial(_begin, params, x, static=static, chains=chains)
    pilots, scale = begun(_streams(keys, _TUNE))
    block = Block(params, static, x, keys, scale)
    b, widths = temperatures(steps)[1:-1], np.diff(temperatures(steps))
    coarse = temperatures(_TUNED)
    path = np.concatenate([np.zeros(_WARMUP), coarse[1:]])
    tuned = _walk(block, pilots, path, np.zeros(1 + len(path)), None, _TUNE).sizes[_WARMUP:]
    sizes = tuned[np.searchsorted(coarse[1:], b)]
    found = [_walk(block, begun(_streams(keys, _BEGIN))[0], b, widths, sizes, _UP)]
    if z is not None:
        exact = jnp.repeat(z[:, None].astype(scale.dtype), chains, axis=1)
        found.append(_walk(block, exact, b[::-1], widths[::-1], sizes[::-1], _DOWN))
    return found


def _walk(block: Block, z, b, widths, sizes, stream: int) -> Walk:
    """Chains from z `[N, C, D]` through the temperatures b; steps are tuned where sizes are None.

    The first width weighs log w at the start, each other one that after a step. Each call sums
    what log w changes by since its own start: a sum of log-weights of hundreds of nats themselves
    would lose in float32 what is looked for.
    """
    keys, first, rest = _streams(block.keys, stream), widths[0], widths[1:]
    log_size = jnp.full(len(block.x), np.log(_FIRST), z.dtype)
    log_w, used, taken = np.zeros(z.shape[:2]), [], []
    for start in range(0, len(b), _AT_ONCE):
        # The last call is filled up with steps that weigh nothing.
        rows = np.minimum(np.arange(start, start + _AT_ONCE), len(b) - 1)
        weighs = np.where(np.arange(start, start + _AT_ONCE) < len(b), rest[rows], 0.0)
        fixed = np.zeros((_AT_ONCE, len(block.x))) if sizes is None else sizes[rows]
        numbers = [jnp.asarray(part, z.dtype) for part in (b[rows], weighs, fixed)]
        z, log_size, at_start, since, *told = _advance(
            block.params, block.x, keys, block.scale, z, log_size, start, *numbers,
            jnp.asarray(0.0 if sizes is not None else _GAIN, z.dtype), static=block.static,
        )  # fmt: skip
        whole = weighs.sum() + (first if start == 0 else 0.0)
        log_w += whole * np.asarray(at_start, np.float64) + np.asarray(since, np.float64)
        used.append(told[0])
        taken.append(told[1])
    of_path = [np.concatenate(parts)[: len(b)] for parts in (used, taken)]
    return Walk(log_w.T, *of_path)


def _streams(keys: Key[Array, " n"], number: int) -> Key[Array, " n"]:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


@partial(jax.jit, static_argnames=("static", "chains"))
def _begin(params, x, keys, static, chains: int):
    """Draws of q `[N, C, D]`, raveled, and their scale `[N, D]`."""
    inference = eqx.combine(params, static).inference

    def of_datum(x, key):
        context = inference.encode(x)
        draws = jax.vmap(lambda key: ravel_pytree(inference.sample(context, key))[0])(
            jax.random.split(key, chains + _SCALE_DRAWS)
        )
        spread = jnp.std(draws[chains:], axis=0)
        return draws[:chains], jnp.where(spread > 0, spread, 1)

    return jax.vmap(of_datum)(x, keys)


@partial(jax.jit, static_argnames="static")
def _advance(params, x, keys, scale, z, log_size, start, b, widths, sizes, gain, static):
    """Chains `[N, C, D]` through temperatures `[T]`, with fixed `sizes` or (gain > 0) tuning.

    Returns:
        Where they end; the tuned log of a step size `[N]`; log w at the start `[N, C]`; the sum of
        widths times what log w has changed by since; sizes `[T, N]`; acceptance `[T, N]`.
    """
    model = eqx.combine(params, static)

    def of_datum(x, key, scale, z, log_size, sizes):
        at = _places(model, x, key)
        points = jax.vmap(at)(z)
        begun = points.log_w

        def step(state, given):
            points, since, log_size = state
            number, b, width, size = given
            size = jnp.where(gain > 0, jnp.exp(log_size), size)
            points, chance = jax.vmap(
                lambda point, key: hmc_step(
                    at, point, key, b=b, step=size * scale, num_leapfrogs=LEAPFROGS
                )
            )(points, jax.random.split(jax.random.fold_in(key, number), len(z)))
            taken = jnp.mean(chance)
            since = since + width * (points.log_w - begun)
            log_size = log_size + gain * (taken - _ACCEPTANCE)
            return (points, since, log_size), (jnp.exp(log_size), taken)

        given = (start + jnp.arange(len(b)), b, widths, sizes)
        state = (points, jnp.zeros_like(begun), log_size)
        (points, since, log_size), told = jax.lax.scan(step, state, given)
        return points.z, log_size, begun, since, *told

    axes = (0, 0, 0, 0, 0, 1)
    return jax.vmap(of_datum, axes, (0, 0, 0, 0, 1, 1))(x, keys, scale, z, log_size, sizes)


def _places(model: Model, x, key):
    """`point_at` of one datum's two densities on raveled latents."""
    generative, inference = model.generative, model.inference
    context = inference.encode(x)
    shapes = jax.eval_shape(inference.sample, context, key)
    _, unravel = ravel_pytree(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    return partial(
        point_at,
        lambda z: generative.log_prob(x, unravel(z)),
        lambda z: inference.log_prob(context, unravel(z)),
    )
