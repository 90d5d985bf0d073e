"""Held-out bounds: every IWAE-k of a list from one pass over the same samples."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np

from elbax._checks import check_count, check_fits
from elbax._door import checked, levels_of
from elbax._errors import InputError
from elbax._types import Data, PRNGKey
from elbax.evaluation.blocks import evaluated
from elbax.evaluation.processes import check_alike, gathered, own_rows
from elbax.evaluation.reliability import khat_threshold, monte_carlo_error, pareto_khat
from elbax.models.interface import Model

BITS = "bits_per_dim"


@dataclass(frozen=True)
class Estimate:
    """A mean over data with its standard error, both in the metric's unit.

    The standard error is the sample standard deviation over the root of N. An interval of +-2 of
    them is a 95 % one for many data only: bounds and gaps are skewed (a few data are far worse than
    the rest), and over 60 data it holds the truth about 90 times in 100.

    >>> print(Estimate(-23.456, 0.123))
    -23.46 ± 0.12
    """

    mean: float
    standard_error: float

    def __str__(self) -> str:
        """The two as one writes them."""
        return f"{self.mean:.2f} ± {self.standard_error:.2f}"


@dataclass(frozen=True)
class Evaluation:
    """Bounds of one model on held-out data, per datum and as means, in nats per datum.

    Attributes:
        ks: sample counts, increasing; the last one's bound is log p-hat.
        bounds: `[len(ks), N]`, IWAE-k of each datum. For k below the largest it is the mean over
            as many disjoint groups of k samples as the largest holds, so it costs nothing more.
        ess: `[N]`, effective sample size among the largest k.
        finite: `[len(ks), N]`, False where that bound of that datum is not finite. A metric's mean
            is over the data whose own values are finite, and `num_nonfinite` counts the others: a
            datum with one weight of zero has no IWAE-1, and its log p-hat is as good as any.
        khat: `[N]`, Pareto k-hat of the largest k's weights (`elbax.evaluation.reliability`); None
            where it is not known.
        num_dims: of data that are levels under a discretised logistic likelihood, how many values
            one has, D: then log p-hat is told in bits per dimension too, `bits_per_dim`.

    >>> bounds = np.array([[-3.0, -2.0], [-2.5, -1.5]])
    >>> Evaluation((1, 64), bounds, np.ones(2), np.isfinite(bounds))
    Evaluation(2 data, in nats per datum, ± standard error)
      log p-hat -2.00 ± 0.50, IWAE-1 -2.50 ± 0.50
    >>> import jax
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> found = evaluate(model, np.zeros((5, 3)), key=jax.random.key(1), ks=(1, 8))
    >>> found.per_datum("gap_1").shape, bool(found.estimate("gap_1").mean < 0)
    ((5,), True)
    """

    ks: tuple[int, ...]
    bounds: np.ndarray
    ess: np.ndarray
    finite: np.ndarray
    khat: np.ndarray | None = None
    num_dims: int | None = None

    def __repr__(self) -> str:
        """The bounds with their standard errors, rather than those of every datum."""
        shown = {"log p-hat": "log_p_hat"} | {f"IWAE-{k}": f"iwae_{k}" for k in self.ks[:-1]}
        means = [f"{name} {self.estimate(metric)}" for name, metric in shown.items()]
        head = f"Evaluation({self.bounds.shape[1]} data, in nats per datum, ± standard error)"
        if self.num_dims is not None:
            bits = self.estimate(BITS)
            means.append(f"{bits.mean:.3f} ± {bits.standard_error:.3f} bits per dimension")
        return f"{head}\n  {', '.join(means)}"

    @property
    def mc_errors(self) -> np.ndarray:
        """The Monte Carlo error `[N]` of each datum's log p-hat, in nats."""
        return monte_carlo_error(self.ess, self.ks[-1])

    @property
    def mc_error(self) -> float:
        """That of the mean log p-hat: the data's own, which are independent, together."""
        errors = self.mc_errors[self.finite[-1]]
        return float(np.sqrt(np.sum(errors**2)) / max(1, len(errors)))

    @property
    def is_reliable(self) -> np.ndarray:
        """For which data `[N]` log p-hat can be trusted: k-hat is known, and at most its threshold.

        Elsewhere it lies further below log p(x) than its error says; more samples, or a posterior
        that fits better, help.
        """
        if self.khat is None:
            return np.zeros(self.bounds.shape[1], bool)
        return self.finite[-1] & (self.khat <= khat_threshold(self.ks[-1]))

    @property
    def num_nonfinite(self) -> dict[str, int]:
        """Per metric, how many data are left out of its mean because it is not finite for them."""
        return {metric: int((~self.is_finite(metric)).sum()) for metric in self.metrics()}

    def is_finite(self, metric: str) -> np.ndarray:
        """Which data `[N]` are in a metric's mean; a gap needs both of its bounds."""
        kind, _, k = metric.rpartition("_")
        if metric not in self.metrics():
            raise InputError(self._unknown(metric))
        if metric == "ess":
            return self.finite[-1] & np.isfinite(self.ess)
        if metric in ("log_p_hat", BITS):
            return self.finite[-1]
        own = self.finite[self.ks.index(int(k))]
        return own & self.finite[-1] if kind == "gap" else own

    def per_datum(self, metric: str) -> np.ndarray:
        """The values `[N]` behind a metric, one of those that `metrics` names."""
        if metric == "ess":
            return self.ess
        if metric == "log_p_hat":
            return self.bounds[-1]
        kind, _, k = metric.rpartition("_")
        if metric not in self.metrics():
            raise InputError(self._unknown(metric))
        if metric == BITS:
            return bits_per_dim(self.bounds[-1], self.num_dims or 1)
        bound = self.bounds[self.ks.index(int(k))]
        if kind == "iwae":
            return bound
        with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, and is left out
            return bound - self.bounds[-1]

    def _unknown(self, metric: str) -> str:
        return f"expected a metric among {', '.join(self.metrics())}; got '{metric}'."

    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics."""
        bounds = [f"iwae_{k}" for k in self.ks]
        gaps = [f"gap_{k}" for k in self.ks[:-1]]
        bits = () if self.num_dims is None else (BITS,)
        return (*bounds, "log_p_hat", *bits, *gaps, "ess")

    def estimate(self, metric: str) -> Estimate:
        """Mean over the finite data and its standard error; a gap's is that of the differences."""
        return mean_and_error(self.per_datum(metric)[self.is_finite(metric)])

    @property
    def log_p_hat(self) -> Estimate:
        """The estimate of log p(x): IWAE at the largest k."""
        return self.estimate("log_p_hat")


