"""Which latent units the data move: variances of posterior means, by stochastic layer."""

import math
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from elbax._door import checked
from elbax._errors import InputError
from elbax._log_weights import draw, encode
from elbax._types import Data, PRNGKey
from elbax.models._drawn import latents_alone
from elbax.models.interface import Model

_BLOCK = 500  # data at a time
_DOUBT = 2.0  # standard errors from the threshold up to which a unit is in doubt


class Variances(NamedTuple):
    """Var_x(E_q[z_u | x]) of the units of one layer, and what is not known of it.

    Attributes:
        value: `[Z]`.
        error: `[Z]`, the standard error that finitely many draws leave; 0 where the posterior mean
            is exact. How the data themselves were sampled is not in it.
    """

    value: np.ndarray
    error: np.ndarray

    def active(self, threshold: float) -> np.ndarray:
        """Which units `[Z]` are active: above the threshold by more than two standard errors.

        >>> Variances(np.array([0.5, 0.011]), np.array([0.0, 0.001])).active(0.01).tolist()
        [True, False]
        """
        return self.value - _DOUBT * self.error > threshold

    def unresolved(self, threshold: float) -> np.ndarray:
        """Which units `[Z]` the draws say nothing about: neither active nor near 0 beyond doubt.

        A unit that merely lies near the threshold is not among them.
        """
        is_vague = _DOUBT * self.error > threshold
        return is_vague & (np.abs(self.value - threshold) <= _DOUBT * self.error)


def active_units(
    model: Model, x: Data, *, key: PRNGKey, threshold: float = 0.01, num_samples: int = 64
) -> tuple[int, ...]:
    """How many units of each layer are active: Var_x(E_q[z_u | x]) above `threshold`.

    The rule of Burda et al. for the first layer, whose posterior means are exact. In a deeper layer
    the means come from draws: there a unit is active if its variance is above the threshold by more
    than two standard errors, so that noise does not count.

    Args:
        model: a model.
        x: data `[N, *event]`, N at least 2.
        key: a random key, for the layers above the first.
        threshold: 0.01 in Burda et al.
        num_samples: draws per datum, for the layers above the first.

    Returns:
        One count per stochastic layer, nearest to the data first; (26, 7) is their "26+7".

    Raises:
        InputError: too few data or samples to tell, or posterior means that are not finite.

    References: Burda, Grosse & Salakhutdinov 2015, section 5.2.

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> active_units(model, jnp.zeros((5, 3)), key=jax.random.key(1))
    (0,)
    """
    layers = unit_variances(model, x, key=key, num_samples=num_samples)
    return tuple(int(active.sum()) for active in which_active(layers, threshold))


def which_active(layers: tuple[Variances, ...], threshold: float) -> tuple[np.ndarray, ...]:
    """Which units of each layer are active, one array `[Z]` of booleans per layer.

    Raises:
        InputError: the draws of a layer do not tell, or a threshold below 0.
    """
    if not 0 <= threshold < math.inf:
        raise InputError(f"expected a threshold >= 0, a variance; got {threshold}.")
    for depth, layer in enumerate(layers, start=1):
        unresolved = layer.unresolved(threshold)
        if unresolved.any():
            raise InputError(
                f"expected draws that tell whether variances of layer {depth} are above "
                f"{threshold:g}; {_listed(unresolved)} known to +-"
                f"{layer.error[unresolved].max():.2g} only. Take more data or more samples."
            )
    return tuple(layer.active(threshold) for layer in layers)


def unit_variances(
    model: Model, x: Data, *, key: PRNGKey, num_samples: int = 64
) -> tuple[Variances, ...]:
    """Var_x(E_q[z_u | x]) of every unit with its standard error, per stochastic layer.

    The posterior mean of the first layer is exact. That of a deeper layer is the mean of
    `num_samples` draws, each fed by draws of the layers below; what those draws add to the
    variance is estimated from their spread and taken off, so that the result is unbiased (and,
    for a unit at rest, may fall below 0). Categories of one variable are summed.

    Raises:
        InputError: fewer than two data or samples, or posterior means that are not finite.
    """
    known, key = checked(model, x, key)
    x = np.asarray(known)
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
    for depth, parts in enumerate(zip(*blocks, strict=True), start=1):
        means, spreads = (np.concatenate(arrays).astype(np.float64) for arrays in zip(*parts))  # noqa: B905
        layers.append(_layer(means, spreads**2 / num_samples, depth))
    return tuple(layers)


def _layer(means: np.ndarray, noise: np.ndarray, depth: int) -> Variances:
    """Of means `[N, ...]` known up to a variance `noise`.

    Given the true means m, a sample variance of m + e varies by 4 sum (m - mean)^2 noise + 2 sum
    noise^2 over (N - 1)^2; the means seen are further apart than the true ones by the noise.
    """
    is_broken = np.any(~np.isfinite(means) | ~np.isfinite(noise), axis=0, keepdims=True)
    is_broken = np.any(is_broken.reshape(means.shape[1], -1), axis=1, keepdims=True)[:, 0]
    if is_broken.any():
        raise InputError(
            f"expected finite posterior means in layer {depth}; {_listed(is_broken)} NaN or "
            "infinite. The inference network has diverged there."
        )
    value = means.var(axis=0, ddof=1) - noise.mean(axis=0)
    apart, least = (means - means.mean(axis=0)) ** 2, 2 * (noise**2).sum(axis=0)
    varies = np.maximum(4 * (apart * noise).sum(axis=0) - least, least) / (len(means) - 1) ** 2
    value, varies = (part.reshape(part.shape[0], -1).sum(axis=1) for part in (value, varies))
    return Variances(value, np.sqrt(varies))


def _listed(which: np.ndarray) -> str:
    """The units of a mask, as the beginning of a clause: "units 0, 3 and 5 more are"."""
    units = np.flatnonzero(which)
    more = f" and {len(units) - 5} more" if len(units) > 5 else ""
    one = len(units) == 1
    return (
        f"unit{'' if one else 's'} {', '.join(map(str, units[:5]))}{more} {'is' if one else 'are'}"
    )


@partial(jax.jit, static_argnames="static")
def _moments(params, x, keys, static):
    """Of each layer, E_q[z | x] `[B, ...]` and the standard deviation of the draws behind it."""
    inference = eqx.combine(params, static).inference
    context = encode(inference, x)
    first, *_ = jax.tree.leaves(jax.vmap(inference.mean)(context))
    found = [(first, jnp.zeros_like(first))]
    _, *deeper = jax.tree.leaves(latents_alone(draw(inference, context, keys)))
    for z in deeper:
        # Squares and sums of draws as large as float32 holds would overflow: of z over its largest.
        largest = jnp.max(jnp.abs(z), axis=0)
        share = z / jnp.where(largest > 0, largest, 1)
        found.append((largest * share.mean(axis=0), largest * share.std(axis=0, ddof=1)))
    return found
