"""Signal-to-noise ratios from moments: values, intervals that cover the truth, slopes. NumPy only.

A ratio |mean| / sd of few draws lies above the true one, because noise has no sign in it: by up to
sqrt(2 / (pi N)) for a parameter without signal. The values here are these plain ratios, as papers
print them; the intervals are for the true ratio, and hold what that bias may be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float

NUM_BINS = 16  # draws fall into so many bins; errors come from leaving out whole bins
DIRECTED_BINS = NUM_BINS // 2  # those whose draws see the direction of the bins before them
MIN_DIRECTED = 3  # parameters from which on a DSNR exists
_CONFIDENCE = 0.975  # at either end
_WIDTH = 0.5  # of the bump that holds the bias, in standard errors of a parameter's ratio
_SLICE = 4096  # parameters at a time


@dataclass(frozen=True)
class Ratio:
    """A ratio with a 95 % interval for the true one, and what pure noise would give.

    Attributes:
        value: mean over parameters of `|mean| / sd` (SNR), or the directed one (DSNR), of the
            draws as they are: biased by noise, upward for SNR, downward for DSNR.
        low: lower end of the interval for the ratio of infinitely many draws.
        high: upper end; both allow for the bias, so the value need not lie in the middle.
        floor: the value expected of draws without any signal; values near it are noise.
        standard_error: of the value.
    """

    value: float
    low: float
    high: float
    floor: float
    standard_error: float

    @property
    def is_signal(self) -> bool:
        """Whether the value is twice what noise explains, and its interval above 0.

        >>> Ratio(0.05, 0.04, 0.06, floor=0.01, standard_error=0.005).is_signal
        True
        """
        return bool(self.value > 2 * self.floor and self.low > 0)

    @property
    def above_floor(self) -> float:
        """The value with the floor taken out in quadrature, for slopes; 0 at the floor.

        Exact where the ratios of the parameters are spread like a normal around 0.
        """
        return float(np.sqrt(max(self.value**2 - self.floor**2, 0.0)))


class Moments(NamedTuple):
    """Of every bin of draws: their number, mean and sum of squared deviations.

    Attributes:
        draws: `[NUM_BINS]`.
        mean: `[NUM_BINS, P]`.
        square: `[NUM_BINS, P]`.
    """

    draws: np.ndarray
    mean: np.ndarray
    square: np.ndarray

    def part(self, start: int, end: int) -> "Moments":
        """Those of the parameters from `start` to before `end`."""
        return Moments(self.draws, self.mean[:, start:end], self.square[:, start:end])


def pooled(
    moments: Moments, weights: Float[np.ndarray, "r bins"]
) -> tuple[Float[np.ndarray, "r p"], Float[np.ndarray, "r p"]]:
    """Mean and variance over bins taken so many times each, in float64."""
    counts = np.asarray(moments.draws, np.float64)
    share = weights * counts
    total = share.sum(axis=1, keepdims=True)
    bins = np.asarray(moments.mean, np.float64)
    center = bins.mean(axis=0)
    offset = bins - center
    mean = share @ offset / total
    within = weights @ np.asarray(moments.square, np.float64)
    between = share @ offset**2 - total * mean**2
    return mean + center, np.maximum(within + between, 0) / (total - 1)


# ------------------------------------------------------------------ SNR


class Sums(NamedTuple):
    """Sums over parameters, of all bins first and then with each left out, `[1 + NUM_BINS]`.

    They add up: those of a network are the sums of its layers'.
    """

    parameters: int
    live: int
    """Parameters that have noise; the others count as 0 with certainty."""
    ratio: np.ndarray
    """`|mean| / sd`, each with the sign that all bins together have."""
    bias: np.ndarray
    """What noise may have added to it, an upper bound in expectation."""


def sums(moments: Moments) -> Sums:
    """What the SNR of a group and its interval are made of."""
    weights = np.vstack([np.ones(NUM_BINS), 1 - np.eye(NUM_BINS)])
    draws = (weights @ np.asarray(moments.draws, np.float64))[:, None]
    total = Sums(0, 0, np.zeros(1 + NUM_BINS), np.zeros(1 + NUM_BINS))
    for start in range(0, moments.mean.shape[1], _SLICE):
        mean, variance = pooled(moments.part(start, start + _SLICE), weights)
        is_live = variance[0] > 0
        ratio = mean * np.sign(mean[0]) / np.sqrt(np.where(variance > 0, variance, np.inf))
        bias = np.where(is_live, _noise_bound(ratio * np.sqrt(draws)) / np.sqrt(draws), 0)
        part = Sums(mean.shape[1], int(is_live.sum()), ratio.sum(axis=1), bias.sum(axis=1))
        total = added(total, part)
    return total


def added(first: Sums, second: Sums) -> Sums:
    """The sums over the parameters of both."""
    return Sums(
        first.parameters + second.parameters,
        first.live + second.live,
        first.ratio + second.ratio,
        first.bias + second.bias,
    )


def snr_ratio(found: Sums, num_draws: int) -> Ratio:
    """The mean ratio of a group, with its interval.

    The upper end starts from the ratio itself, whose expectation is above the truth; the lower
    end from the ratio less a bound on what noise adds. The error of either is the jackknife's over
    bins, which keeps how parameters vary together; the jackknife also takes out the bias of 1 / sd.
    """
    center, error = _jackknife(found.ratio / found.parameters)
    bias = float(found.bias[0] / found.parameters)
    _, lower_error = _jackknife((found.ratio - found.bias) / found.parameters)
    quantile = float(scipy.stats.t.ppf(_CONFIDENCE, NUM_BINS - 1))
    value = float(found.ratio[0] / found.parameters)
    return Ratio(
        value,
        low=min(value, max(0.0, center - bias - quantile * lower_error)),
        high=max(value, center + quantile * error),
        floor=float(np.sqrt(2 / np.pi / num_draws)) * found.live / found.parameters,
        standard_error=error,
    )


def _noise_bound(u: np.ndarray) -> np.ndarray:
    """h with E h(U) >= E|U| - |s| for U ~ N(s, 1) and every s.

    The right side is 2 (phi(s) - |s| Phi(-|s|)) <= sqrt(2 / pi) exp(-s^2 / 2). A bump
    exp(-u^2 / (2 w^2)), seen through the noise of U, is as high as exp(-s^2 / (2 (1 + w^2)))
    w / sqrt(1 + w^2), which the factor below brings above it.
    """
    height = np.sqrt(2 / np.pi) * np.sqrt(1 + _WIDTH**2) / _WIDTH
    return height * np.exp(-0.5 * (u / _WIDTH) ** 2)


def _jackknife(values: np.ndarray) -> tuple[float, float]:
    """Value less its smooth bias, and standard error: of all bins, then with each left out."""
    without, count = values[1:], len(values) - 1
    center = without.mean()
    error = np.sqrt((count - 1) / count * np.sum((without - center) ** 2))
    return float(values[0] - (count - 1) * (center - values[0])), float(error)


# ------------------------------------------------------------------ DSNR


class Directed(NamedTuple):
    """Of one group, the means per late bin `[DIRECTED_BINS]` along the early bins' direction.

    A draw's part along the direction is w (with its sign), the length of its part across it o.
    """

    ratio: np.ndarray
    """|w| / o."""
    signed: np.ndarray
    """w / o."""
    inverse: np.ndarray
    """1 / o."""


def gram(moments: Moments) -> Float[np.ndarray, "bins bins"]:
    """Inner products of the bins' mean gradients; those of groups add up."""
    means = np.asarray(moments.mean, np.float64)
    return means @ means.T


