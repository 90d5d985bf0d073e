"""What missing cells are filled in from: draws of a row's latents and cells, and their weights."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elbax._keys import key_of
from elbax.evaluation.contents import blocks_of, row_key
from elbax.evaluation.reliability import pareto_khat, tail_size
from elbax.models.cells import Row


def draws_of(model, x, words, rows, num_samples, num_fresh, seed):
    """What is drawn for some rows, a block at a time, as arrays by name."""
    params, static = eqx.partition(model, eqx.is_array)
    base, member = seed
    key = jax.random.fold_in(key_of(base), member)
    done = 0
    for block in blocks_of(len(rows), num_samples):
        own = rows[block]
        data, own_words = jnp.asarray(x[own]), jnp.asarray(words[own])
        found = _block(params, data, own_words, key, static, num_samples, num_fresh)
        fresh = min(len(block), len(rows) - done)
        done += fresh
        arrays: dict[str, Any] = jax.tree.map(lambda leaf: np.asarray(leaf)[:fresh], found)  # noqa: B023
        largest = -np.sort(-arrays.pop("log_w"), axis=1)[:, : tail_size(num_samples) + 1]
        yield own[:fresh], arrays | {"khat": pareto_khat(largest.T)}


@partial(jax.jit, static_argnames=("static", "num_samples", "num_fresh"))
def _block(params, x, words, key, static, num_samples: int, num_fresh: int) -> dict[str, Any]:
    """Draws and weights of a block of rows; with `num_fresh`, fresh rows in place of the rest."""
    model = eqx.combine(params, static)

    def of_row(x: Array, words: Array) -> dict[str, Any]:
        own = row_key(key, words)
        keys = jax.random.split(jax.random.fold_in(own, 0), num_samples)
        context = model.inference.encode(x)
        z = jax.vmap(model.inference.sample, (None, 0))(context, keys)
        log_p = jax.vmap(model.generative.log_prob, (None, 0))(x, z)
        log_w = log_p - jax.vmap(model.inference.log_prob, (None, 0))(context, z)
        weights = jax.nn.softmax(log_w)
        found = {"log_w": log_w}

        def drawn_of(row: Row, key: Array) -> Array:
            return row.sample_missing(key, x)

        data_keys = jax.random.split(jax.random.fold_in(own, 1), max(num_samples, num_fresh))
        if num_fresh:
            start = jax.random.uniform(jax.random.fold_in(own, 2))
            places = (start + jnp.arange(num_fresh)) / num_fresh
            chosen = jnp.searchsorted(jnp.cumsum(weights), places)
            chosen = jnp.minimum(chosen, num_samples - 1)
            resampled = jax.tree.map(lambda leaf: leaf[chosen], z)
            rows = jax.vmap(model.generative.likelihood)(resampled)
            return found | {"fresh": jax.vmap(drawn_of)(rows, data_keys[:num_fresh])}
        rows = jax.vmap(model.generative.likelihood)(z)
        return found | {
            "weights": weights,
            "drawn": jax.vmap(drawn_of)(rows, data_keys[:num_samples]),
            "means": jax.vmap(lambda row: row.missing_mean(x))(rows),
            "probabilities": _averages(weights, jax.vmap(lambda row: row.probabilities())(rows)),
        }

    return jax.vmap(of_row)(x, words)


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
    weights = np.concatenate([one["weights"] for one in parts], axis=1) / count
    probabilities = {
        kind: (
            sum(one["probabilities"][kind][0] for one in parts) / count,
            np.sqrt(sum(one["probabilities"][kind][1] ** 2 for one in parts)) / count,
        )
        for kind in parts[0]["probabilities"]
    }
    khat = np.max([one["khat"] for one in parts], axis=0)
    return found | {"weights": weights, "probabilities": probabilities, "khat": khat}
