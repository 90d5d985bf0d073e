r"""An unbiased estimate of log p(x): a telescoping sum that is cut off at random.

`log p(x) = L_s + \sum_j (L_(2^j s) - L_(2^(j-1) s))`, L_k the expectation of IWAE-k. Only the terms
up to a random J are computed, each over the chance that J reaches it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from elbax._checks import check_count
from elbax._door import checked
from elbax._log_weights import log_weights_of
from elbax._numerics import log_mean_exp
from elbax._types import Data, PRNGKey
from elbax.evaluation.likelihood import Estimate, mean_and_error
from elbax.models.interface import Model

_DECAY = 1.5  # P(J >= j) = 2^(-1.5 j): between 1, where cost, and 2, where variance is infinite
_ROWS = 4096  # log-weights at a time


@dataclass(frozen=True)
class Unbiased:
    """Estimates of log p(x) without bias, in nats: no bound, single ones lie on either side.

    Attributes:
        draws: `[R, N]`, independent estimates of each datum.
        num_samples: `[N]`, how many log-weights they took.

    >>> found = Unbiased(np.array([[-3.0, -1.0], [-1.0, -1.0]]), np.array([64, 64]))
    >>> found.log_p.tolist(), found.errors.tolist()
    ([-2.0, -1.0], [1.0, 0.0])
    """

    draws: np.ndarray
    num_samples: np.ndarray

    def __repr__(self) -> str:
        """The mean with its two errors, rather than every estimate."""
        count, num_data = self.draws.shape
        return (
            f"Unbiased({self.estimate} over {num_data} data, Monte Carlo error "
            f"{self.mc_error:.3f}; {count} estimates of each, "
            f"{self.num_samples.mean():.0f} samples)"
        )

    @property
    def log_p(self) -> np.ndarray:
        """`[N]`, the mean of each datum's estimates."""
        return self.draws.mean(axis=0)

    @property
    def errors(self) -> np.ndarray:
        """`[N]`, the standard error of each; the tails are heavy, and it may be too small."""
        return self.draws.std(axis=0, ddof=1) / np.sqrt(len(self.draws))

    @property
    def mc_error(self) -> float:
        """That of the mean over the data."""
        known = self.errors[np.isfinite(self.log_p)]
        return float(np.sqrt(np.sum(known**2)) / max(1, len(known)))

    @property
    def estimate(self) -> Estimate:
        """Mean over the finite data, and the standard error over them."""
        return mean_and_error(self.log_p[np.isfinite(self.log_p)])


def sumo(
    model: Model,
    x: Data,
    *,
    key: PRNGKey,
    repeats: int = 32,
    samples: int = 64,
    progress: Callable[[float], None] | None = None,
) -> Unbiased:
    r"""Estimate log p(x) without bias, by a series of bounds cut off at random.

    `L_s + \sum_{j <= J} D_j / P(J >= j)`, `P(J >= j) = 2^(-3j/2)`, where `D_j` is IWAE of 2^j s
    samples less the mean of IWAE of each half of them. SUMO adds one sample at a time; then either
    the cost or the variance is infinite, whatever the law of J. By halves both are finite where
    weights have a variance; where they have none (Pareto k-hat above 1/2) the tails are heavy, the
    error is too small, and a few estimates are far off. A cross-check, not a bound.

    Args:
        model: the model, latents of any kind.
        x: data `[N, *event]`.
        key: a random key, consumed here.
        repeats: estimates of each datum, at least 2.
        samples: s, at the beginning of the series; about 2.2 times as many are drawn for each
            estimate, on average.
        progress: told the fraction done.

    Raises:
        InputError: numbers that are too small.

    References: Luo, Beatson, Norouzi, Zhu, Duvenaud, Adams & Chen 2020, SUMO: unbiased estimation
    of log marginal probability for latent variable models, eq. 6; Blanchet & Glynn 2015, Unbiased
    Monte Carlo for optimization and functions of expectations (the halves).

    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> sumo(model, jnp.zeros((5, 3)), key=jax.random.key(1), repeats=4, samples=8).log_p.shape
    (5,)
    """
    check_count("repeats", repeats, 2)
    check_count("samples", samples)
    known, key = checked(model, x, key)
    x = np.asarray(known)
    depth_key, draw_key = jax.random.split(key)
    chance = np.asarray(jax.random.uniform(depth_key, (repeats * len(x),)), np.float64)
    # From uniform numbers u: J is the last j with 2^(-3j/2) above u, at most 16 in float32.
    depths = np.floor(-np.log2(np.maximum(chance, 2.0**-24)) / _DECAY).astype(int)
    blocks = 2**depths
    data = np.repeat(np.tile(np.arange(len(x)), repeats), blocks)
    means = _block_means(model, x, data, draw_key, samples, progress)
    parts = np.split(means, np.cumsum(blocks)[:-1])
    with np.errstate(invalid="ignore"):  # of a datum without a finite weight
        draws = np.array([_series(part) for part in parts]).reshape(repeats, len(x))
    return Unbiased(draws, samples * blocks.reshape(repeats, len(x)).sum(axis=0))


def _series(means: Float[np.ndarray, " blocks"]) -> float:
    """The sum for one draw of J, from the log of the mean weight of each of 2^J blocks."""
    total, depth = means[0], 0
    while len(means) >= 2 ** (depth + 1):
        depth += 1
        whole = means[: 2**depth]
        halves = [_log_mean(half) for half in np.split(whole, 2)]
        total += (_log_mean(whole) - np.mean(halves)) * 2 ** (_DECAY * depth)
    return float(total)


def _log_mean(values: Float[np.ndarray, " n"]) -> float:
    return float(np.logaddexp.reduce(values) - np.log(len(values)))


def _block_means(
    model: Model, x: np.ndarray, data: Int[np.ndarray, " p"], key: PRNGKey, samples: int, progress
) -> Float[np.ndarray, " p"]:
    """The log of the mean weight of a block of samples, for each entry of `data`."""
    params, static = eqx.partition(model, eqx.is_array)
    size = max(1, _ROWS // samples)
    found = []
    for start in range(0, len(data), size):
        # The last call is filled up, so that one program serves all.
        places = np.arange(start, start + size)
        rows = data[np.minimum(places, len(data) - 1)]
        block = _means(params, jnp.asarray(x[rows]), key, jnp.asarray(places), static, samples)
        found.append(np.asarray(block, np.float64))
        if progress is not None:
            progress(min(1.0, (start + size) / len(data)))
    return np.concatenate(found)[: len(data)]


@partial(jax.jit, static_argnames=("static", "samples"))
def _means(params, x, key, places, static, samples: int):
    model = eqx.combine(params, static)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, places)
    keys = jax.vmap(lambda key: jax.random.split(key, samples), out_axes=1)(keys)
    return log_mean_exp(log_weights_of(model, x, keys))
