"""Posterior means, reconstructions, samples from the prior and from the model."""

from functools import partial

import equinox as eqx
import jax
import numpy as np

from elbax._door import checked_data, checked_key, refuse_mechanism
from elbax._errors import InputError
from elbax._log_weights import encode
from elbax._types import Data, PRNGKey, PyTree
from elbax.models.interface import Model

_BLOCK = 1000  # data at a time


def posterior_means(model: Model, x: Data) -> PyTree:
    """E_q[z | x] `[N, Z]` (a pytree of such arrays where there are several layers).

    >>> from elbax.models import linear_gaussian
    >>> posterior_means(linear_gaussian(3, 2, key=jax.random.key(0)), np.zeros((5, 3))).shape
    (5, 2)
    """
    return _in_blocks(_means, model, np.asarray(checked_data(model, x)))


def reconstructions(model: Model, x: Data) -> np.ndarray:
    """E[x | z] at the posterior mean of z, `[N, *event]`.

    >>> from elbax.models import linear_gaussian
    >>> reconstructions(linear_gaussian(3, 2, key=jax.random.key(0)), np.zeros((5, 3))).shape
    (5, 3)
    """
    return decode(model, posterior_means(model, x))


def decode(model: Model, z: PyTree) -> np.ndarray:
    """E[x | z] of a stack of latents `[N, ...]`: `[N, *event]`."""
    return _in_blocks(_decode, model, z)


def prior_samples(model: Model, num_samples: int, *, key: PRNGKey) -> np.ndarray:
    """E[x | z] for z drawn from the prior, `[num_samples, *event]`.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> prior_samples(model, 4, key=jax.random.key(1)).shape
    (4, 3)
    """
    return _in_blocks(_prior, model, _keys(key, num_samples))


def sample(model: Model, num_samples: int, *, key: PRNGKey) -> np.ndarray:
    """Data drawn from the model, x from p(x | z) for z from the prior: `[num_samples, *event]`.

    By the same key, `prior_samples` gives the means of the distributions these are drawn from.

    Raises:
        InputError: fewer than one, or a model of your own without `sample_data`.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> sample(model, 4, key=jax.random.key(1)).shape
    (4, 3)
    """
    return _in_blocks(_data, model, _keys(key, num_samples))


def simulated(model: Model, num_samples: int, *, key: PRNGKey) -> tuple[PyTree, np.ndarray]:
    """Pairs (z, x) drawn from p(x, z): each z is an exact draw from the posterior of its x.

    By the same key, `sample` gives the same x.

    Returns:
        z `[num_samples, ..]` as a draw of the prior is, and x `[num_samples, *event]`.

    Raises:
        InputError: fewer than one, a model of your own without `sample_data`, or one with a
            mechanism by which cells are missing.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> z, x = simulated(model, 4, key=jax.random.key(1))
    >>> z.shape, x.shape
    ((4, 2), (4, 3))
    """
    refuse_mechanism(model, "a simulation")
    return _in_blocks(_pairs, model, _keys(key, num_samples))


def _keys(key: PRNGKey, num_samples: int) -> jax.Array:
    """A key for each sample."""
    if num_samples < 1:
        raise InputError(f"expected num_samples >= 1; got {num_samples}.")
    return jax.random.split(checked_key(key), num_samples)


def _in_blocks(compiled, model: Model, stack: PyTree) -> PyTree:
    """`compiled` of the rows of a stack, a block at a time, so that any number fits in memory."""
    params, static = eqx.partition(model, eqx.is_array)

    def block(start):
        rows = jax.tree.map(lambda leaf: leaf[start : start + _BLOCK], stack)
        return compiled(params, rows, static)

    blocks = [block(start) for start in range(0, len(jax.tree.leaves(stack)[0]), _BLOCK)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


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
    return _pairs(params, keys, static)[1]


@partial(jax.jit, static_argnames="static")
def _pairs(params, keys, static):
    generative = eqx.combine(params, static).generative

    def one(key):
        z = generative.sample_prior(key)
        return z, generative.sample_data(z, jax.random.fold_in(key, 1))

    return jax.vmap(one)(keys)
