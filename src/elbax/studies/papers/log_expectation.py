"""Burda et al. 2015, Theorem 1: the bound rises with k to log p(x), trained and in a toy."""

import itertools

import numpy as np
import scipy.stats

from elbax.evaluation.paired import paired
from elbax.exhibits import LinesExhibit
from elbax.studies import verdicts as v
from elbax.studies.found import FoundRun
from elbax.studies.papers.headings import HEADINGS
from elbax.studies.plan import PlannedRun, grid
from elbax.studies.store import Told
from elbax.studies.study import Findings, Found, Preset, Study, presets

METHODS = {"VAE(64)": "vae(m=64)", "IWAE(64)": "iwae(k=64)"}
POINTS = (1.0, 9.0)  # X is one or the other with equal probability


def two_points(a: float, b: float, ks: np.ndarray) -> np.ndarray:
    """E log of the mean of k draws of X, uniform on {a, b}: exact, by all k + 1 outcomes.

    >>> np.exp(two_points(1.0, 9.0, np.array([1]))).round(6).tolist()
    [3.0]
    """
    values = []
    for k in ks:
        count = np.arange(k + 1)
        probability = scipy.stats.binom.pmf(count, k, 0.5)
        values.append(float(np.sum(probability * np.log((count * b + (k - count) * a) / k))))
    return np.array(values)


def runs(preset: Preset) -> list[PlannedRun]:
    """A VAE and an IWAE."""
    data = preset.data[0]
    return grid(data, list(METHODS.values()), preset.seeds[:1], preset.model, preset.train(data))


def conclude(preset: Preset, found: Found, told: Told) -> Findings:
    """L_k against k of both, the two-point example, and whether each step rises."""
    ks = np.unique(np.round(2 ** np.arange(0, 9, 0.5)).astype(int))
    exact, limit = two_points(*POINTS, ks), float(np.log(np.mean(POINTS)))
    toy = LinesExhibit(
        "two-points",
        "Two points",
        f"X is {POINTS[0]:g} or {POINTS[1]:g}: E log X, E log of the mean of k draws, and log E X, "
        "exact by enumeration.",
        "k",
        "nats",
        [{"label": "E log of the mean of k", "x": ks.tolist(), "y": exact.tolist()}],
        [
            {"label": "E log X", "y": float(np.mean(np.log(POINTS)))},
            {"label": "log E X", "y": limit},
        ],
        log_x=True,
    )
    return Findings([_curves(found), toy], [*_rises(found), _toy_verdict(exact, limit)])


def _curves(found: Found) -> LinesExhibit:
    lines = []
    for run in found.runs:
        ks = run.results["evaluation"]["ks"]
        lines.append(
            {
                "label": run.plan.label,
                "x": ks,
                "y": [run.metric(f"iwae_{k}") for k in ks],
                "error": [run.entry["standard_errors"].get(f"gap_{k}") or 0.0 for k in ks],
            }
        )
    return LinesExhibit(
        "bound-by-k",
        "L_k against k",
        "Held-out IWAE-k, rising to log p-hat at the largest k. The band is the standard error of "
        "the distance to log p-hat; the spread between data, common to all k, is not in it.",
        "k",
        "nats per datum",
        lines,
        log_x=True,
    )


def _rises(found: Found) -> list[v.Verdict]:
    return [_rise(run) for run in found.runs]


def _rise(run: FoundRun) -> v.Verdict:
    """The smallest step of L_k in units of its error over data."""
    ks = run.results["evaluation"]["ks"]
    steps = [
        paired([run.per_datum(f"iwae_{high}")], [run.per_datum(f"iwae_{low}")])
        for low, high in itertools.pairwise(ks)
    ]
    least = min(steps, key=v.in_limits)
    return v.ordered(f"{run.plan.label}: every step from one k to the next raises L_k", least)


def _toy_verdict(exact: np.ndarray, limit: float) -> v.Verdict:
    rising = bool((np.diff(exact) > 0).all() and exact[-1] < limit)
    reason = f"{exact[0]:.4f} at k = 1 to {exact[-1]:.4f}, below {limit:.4f}"
    return v.holds("Two points: E log of the mean of k rises, below log E X", rising, reason)


STUDY = Study(
    *HEADINGS["log-expectation"],
    claim="L_k never falls with k, and tends to log p(x) as k grows.",
    presets=presets(30, {"mnist": 4}),
    runs=runs,
    conclude=conclude,
)
