r"""How far a likelihood estimated by importance sampling can be trusted, datum by datum.

The estimate stands on the largest weights. Their tail is fitted by a generalized Pareto
distribution, whose shape k-hat says how many moments the weights have: below 1/2 a variance, from 1
not even a mean. Nothing is smoothed: the estimate stays the bound that it is.
"""

import math

import numpy as np
from jaxtyping import Float

_MOST = 0.7  # above it no affordable number of samples helps
_FEWEST = 5  # of a tail that can be fitted
_PRIOR_SHAPE, _PRIOR_SIZE = 0.5, 10  # a weak prior of k-hat: its mean, and what it weighs in data
_BLOCK = 256  # data fitted at once


def tail_size(num_samples: int) -> int:
    """How many of the largest weights make the tail: min(S / 5, 3 sqrt(S)), rounded up.

    References: Vehtari et al. 2024 (Pareto smoothed importance sampling), appendix H.

    >>> tail_size(5000), tail_size(100)
    (213, 20)
    """
    return math.ceil(min(0.2 * num_samples, 3 * math.sqrt(num_samples)))


def khat_threshold(num_samples: int) -> float:
    """The largest k-hat at which an estimate by so many samples can be trusted.

    References: Vehtari et al. 2024: min(1 - 1 / log10 S, 0.7).

    >>> khat_threshold(5000), round(khat_threshold(100), 3), khat_threshold(1)
    (0.7, 0.5, -inf)
    """
    if num_samples < 2:
        return -math.inf
    return min(1 - 1 / math.log10(num_samples), _MOST)


def can_tell(num_samples: int) -> bool:
    """Whether so many samples have a tail that can be fitted.

    >>> can_tell(20), can_tell(25)
    (False, True)
    """
    return tail_size(num_samples) >= _FEWEST


def pareto_khat(largest: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " n"]:
    """K-hat of each datum.

    Args:
        largest: its `tail_size(S) + 1` largest log-weights, in nats, in descending order; the last
            one is where the tail begins.

    Returns:
        NaN where weights are not finite or too few, -inf where those of the tail are equal up to
        rounding, as where q is the posterior.

    References: Zhang and Stephens 2009 (Technometrics 51, 316) for the fit; Vehtari et al. 2024 for
        the prior of k-hat.

    >>> log_w = np.log(np.random.default_rng(0).pareto(1 / 0.4, (5000, 1000)))
    >>> khat = pareto_khat(-np.sort(-log_w, axis=0)[: tail_size(5000) + 1])
    >>> float(khat.mean().round(2))
    0.4
    """
    num_data = largest.shape[1]
    blocks = [largest[:, start : start + _BLOCK] for start in range(0, num_data, _BLOCK)]
    return np.concatenate([_khat(block.astype(np.float64)) for block in blocks] or [np.zeros(0)])


def _khat(largest: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " n"]:
    found = np.full(largest.shape[1], np.nan)
    if len(largest) <= _FEWEST or not np.isfinite(largest[0]).any():
        return found
    # Of float32: a tail that is narrower than its rounding is no tail.
    flat = largest[0] - largest[-1] <= 8 * np.finfo(np.float32).eps * np.abs(largest[0])
    found[flat & np.isfinite(largest[0])] = -np.inf
    fitted = np.isfinite(largest[0]) & ~flat
    weights = np.exp(largest[:, fitted] - largest[0, fitted])
    found[fitted] = _shape(weights[-2::-1] - weights[-1])
    return found


def _shape(excess: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " n"]:
    """The shape of a generalized Pareto distribution, from excesses in ascending order."""
    size = len(excess)
    quartile = np.maximum(excess[int(size / 4 + 0.5) - 1], np.finfo(float).tiny)
    places = np.arange(1, 31 + int(math.sqrt(size))) - 0.5
    grid = (1 - np.sqrt(len(places) / places))[:, None] / (3 * quartile) + 1 / excess[-1]
    # [grid, datum]; the tail is summed over one place of the grid at a time
    shape = np.stack([np.log1p(-b * excess).mean(axis=0) for b in grid])
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = size * (np.log(-grid / shape) - shape - 1)
    profile = np.where(np.isfinite(profile), profile, -np.inf)
    share = np.exp(profile - profile.max(axis=0))
    best = (share * grid).sum(axis=0) / share.sum(axis=0)
    fitted = np.log1p(-best * excess).mean(axis=0)
    return (size * fitted + _PRIOR_SIZE * _PRIOR_SHAPE) / (size + _PRIOR_SIZE)


def monte_carlo_error(ess: Float[np.ndarray, " n"], num_samples: int) -> Float[np.ndarray, " n"]:
    """The standard error of each datum's log p-hat over the samples, in nats.

    By the delta method: the weights' relative variance over S is 1 / ESS - 1 / S. Where k-hat is
    large it is too small, as any error is that the same weights tell.

    >>> monte_carlo_error(np.array([50.0, 5000.0]), 5000).round(3)
    array([0.141, 0.   ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(np.maximum(1 / ess - 1 / num_samples, 0))
