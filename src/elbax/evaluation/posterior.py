"""Posterior means, reconstructions, samples from the prior and from the model."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._door import checked_data, checked_key
from elbax._errors import InputError
from elbax._log_weights import encode
from elbax._types import Data, PRNGKey, PyTree
from elbax.models.interface import Model

_BLOCK = 1000  # data at a time


def posterior_means(model: Model, x: Data) -> PyTree:
    """E_q[z | x] `[N, Z]` (a pytree of such arrays where there are several layers).

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> posterior_means(linear_gaussian(3, 2, key=jax.random.key(0)), jnp.zeros((5, 3))).shape
    (5, 2)
    """
    x = np.asarray(checked_data(model, x))
    params, static = eqx.partition(model, eqx.is_array)
    blocks = [
        _means(params, jnp.asarray(x[start : start + _BLOCK]), static)
        for start in range(0, len(x), _BLOCK)
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def reconstructions(model: Model, x: Data) -> np.ndarray:
    """E[x | z] at the posterior mean of z, `[N, *event]`.

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> reconstructions(linear_gaussian(3, 2, key=jax.random.key(0)), jnp.zeros((5, 3))).shape
    (5, 3)
    """
    return decode(model, posterior_means(model, x))


def decode(model: Model, z: PyTree) -> np.ndarray:
    """E[x | z] of a stack of latents `[N, ...]`: `[N, *event]`."""
    params, static = eqx.partition(model, eqx.is_array)
    num = len(jax.tree.leaves(z)[0])
    blocks = [
        _decode(params, jax.tree.map(lambda leaf: leaf[start : start + _BLOCK], z), static)  # noqa: B023
        for start in range(0, num, _BLOCK)
    ]
    return np.concatenate(blocks)


def prior_samples(model: Model, num_samples: int, *, key: PRNGKey) -> np.ndarray:
    """E[x | z] for z drawn from the prior, `[num_samples, *event]`.

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> prior_samples(model, 4, key=jax.random.key(1)).shape
    (4, 3)
    """
    if num_samples < 1:
        raise InputError(f"expected num_samples >= 1; got {num_samples}.")
    params, static = eqx.partition(model, eqx.is_array)
    return np.asarray(_prior(params, jax.random.split(checked_key(key), num_samples), static))


def sample(model: Model, num_samples: int, *, key: PRNGKey) -> np.ndarray:
    """Data drawn from the model, x from p(x | z) for z from the prior: `[num_samples, *event]`.

    By the same key, `prior_samples` gives the means of the distributions these are drawn from.

    Raises:
        InputError: fewer than one, or a model of your own without `sample_data`.

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> sample(model, 4, key=jax.random.key(1)).shape
    (4, 3)
    """
    if num_samples < 1:
        raise InputError(f"expected num_samples >= 1; got {num_samples}.")
    params, static = eqx.partition(model, eqx.is_array)
    keys = jax.random.split(checked_key(key), num_samples)
    blocks = [
        np.asarray(_data(params, keys[start : start + _BLOCK], static))
        for start in range(0, num_samples, _BLOCK)
    ]
    return np.concatenate(blocks)


@partial(jax.jit, static_argnames="static")
def _means(params, x, static):
    inference = eqx.combine(params, static).inference
    return jax.vmap(inference.mean)(encode(inference, x))


@partial(jax.jit, static_argnames="static")
def _decode(params, z, static):
    return jax.vmap(eqx.combine(params, static).generative.mean)(z)


@partial(jax.jit, static_argnames="static")
def _prior(params, keys, static):
    generative = eqx.combine(params, static).generative
    return jax.vmap(lambda key: generative.mean(generative.sample_prior(key)))(keys)


@partial(jax.jit, static_argnames="static")
def _data(params, keys, static):
    generative = eqx.combine(params, static).generative

    def one(key):
        return generative.sample_data(generative.sample_prior(key), jax.random.fold_in(key, 1))

    return jax.vmap(one)(keys)