def directed_ratio(
    found: Directed, products: Float[np.ndarray, "bins bins"], num_parameters: int
) -> Ratio:
    """The mean of |w| / o, with an interval for the one along the true mean gradient.

    That one lies above |E D| E(1 / o), since a mean of |w| is at least |E w|, and below the one
    found over the cosine of the early bins' direction with the true one, since what lies across the
    true one only adds to |w|. The length |E D| comes from inner products of different bins, which
    noise does not bias; the cosine is what the late draws have of it on the mean. The upper end is
    infinite where the direction is not resolved. With fewer than three parameters the ratio is NaN:
    one has nothing across it, and with two the mean of 1 / o is infinite.
    """
    if num_parameters < MIN_DIRECTED:
        return Ratio(*[math.nan] * 5)
    bins = len(found.ratio)
    value, inverse = float(found.ratio.mean()), float(found.inverse.mean())
    error = float(found.ratio.std(ddof=1) / np.sqrt(bins))
    reach = float(scipy.stats.t.ppf(_CONFIDENCE, bins - 1)) * error
    shortest, longest = _length(products)
    seen = float(found.signed.mean())
    high = (value + reach) * max(1.0, longest * inverse / seen) if seen > 0 else math.inf
    floor = _directed_floor(num_parameters)
    return Ratio(value, min(value, shortest * inverse), high, floor, error)


def _length(products: np.ndarray) -> tuple[float, float]:
    """The ends of an interval for the length of the mean gradient."""

    def squared(kept: np.ndarray) -> float:
        inner = products[np.ix_(kept, kept)]
        return (inner.sum() - np.trace(inner)) / (len(kept) * (len(kept) - 1))

    every = np.arange(len(products))
    values = [squared(every), *(squared(np.delete(every, i)) for i in every)]
    found, error = _jackknife(np.array(values))
    reach = float(scipy.stats.t.ppf(_CONFIDENCE, len(every) - 1)) * error
    return math.sqrt(max(0.0, found - reach)), math.sqrt(max(0.0, found + reach))


def _directed_floor(num_parameters: int) -> float:
    """E|w| E(1 / o) for standard normal noise: o is chi of one degree of freedom less.

    >>> round(_directed_floor(3), 9)  # sqrt(2 / pi) sqrt(pi / 2)
    1.0
    """
    half = (num_parameters - 1) / 2
    return math.exp(math.lgamma(half - 0.5) - math.lgamma(half)) / math.sqrt(math.pi)


# ------------------------------------------------------------------ slopes


def slope(sizes: Sequence[int], ratios: Sequence[Ratio]) -> tuple[float, float, int]:
    """The slope of log SNR against log size, over the points above the noise floor.

    Args:
        sizes: K or M.
        ratios: one for each.

    Returns:
        Slope, its standard error, and how many points it is of; NaN where fewer than 3 are above
        the floor. The error is that of the draws: a true curve that is not straight is not in it.
    """
    above = [i for i, ratio in enumerate(ratios) if ratio.is_signal]
    if len(above) < 3:
        return float("nan"), float("nan"), len(above)
    log_size = np.log([sizes[i] for i in above])
    logs = np.log([ratios[i].above_floor for i in above])
    # d log sqrt(v^2 - f^2) / dv = v / (v^2 - f^2)
    spread = [
        ratios[i].standard_error * ratios[i].value / ratios[i].above_floor ** 2 for i in above
    ]
    weights = 1 / np.maximum(spread, 1e-3) ** 2
    center = np.average(log_size, weights=weights)
    spacing = np.sum(weights * (log_size - center) ** 2)
    found = np.sum(weights * (log_size - center) * logs) / spacing
    return float(found), float(1 / np.sqrt(spacing)), len(above)
