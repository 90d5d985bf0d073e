"""What missing cells are filled in from: draws of a row's latents and cells, and their weights."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from elbax._keys import key_of
from elbax._types import PRNGKey
from elbax.evaluation.contents import blocks_of, row_key
from elbax.evaluation.reliability import pareto_khat, tail_size
from elbax.models.cells import Row
from elbax.models.interface import Model


def draws_of(model, x, words, rows, num_samples, sizes, seed):
    """What is drawn for some rows, a block at a time, as arrays by name; `sizes` as in `_block`."""
    params, static = eqx.partition(model, eqx.is_array)
    base, member = seed
    key = jax.random.fold_in(key_of(base), member)
    done = 0
    for block in blocks_of(len(rows), num_samples):
        own = rows[block]
        data, own_words = jnp.asarray(x[own]), jnp.asarray(words[own])
        found = _block(params, data, own_words, key, static, num_samples, sizes)
        fresh = min(len(block), len(rows) - done)
        done += fresh
        arrays: dict[str, Any] = jax.tree.map(lambda leaf: np.asarray(leaf)[:fresh], found)  # noqa: B023
        largest = -np.sort(-arrays.pop("log_w"), axis=1)[:, : tail_size(num_samples) + 1]
        yield own[:fresh], arrays | {"khat": pareto_khat(largest.T)}


@partial(jax.jit, static_argnames=("static", "num_samples", "sizes"))
def _block(params, x, words, key, static, num_samples: int, sizes: tuple[int, int]):
    """Draws and weights of a block of rows: so many fresh rows alone, or so many drawn cells."""
    model, (num_fresh, num_drawn) = eqx.combine(params, static), sizes

    def of_row(x: Array, words: Array) -> dict[str, Any]:
        own = row_key(key, words)
        z, log_w = weighted_latents(model, x, own, num_samples)
        weights = jax.nn.softmax(log_w)
        found = {"log_w": log_w}

        def drawn_of(row: Row, key: Array) -> Array:
            return row.sample_missing(key, x)

        size = num_fresh or num_drawn
        data_keys = jax.random.split(jax.random.fold_in(own, 1), max(num_samples, num_fresh))[:size]
        chosen = _systematic(jax.random.fold_in(own, 2), weights, size)
        if num_fresh:
            return found | {"fresh": jax.vmap(drawn_of)(_rows(model, z, chosen), data_keys)}
        rows = jax.vmap(model.generative.likelihood)(z)
        some = num_drawn < num_samples
        return found | {
            "weights": weights,
            "drawn": jax.vmap(drawn_of)(_rows(model, z, chosen) if some else rows, data_keys),
            "drawn_weights": jnp.full(size, 1 / size) if some else weights,
            "means": jax.vmap(lambda row: row.missing_mean(x))(rows),
            "probabilities": _averages(weights, jax.vmap(lambda row: row.probabilities())(rows)),
        }

    return jax.vmap(of_row)(x, words)


def weighted_latents(model: Model, x: Array, own: PRNGKey, num_samples: int) -> tuple[Any, Array]:
    """K draws of a row's latents by the row's own key, and their log-weights `[K]`."""
    keys = jax.random.split(jax.random.fold_in(own, 0), num_samples)
    context = model.inference.encode(x)
    z = jax.vmap(model.inference.sample, (None, 0))(context, keys)
    log_p = jax.vmap(model.generative.log_prob, (None, 0))(x, z)
    return z, log_p - jax.vmap(model.inference.log_prob, (None, 0))(context, z)


def _systematic(key: PRNGKey, weights: Float[Array, " k"], count: int) -> Int[Array, " n"]:
    """Places of `count` latents, resampled by their weights."""
    places = (jax.random.uniform(key) + jnp.arange(count)) / count
    return jnp.minimum(jnp.searchsorted(jnp.cumsum(weights), places), len(weights) - 1)


def _rows(model: Model, z: Any, chosen: Int[Array, " n"]) -> Any:
    """The distributions of rows given some of the latents."""
    return jax.vmap(model.generative.likelihood)(jax.tree.map(lambda leaf: leaf[chosen], z))


def _averages(weights: Array, probabilities: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Weighted means of probabilities `[K, n, m]`, and their errors."""

    def of(p: Array) -> tuple[Array, Array]:
        mean = jnp.einsum("k,knm->nm", weights, p)
        return mean, jnp.sqrt(jnp.einsum("k,knm->nm", weights**2, (p - mean) ** 2))

    return {kind: of(p) for kind, p in probabilities.items()}


def mixture(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What several models say, each as likely as the others; k-hat is the worst one's."""
    count = len(parts)
    if count == 1:
        return parts[0]
    found = {
        name: np.concatenate([one[name] for one in parts], axis=1) for name in ("drawn", "means")
    }
    for name in ("weights", "drawn_weights"):
        found[name] = np.concatenate([one[name] for one in parts], axis=1) / count
    probabilities = {
        kind: (
            sum(one["probabilities"][kind][0] for one in parts) / count,
            np.sqrt(sum(one["probabilities"][kind][1] ** 2 for one in parts)) / count,
        )
        for kind in parts[0]["probabilities"]
    }
    khat = np.max([one["khat"] for one in parts], axis=0)
    return found | {"probabilities": probabilities, "khat": khat}
