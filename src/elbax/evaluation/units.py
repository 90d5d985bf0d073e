"""Which latent units the data move: variances of posterior means, by stochastic layer."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._errors import InputError
from elbax._log_weights import draw, encode
from elbax._types import Data, PRNGKey
from elbax.models.interface import Model

_BLOCK = 500  # data at a time


def active_units(
    model: Model, x: Data, *, key: PRNGKey, threshold: float = 0.01
) -> tuple[int, ...]:
    """How many units of each layer are active: Var_x(E_q[z_u | x]) above `threshold`.

    Args:
        model: a model.
        x: data `[N, *event]`, N at least 2.
        key: a random key, for the layers above the first.
        threshold: 0.01 in Burda et al.

    Returns:
        One count per stochastic layer, nearest to the data first: (26, 7) is their "26+7".

    References: Burda, Grosse & Salakhutdinov 2015, section 5.2.

    >>> from elbax.models.linear_gaussian import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> active_units(model, jnp.zeros((5, 3)), key=jax.random.key(1))
    (0,)
    """
    variances = unit_variances(model, x, key=key)
    return tuple(int((layer > threshold).sum()) for layer in variances)


def unit_variances(
    model: Model, x: Data, *, key: PRNGKey, num_samples: int = 64
) -> tuple[np.ndarray, ...]:
    """Var_x(E_q[z_u | x]) of every unit, one array `[Z]` per stochastic layer.

    The posterior mean of the first layer is exact. That of a deeper layer is the mean of
    `num_samples` draws, each fed by draws of the layers below; what those draws add to the
    variance is estimated from their spread and taken off, so that the result is unbiased (and,
    for a unit at rest, may fall below 0). Categories of one variable are summed.

    Raises:
        InputError: fewer than two data or samples.
    """
    if len(x) < 2 or num_samples < 2:
        raise InputError(
            f"expected at least two data and two samples; got {len(x)} and {num_samples}."
        )
    params, static = eqx.partition(model, eqx.is_array)
    keys = jax.random.split(key, (num_samples, len(x)))
    blocks = [
        _moments(params, jnp.asarray(x[i : i + _BLOCK]), keys[:, i : i + _BLOCK], static)
        for i in range(0, len(x), _BLOCK)
    ]
    layers = []
    for parts in zip(*blocks, strict=True):
        means, noise = (np.concatenate(arrays).astype(np.float64) for arrays in zip(*parts))  # noqa: B905
        variance = means.var(axis=0, ddof=1) - noise.mean(axis=0)
        layers.append(variance.reshape(variance.shape[0], -1).sum(axis=1))
    return tuple(layers)


@partial(jax.jit, static_argnames="static")
def _moments(params, x, keys, static):
    """Of each layer, E_q[z | x] `[B, ...]` and the variance of that estimate."""
    inference = eqx.combine(params, static).inference
    context = encode(inference, x)
    first, *_ = jax.tree.leaves(jax.vmap(inference.mean)(context))
    found = [(first, jnp.zeros_like(first))]
    _, *deeper = jax.tree.leaves(draw(inference, context, keys))
    for z in deeper:
        found.append((z.mean(axis=0), z.var(axis=0, ddof=1) / len(keys)))
    return found
