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

from elbax.evaluation.paired import CONFIDENCE, Difference, over_seeds, paired
from elbax.studies.found import FoundRun

_CHANCE = 6.0  # standard errors beyond which chance turns no bounds around
REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable"


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


def difference(more: Sequence[FoundRun], less: Sequence[FoundRun], metric: str) -> Difference:
    """The mean of `metric` over `more` minus that over `less`, paired by seed and datum.

    Runs that diverged, or whose seed has no partner, are left out.
    """
    partners = {run.plan.seed: run for run in less if run.ok}
    pairs = [(run, partners[run.plan.seed]) for run in more if run.ok and run.plan.seed in partners]
    if not pairs:
        return Difference(math.nan, math.nan, math.inf, 0)
    return paired([_values(a, metric) for a, _ in pairs], [_values(b, metric) for _, b in pairs])


def _values(run: FoundRun, metric: str) -> np.ndarray:
    return np.asarray(run.per_datum(metric), np.float64)


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
    return ordered(claim, min(known, key=in_limits), published=published)


def in_limits(d: Difference) -> float:
    """A difference in units of what would be decisive; infinite where it has no error."""
    if d.error > 0:
        return d.mean / (d.limit * d.error)
    return d.mean * math.inf if d.mean else 0.0


def ordered(claim: str, found: Difference, *, published: float | None = None) -> Verdict:
    """The claim that a difference is positive."""
    if not math.isfinite(found.mean):
        return untestable(claim, "no two runs of one seed finished", published)
    if not math.isfinite(found.error):
        reason = "one seed gives no error of a curve"
        return Verdict(claim, published, found.mean, None, NOT_TESTABLE, reason)
    seeds = f"{found.num_seeds} seed{'s' if found.num_seeds > 1 else ''}"
    reason = f"z = {found.z:+.1f}, decisive beyond {found.limit:.1f}; {seeds}"
    if not found.is_resolved:
        verdict = NOT_TESTABLE
    else:
        verdict = REPRODUCED if found.mean > 0 else NOT_REPRODUCED
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
        return untestable(claim, "no run finished", published)
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


def untestable(claim: str, reason: str, published: float | None = None) -> Verdict:
    """A claim of which the runs say nothing."""
    return Verdict(claim, published, None, None, NOT_TESTABLE, reason)


def violations(runs: Sequence[FoundRun]) -> list[str]:
    """Runs whose bounds contradict each other: gap_k above 0, or IWAE-k falling with k.

    Every IWAE-k is a mean over groups of the samples behind log p-hat. Where groups of one k make
    up those of the next, neither can happen but by rounding; where they do not, as for 50 and 64,
    chance may turn them around by a few errors over the data. This is a check of the evaluation,
    not of the runs.
    """
    return [
        violation
        for run in runs
        for k, larger in itertools.pairwise(run.results["evaluation"]["ks"])
        if (violation := _violation(run, k, larger))
    ]


def _violation(run: FoundRun, k: int, larger: int) -> str:
    most = run.results["evaluation"]["ks"][-1]
    bounds = np.stack([_values(run, f"iwae_{one}") for one in (k, larger)])
    # Each mean is over data of its own where some are not finite: compare common ones.
    common = bounds[:, np.isfinite(bounds).all(axis=0)]
    if common.shape[1] == 0:
        return ""
    tolerance = 1e-4 * max(1.0, abs(run.metric(f"iwae_{most}")))
    if larger % k or most % larger:
        spread = np.std(common[0] - common[1], ddof=1) if common.shape[1] > 1 else np.inf
        tolerance += _CHANCE * spread / common.shape[1] ** 0.5
    low, high = common.mean(axis=1)
    if low <= high + tolerance:
        return ""
    return f"{run.plan.name}: IWAE-{k} of {low:.4f} lies above {high:.4f}"
