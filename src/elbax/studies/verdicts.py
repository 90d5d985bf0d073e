"""Claims of papers, tested: reproduced, not reproduced, or not testable, and why.

An ordering is tested on paired differences: the same seeds, the same test data, the same draws.
Its standard error holds the spread over seeds and, in quadrature, that over test data.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from elbax.studies.store import FoundRun

REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable"
CONFIDENCE = 0.975  # one-sided; quantiles are Student's where few seeds give the error


@dataclass(frozen=True)
class Verdict:
    """What became of one claim.

    Attributes:
        claim: a sentence.
        published: the value or difference in the paper, where it has one.
        obtained: ours.
        error: its standard error.
        verdict: one of the three.
        reason: why, in a sentence.
    """

    claim: str
    published: float | None
    obtained: float | None
    error: float | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """A mean with its standard error, and how many errors away from 0 is beyond doubt."""

    mean: float
    error: float
    limit: float
    num_seeds: int


def difference(more: Sequence[FoundRun], less: Sequence[FoundRun], metric: str) -> Difference:
    """The mean of `metric` over `more` minus that over `less`, paired by seed and datum.

    Runs that diverged, or whose seed has no partner, are left out.
    """
    partners = {run.plan.seed: run for run in less if run.ok}
    pairs = [(run, partners[run.plan.seed]) for run in more if run.ok and run.plan.seed in partners]
    if not pairs:
        return Difference(math.nan, math.nan, math.inf, 0)
    per_datum = np.stack([_values(a, metric) - _values(b, metric) for a, b in pairs])
    return _difference(per_datum)


def paired(more: Sequence[np.ndarray], less: Sequence[np.ndarray]) -> Difference:
    """The same for values per datum `[N]` of each seed, in the same order of seeds and data."""
    return _difference(np.stack(more).astype(np.float64) - np.stack(less).astype(np.float64))


def over_seeds(differences: Sequence[float]) -> Difference:
    """The same for one number per seed; a single seed has no error, and decides nothing."""
    values, count = np.array(differences, np.float64), len(differences)
    if count < 2:
        mean = float(values.mean()) if count else math.nan
        return Difference(mean, math.nan, math.inf, count)
    limit = float(scipy.stats.t.ppf(CONFIDENCE, count - 1))
    return Difference(float(values.mean()), float(values.std(ddof=1) / count**0.5), limit, count)


def _values(run: FoundRun, metric: str) -> np.ndarray:
    return np.asarray(run.per_datum(metric), np.float64)


def _difference(per_datum: np.ndarray) -> Difference:
    """Of values `[seeds, data]`; data that are not finite in every seed are left out."""
    per_datum = per_datum[:, np.isfinite(per_datum).all(axis=0)]
    num_seeds, num_data = per_datum.shape
    if num_data < 2:
        return Difference(math.nan, math.nan, math.inf, 0)
    over_data = per_datum.mean(axis=0).std(ddof=1) / num_data**0.5
    if num_seeds == 1:
        limit = scipy.stats.t.ppf(CONFIDENCE, num_data - 1)
        return Difference(float(per_datum.mean()), float(over_data), float(limit), 1)
    over_seeds = per_datum.mean(axis=1).std(ddof=1) / num_seeds**0.5
    limit = scipy.stats.t.ppf(CONFIDENCE, num_seeds - 1)
    error = float(np.hypot(over_data, over_seeds))
    return Difference(float(per_datum.mean()), error, float(limit), num_seeds)


def above(
    claim: str,
    more: Sequence[FoundRun],
    less: Sequence[FoundRun],
    metric: str,
    *,
    published: float | None = None,
) -> Verdict:
    """The claim that `metric` of `more` lies above that of `less`."""
    return ordered(claim, difference(more, less, metric), published=published)


def above_all(
    claim: str,
    best: Sequence[FoundRun],
    others: Sequence[Sequence[FoundRun]],
    metric: str,
    *,
    sign: int = 1,
    published: float | None = None,
) -> Verdict:
    """The claim that `best` lies above (`sign` -1: below) each of the others.

    It stands or falls with the nearest of them.
    """
    found = [difference(best, other, metric) for other in others]
    signed = [Difference(sign * d.mean, d.error, d.limit, d.num_seeds) for d in found]
    known = [d for d in signed if math.isfinite(d.mean)]
    if not known:
        return ordered(claim, Difference(math.nan, math.nan, math.inf, 0), published=published)
    return ordered(claim, min(known, key=_in_limits), published=published)


def _in_limits(d: Difference) -> float:
    if d.error > 0:
        return d.mean / (d.limit * d.error)
    return d.mean * math.inf if d.mean else 0.0


def ordered(claim: str, found: Difference, *, published: float | None = None) -> Verdict:
    """The claim that a difference is positive."""
    if not math.isfinite(found.mean):
        return Verdict(
            claim, published, None, None, NOT_TESTABLE, "no two runs of one seed finished"
        )
    if not math.isfinite(found.error):
        reason = "one seed gives no error of a curve"
        return Verdict(claim, published, found.mean, None, NOT_TESTABLE, reason)
    reach = found.limit * found.error
    seeds = f"{found.num_seeds} seed{'s' if found.num_seeds > 1 else ''}"
    if abs(found.mean) <= reach:
        verdict, reason = NOT_TESTABLE, f"within {found.limit:.1f} standard errors of 0, {seeds}"
    elif found.mean > 0:
        verdict, reason = REPRODUCED, f"beyond {found.limit:.1f} standard errors, {seeds}"
    else:
        verdict, reason = NOT_REPRODUCED, f"the other way, beyond the error, {seeds}"
    if found.num_seeds == 1:
        reason += "; how training varies between seeds is not in the error"
    return Verdict(claim, published, found.mean, found.error, verdict, reason)


def near(
    claim: str,
    runs: Sequence[FoundRun],
    metric: str,
    published: float,
    *,
    tolerance: float,
    testable: bool,
) -> Verdict:
    """The claim that a mean is the published one, within the tolerance and the error over seeds.

    `testable` says whether the preset follows the protocol behind the published value.
    """
    values = np.array([run.metric(metric) for run in runs if run.ok])
    if len(values) == 0:
        return Verdict(claim, published, None, None, NOT_TESTABLE, "no run finished")
    mean = float(values.mean())
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    if not testable:
        reason = "the published value is of the full protocol and its data (--preset paper)"
        return Verdict(claim, published, mean, error, NOT_TESTABLE, reason)
    limit = scipy.stats.t.ppf(CONFIDENCE, len(values) - 1) if len(values) > 1 else 0.0
    reach = tolerance + limit * (error or 0.0)
    verdict = REPRODUCED if abs(mean - published) <= reach else NOT_REPRODUCED
    reason = f"{'within' if verdict == REPRODUCED else 'beyond'} {reach:.2f}"
    return Verdict(claim, published, mean, error, verdict, reason)


def more_units(claim: str, more: Sequence[FoundRun], less: Sequence[FoundRun]) -> Verdict:
    """The claim that more latent units are active, all layers together, paired by seed."""
    counts = [
        {run.plan.seed: run.metric("active_units") for run in runs if run.ok}
        for runs in (more, less)
    ]
    seeds = [seed for seed in counts[0] if seed in counts[1]]
    gained = [counts[0][seed] - counts[1][seed] for seed in seeds]
    if not any(gained):
        return Verdict(claim, None, 0.0, None, NOT_TESTABLE, "equally many in every seed")
    if len(gained) > 1:
        return ordered(claim, over_seeds(gained))
    verdict = REPRODUCED if gained[0] > 0 else NOT_REPRODUCED
    return Verdict(claim, None, gained[0], None, verdict, "a count of one seed, without an error")


def holds(claim: str, is_true: bool, reason: str) -> Verdict:
    """A claim that is simply true or false of what was found."""
    verdict = REPRODUCED if is_true else NOT_REPRODUCED
    return Verdict(claim, None, None, None, verdict, reason)


def violations(runs: Sequence[FoundRun]) -> list[str]:
    """Runs whose bounds contradict each other: gap_k above 0, or IWAE-k falling with k.

    Every IWAE-k is a mean over groups of the samples behind log p-hat, so neither can happen but
    by rounding: this is a check of the evaluation, not of the runs.
    """
    found = []
    for run in runs:
        ks = run.results["evaluation"]["ks"]
        tolerance = 1e-4 * max(1.0, abs(run.metric(f"iwae_{ks[-1]}")))
        for k, larger in itertools.pairwise(ks):
            bounds = np.stack([_values(run, f"iwae_{one}") for one in (k, larger)])
            # Each mean is over data of its own where some are not finite: compare common ones.
            common = bounds[:, np.isfinite(bounds).all(axis=0)]
            if common.shape[1] == 0:
                continue
            low, high = common.mean(axis=1)
            if low > high + tolerance:
                found.append(f"{run.plan.name}: IWAE-{k} of {low:.4f} lies above {high:.4f}")
    return found
