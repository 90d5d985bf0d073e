"""Verdicts on planted differences: the right one where there is signal, none where there is not."""

import math

import numpy as np
import pytest
import scipy.stats

from elbax.evaluation.paired import over_seeds, paired
from elbax.studies import verdicts as v

from .planted import bounds_of, planted, runs


def test_pairing_finds_what_the_spread_between_data_hides():
    found = v.difference(runs([-85.0], noise=0.5), runs([-86.0]), "log_p_hat")
    assert found.mean == pytest.approx(1.0, abs=0.1)
    assert found.error == pytest.approx(0.5 / 20, rel=0.2)  # unpaired it would be 1.4
    assert found.limit == pytest.approx(1.96, abs=0.01)


def test_the_error_holds_the_spread_over_seeds_and_few_seeds_ask_for_more():
    found = v.difference(runs([-85.0, -84.0, -86.0]), runs([-86.0, -86.0, -86.0]), "log_p_hat")
    assert found.error == pytest.approx(1 / 3**0.5, rel=1e-6)
    assert found.limit == pytest.approx(scipy.stats.t.ppf(0.975, 2))


@pytest.mark.parametrize(
    ("more", "less", "expected"),
    [
        ([-85.0, -85.1, -84.9], [-86.0, -86.1, -85.9], v.REPRODUCED),
        ([-86.0, -86.1, -85.9], [-85.0, -85.1, -84.9], v.NOT_REPRODUCED),
        ([-85.0, -84.0, -86.5], [-85.1, -85.0, -85.2], v.NOT_TESTABLE),
    ],
)
def test_an_ordering_is_reproduced_refuted_or_left_open(more, less, expected):
    assert v.above("a above b", runs(more, 0.1), runs(less), "log_p_hat").verdict == expected


def test_a_single_seed_says_what_its_error_leaves_out():
    verdict = v.above("a above b", runs([-85.0], 0.1), runs([-86.0]), "log_p_hat")
    assert verdict.verdict == v.REPRODUCED
    assert "between seeds is not in the error" in verdict.reason


def test_a_largest_stands_or_falls_with_its_nearest():
    best, far, near = runs([-80.0], 0.1), runs([-90.0]), runs([-80.0], 0.1)
    assert v.above_all("best", best, [far], "log_p_hat").verdict == v.REPRODUCED
    assert v.above_all("best", best, [far, near], "log_p_hat").verdict == v.NOT_TESTABLE
    assert v.above_all("least", far, [best, near], "log_p_hat", sign=-1).verdict == v.REPRODUCED


def test_diverged_runs_and_seeds_without_partner_are_left_out():
    assert v.difference(runs([1.0, 2.0], 0.1), runs([0.0]), "log_p_hat").num_seeds == 1
    lost = v.above("a above b", runs([1.0], status="diverged"), runs([0.0]), "log_p_hat")
    assert lost.verdict == v.NOT_TESTABLE
    assert lost.obtained is None


def test_published_values_are_compared_under_their_protocol_only():
    near = runs([-84.5, -84.6, -84.4])
    mean = float(np.mean([run.metric("log_p_hat") for run in near]))
    for published, testable, expected in (
        (mean + 0.02, True, v.REPRODUCED),
        (mean - 1.0, True, v.NOT_REPRODUCED),
        (mean, False, v.NOT_TESTABLE),
    ):
        found = v.near("c", near, "log_p_hat", published, tolerance=0.3, testable=testable)
        assert found.verdict == expected


def test_false_claims_are_rarely_reproduced():
    """Of 400 claims about equal methods at 3 seeds, 2.5 % may come out reproduced: 10, sd 3.1."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(400):
        a, b = rng.normal(size=(2, 3))
        found = over_seeds(list(a - b))
        wrong += v.ordered("equal", found).verdict == v.REPRODUCED
    assert wrong <= 10 + 5 * 3.1
    planted = sum(
        v.ordered("shifted", over_seeds(list(rng.normal(size=3) + 20))).verdict == v.REPRODUCED
        for _ in range(50)
    )
    assert planted >= 45


def test_one_seed_of_a_curve_decides_nothing():
    assert v.ordered("c", over_seeds([3.0])).verdict == v.NOT_TESTABLE
    assert math.isnan(over_seeds([]).mean)


def test_bounds_that_fall_with_k_are_a_violation():
    [right] = runs([-85.0])
    assert v.violations([right]) == []
    wrong = planted(right.plan, {**bounds_of(-85.0, -1.0), "iwae_64": -84.0})
    [sentence] = v.violations([right, wrong])
    assert "IWAE-64" in sentence
    assert "lies above" in sentence


def test_bounds_over_different_data_are_no_violation():
    """IWAE-1 is -inf for the worst half of the data: over the others its mean is far higher."""
    (run,) = runs([-90.0])
    bounds = run._arrays["bounds"]
    worst = bounds[0] < np.median(bounds[0])
    bounds[0, worst] = -np.inf
    run.entry["metrics"]["iwae_1"] = float(bounds[0, ~worst].mean())
    assert run.metric("iwae_1") > run.metric("iwae_5") + 10
    assert v.violations([run]) == []
    bounds[0, ~worst] += 0.5  # a true one, on the data that both have
    assert len(v.violations([run])) == 1


def test_one_seed_of_few_data_is_judged_by_students_quantile():
    values = np.array([0.1, 0.2, 0.3])
    found = paired([values], [np.zeros(3)])
    assert found.limit == pytest.approx(4.302653, rel=1e-6)  # Student's, 2 degrees of freedom
    assert paired([np.array([np.nan, 1.0])], [np.zeros(2)]).num_seeds == 0
