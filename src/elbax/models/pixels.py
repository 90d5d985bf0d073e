"""Heads over intensities from 0 to 1 that are not 0/1 draws, and where training starts them."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from elbax.distributions import ContinuousBernoulli, DiscretisedLogistic
from elbax.nn.convolutions import ConvOutput
from elbax.nn.linear import Linear

LEAST_SCALE = 0.1  # of a level: sharper is no more certain, and infinitely wrong where it is wrong
_LOGISTIC = math.sqrt(3) / math.pi  # the scale of a logistic distribution of standard deviation 1
_USUAL_SD = 0.25  # of intensities, where the data's is not known
_STEEPEST = 0.02  # a mean nearer to 0 or 1 is left to training


class DiscretisedLogisticHead(eqx.Module):
    """A network's features, then one linear map to a location and one to a scale of each level.

    `scale = floor + 1 / (10 levels) + exp(linear)`, or with softplus(linear), in intensities: each
    pixel and channel has its own. Of a vector `[in]` it makes a `DiscretisedLogistic` over `[out]`.

    Args:
        network: a function of one vector to the features that the two maps read.
        loc: the map of features to the location.
        scale: the map of features to the scale, before it is made positive.
        positive: "exp" or "softplus".
        floor: added to the scale beside a tenth of a level; >= 0.
        levels: the stored value that means intensity 1.

    >>> from elbax.nn import MLP
    >>> keys = jax.random.split(jax.random.key(0), 3)
    >>> maps = (Linear(8, 12, key=key) for key in keys[1:])
    >>> network = MLP([2, 8], key=keys[0])
    >>> head = DiscretisedLogisticHead(network, *maps, positive="exp", floor=1e-6, levels=255)
    >>> head(jnp.ones(2)).mean().shape
    (12,)
    """

    network: Callable[[Array], Array]
    loc: Linear | ConvOutput
    scale: Linear | ConvOutput
    positive: str = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    levels: int = eqx.field(static=True)

    def __call__(self, z: Float[Array, " z"]) -> DiscretisedLogistic:
        """Independent levels, one per output."""
        features = self.network(z)
        raw = self.scale(features)
        positive = jnp.exp(raw) if self.positive == "exp" else jax.nn.softplus(raw)
        least = self.floor + LEAST_SCALE / self.levels
        return DiscretisedLogistic(self.loc(features), least + positive, self.levels)


class ContinuousBernoulliHead(eqx.Module):
    """A network's features, then one linear map to logits.

    Of a vector `[in]` it makes a `ContinuousBernoulli` over `[out]`.

    Args:
        network: a function of one vector to features.
        logits: the map of features to logits.

    >>> from elbax.nn import MLP
    >>> network, logits = MLP([2, 8], key=jax.random.key(0)), Linear(8, 4, key=jax.random.key(1))
    >>> ContinuousBernoulliHead(network, logits)(jnp.ones(2)).mean().shape
    (4,)
    """

    network: Callable[[Array], Array]
    logits: Linear | ConvOutput

    def __call__(self, z: Float[Array, " z"]) -> ContinuousBernoulli:
        """Independent intensities, one per output."""
        return ContinuousBernoulli(self.logits(self.network(z)))


def first_logits(mean: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """Logits of a continuous Bernoulli whose mean is near that of the data, within 0.02.

    By Cohen's approximation of the inverse Langevin function, which that mean is.

    References: Cohen 1991, A Pade approximant to the inverse Langevin function.

    >>> first_logits(np.array([0.5, 0.01])).round(2).tolist()
    [0.0, -50.9]
    """
    y = 2 * np.clip(mean, _STEEPEST, 1 - _STEEPEST) - 1
    return 2 * y * (3 - y**2) / (1 - y**2)


def first_scales(
    sd: Float[np.ndarray, " d"] | None, size: int, levels: int, positive: str
) -> Float[np.ndarray, " d"]:
    """What makes scales start at the standard deviation of the data, a level at least.

    >>> round(float(np.exp(first_scales(np.array([0.1]), 1, 255, "exp")[0])), 4)
    0.0551
    """
    known = np.full(size, _USUAL_SD) if sd is None else np.asarray(sd, np.float64).reshape(-1)
    scale = _LOGISTIC * np.maximum(known, 1 / levels)
    return np.log(scale) if positive == "exp" else np.log(np.expm1(scale))