def evaluate(
    model: Model,
    x: Data,
    *,
    key: PRNGKey,
    ks: Sequence[int] = (1, 64, 5000),
    block_rows: int = 2560,
    progress: Callable[[float], None] | None = None,
    over_processes: bool = False,
) -> Evaluation:
    r"""Estimate IWAE-k for every k and every datum.

    `IWAE-k = log (1/k) \sum_i w_i`, in expectation below log p(x) and increasing in k. Samples
    come from a key per datum and sample: the result does not depend on the blocks, up to rounding.
    The data are spread over the devices of this process (`elbax.limit_devices`): the numbers are
    those of one device within rounding, and the same bits for any number of devices from 2 on, as
    long as each has a whole block of data (20 for 128 samples or more).

    Args:
        model: the model.
        x: data `[N, *event]` (0/1 for a Bernoulli likelihood).
        key: a random key, consumed here.
        ks: sample counts; the largest one gives log p-hat.
        block_rows: decoder rows at a time on each device (data times samples), which bounds the
            memory.
        progress: told the fraction done, after each block of data.
        over_processes: share the data among the processes of `jax.distributed`, each of which makes
            this call and gets the whole result.

    Raises:
        InputError: ks that are not whole numbers >= 1, no data, or processes that were not given
            the same.

    References: Burda, Grosse & Salakhutdinov 2015, section 5 (log p-hat by 5000 samples).

    >>> import jax
    >>> from elbax.models import linear_gaussian
    >>> model = linear_gaussian(3, 2, key=jax.random.key(0))
    >>> result = evaluate(model, np.zeros((5, 3)), key=jax.random.key(1), ks=(1, 8))
    >>> result.bounds.shape, result.metrics()
    ((2, 5), ('iwae_1', 'iwae_8', 'log_p_hat', 'gap_1', 'ess'))
    """
    ks = sample_counts(ks)
    if block_rows < 1:
        raise InputError(f"expected block_rows >= 1; got {block_rows}.")
    known, key = checked(model, x, key)
    x = np.asarray(known)  # cut in blocks on the host
    rows = np.arange(len(x))
    if over_processes:
        check_alike(eqx.filter(model, eqx.is_array), x, key, ks)
        rows = own_rows(len(x))
    found = evaluated(model, x, rows, key=key, ks=ks, block_rows=block_rows, progress=progress)
    if over_processes:
        found = gathered(found, len(x))
    bounds, ess, largest = found
    num_dims = None if levels_of(model) is None else math.prod(x.shape[1:])
    return Evaluation(ks, bounds, ess, np.isfinite(bounds), pareto_khat(largest), num_dims)


def bits_per_dim(log_p: np.ndarray, num_dims: int) -> np.ndarray:
    """Nats of a datum as bits for each of its values, `-log p / (D log 2)`: lower is better.

    It is what a lossless code of the levels would need; 8 for bytes drawn evenly.

    >>> bits_per_dim(np.array([-8 * 3072 * np.log(2)]), 3072).tolist()
    [8.0]
    """
    return -np.asarray(log_p, np.float64) / (num_dims * math.log(2))


def sample_counts(ks: Any) -> tuple[int, ...]:
    """Sample counts as evaluations take them: each once, increasing.

    Raises:
        InputError: not a sequence of whole numbers >= 1 (a number alone, floats, booleans and texts
            are refused, since metrics are named by them), or so many samples that no block of data
            would fit in memory.

    >>> sample_counts([64, 1, 64])
    (1, 64)
    """
    try:
        found = [operator.index(k) for k in ks if not isinstance(k, bool | np.bool_)]
        is_right = len(found) == len(ks) > 0 and min(found) >= 1
    except TypeError:
        is_right, found = False, []
    if not is_right:
        raise InputError(
            "expected every k to be a whole number >= 1, in a sequence such as (1, 64, 5000); got "
            f"ks = {ks!r}."
        )
    most, rows = check_count("the largest k", max(found)), 20  # the data of a block
    check_fits(f"the log-weights of {most} samples of {rows} data", 4 * most * rows)
    return tuple(sorted(set(found)))


@dataclass(frozen=True)
class PairedDifference:
    """Mean of `second - first` over the same data, and its standard error, in a metric's unit."""

    metric: str
    difference: float
    standard_error: float

    @property
    def z(self) -> float:
        """The difference in units of its standard error; NaN where both are 0 or unknown."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.difference) / np.float64(self.standard_error))


def compare(first: Evaluation, second: Evaluation, metric: str = "log_p_hat") -> PairedDifference:
    """Compare two models datum by datum, on the same data in the same order.

    The spread between images (about 23 nats on MNIST) cancels, so this tells apart models that
    their separate standard errors cannot.

    Raises:
        InputError: the two were evaluated on different numbers of data, or with different ks.

    >>> a = Evaluation((1,), np.array([[-1.0, -2.0]]), np.ones(2), np.ones((1, 2), bool))
    >>> b = Evaluation((1,), np.array([[-0.5, -1.5]]), np.ones(2), np.ones((1, 2), bool))
    >>> compare(a, b).difference
    0.5
    """
    num_data = first.bounds.shape[1], second.bounds.shape[1]
    if num_data[0] != num_data[1]:
        raise InputError(
            "expected both models to be evaluated on the same data; got "
            f"{num_data[0]} and {num_data[1]} data."
        )
    if first.ks != second.ks:
        raise InputError(
            f"expected both models to be evaluated with the same ks; got {first.ks} and "
            f"{second.ks}: log p-hat would mean two things."
        )
    both = first.is_finite(metric) & second.is_finite(metric)
    estimate = mean_and_error(second.per_datum(metric)[both] - first.per_datum(metric)[both])
    return PairedDifference(metric, estimate.mean, estimate.standard_error)


def mean_and_error(values: np.ndarray) -> Estimate:
    """The mean of values of so many data, and its standard error; NaN where there are too few."""
    values = values.astype(np.float64)
    if values.size == 0:
        return Estimate(float("nan"), float("nan"))
    error = values.std(ddof=1) / values.size**0.5 if values.size > 1 else float("nan")
    return Estimate(float(values.mean()), float(error))
