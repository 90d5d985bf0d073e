"""Intervals of ratios against draws whose true ratio is known: NumPy only, no model."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from elbax.evaluation import ratios
from elbax.evaluation.ratios import (
    DIRECTED_BINS,
    MIN_DIRECTED,
    NUM_BINS,
    Directed,
    Moments,
    Ratio,
    slope,
)


def moments_of(draws):
    bins = np.array_split(draws, NUM_BINS)
    squares = [((part - part.mean(0)) ** 2).sum(0) for part in bins]
    counts = np.array([len(part) for part in bins])
    return Moments(counts, np.stack([part.mean(0) for part in bins]), np.stack(squares))


def snr_of(draws) -> Ratio:
    return ratios.snr_ratio(ratios.sums(moments_of(draws)), len(draws))


def dsnr_of(draws) -> Ratio:
    half = len(draws) // 2
    early = draws[:half].mean(0)
    w = draws[half:] @ early / np.linalg.norm(early)
    o = np.sqrt(np.maximum((draws[half:] ** 2).sum(1) - w**2, 1e-30))
    parts = [np.array_split(values, DIRECTED_BINS) for values in (np.abs(w) / o, w / o, 1 / o)]
    means = (np.array([part.mean() for part in kind]) for kind in parts)
    return ratios.directed_ratio(Directed(*means), ratios.gram(moments_of(draws)), draws.shape[1])


def normal(rng, num_draws, mean, shared=0.0):
    """Draws of unit variance and these means, `shared` of the variance common to all parameters."""
    own = rng.normal(size=(num_draws, len(mean)))
    return mean + np.sqrt(1 - shared) * own + np.sqrt(shared) * rng.normal(size=(num_draws, 1))


# ------------------------------------------------------------------ SNR

COVERED = {
    "strong": (500, 0.5, 512, 40),
    "weak": (500, 0.1, 512, 40),
    "near the floor": (500, 0.05, 512, 40),
    "none": (500, 0.0, 512, 40),
    "few draws": (500, 0.5, 33, 100),
    "one parameter": (1, 0.5, 512, 300),
    "one parameter near the floor": (1, 0.05, 512, 300),
    "five parameters": (5, 0.1, 512, 300),
    "two without signal": (2, 0.0, 512, 300),
}


@pytest.mark.parametrize("case", COVERED)
def test_the_interval_covers_the_true_snr(case):
    """At least 90 in 100, of intervals that aim at 95; the percentile bootstrap had 0 to 83."""
    num_parameters, truth, num_draws, repeats = COVERED[case]
    rng = np.random.default_rng(1)
    mean = np.full(num_parameters, truth)
    found = [snr_of(normal(rng, num_draws, mean)) for _ in range(repeats)]
    assert np.mean([ratio.low <= truth <= ratio.high for ratio in found]) >= 0.9
    assert all(ratio.low <= ratio.value <= ratio.high for ratio in found)


def test_parameters_that_vary_together_do_not_narrow_the_interval():
    """With 30 % of the noise shared, 200 parameters know little more than one."""
    rng, mean = np.random.default_rng(2), np.full(200, 0.3)
    found = [snr_of(normal(rng, 256, mean, shared=0.3)) for _ in range(200)]
    assert np.mean([ratio.low <= 0.3 <= ratio.high for ratio in found]) >= 0.9
    error = np.std([ratio.value for ratio in found])
    assert np.mean([ratio.standard_error for ratio in found]) == pytest.approx(error, rel=0.15)


def test_intervals_are_no_wider_than_noise_makes_them():
    """Where there is signal, +-2.1 standard errors of N P draws; at the floor, the floor."""
    rng, (num_draws, num_parameters) = np.random.default_rng(3), (512, 500)
    strong = snr_of(normal(rng, num_draws, np.full(num_parameters, 0.5)))
    error = np.sqrt((1 + 0.5**2 / 2) / (num_draws * num_parameters))
    assert strong.high - strong.low < 2 * 1.8 * 2.13 * error
    weak = snr_of(normal(rng, num_draws, np.full(num_parameters, 0.05)))
    assert weak.high - weak.low < weak.floor
    assert weak.low > 0


def test_the_value_is_the_plain_mean_ratio_of_all_draws():
    draws = normal(np.random.default_rng(4), 100, np.linspace(-1, 1, 7))  # bins of 6 and of 7
    expected = np.mean(np.abs(draws.mean(0)) / draws.std(0, ddof=1))
    assert snr_of(draws).value == pytest.approx(expected, rel=1e-12)


def test_what_is_taken_off_bounds_the_bias_of_a_folded_normal():
    """E h(U) >= E|U| - |s| for every s, by quadrature; and not by much at s = 0 and far out."""
    for s in (0.0, 0.3, 1.0, 2.0, 4.0):
        moment = scipy.stats.foldnorm(s).mean() - s
        bump, _ = scipy.integrate.quad(
            lambda u, s=s: (
                float(ratios._noise_bound(np.array([u]))[0]) * scipy.stats.norm.pdf(u - s)
            ),
            -12,
            16,
            limit=200,
        )
        assert moment <= bump + 1e-6
        assert bump < moment + 0.4
    assert ratios._noise_bound(np.array([5.0]))[0] < 1e-20


def test_dead_parameters_are_zero_for_certain():
    rng = np.random.default_rng(5)
    live = normal(rng, 512, np.full(10, 0.4))
    half = np.concatenate([live, np.zeros((512, 10))], axis=1)
    one, two = snr_of(live), snr_of(half)
    for name in ("value", "low", "high", "floor", "standard_error"):
        assert getattr(two, name) == pytest.approx(getattr(one, name) / 2, rel=1e-9)


# ------------------------------------------------------------------ DSNR


def true_dsnr(mean, shared=0.0):
    draws = normal(np.random.default_rng(6), 20_000, mean, shared)
    w = draws @ mean / np.linalg.norm(mean)
    return np.mean(np.abs(w) / np.sqrt((draws**2).sum(1) - w**2))


@pytest.mark.parametrize("shared", [0.0, 0.3])
@pytest.mark.parametrize("snr", [0.5, 0.1, 0.05])
def test_the_interval_covers_the_dsnr_along_the_true_gradient(snr, shared):
    rng, mean = np.random.default_rng(7), np.full(100, snr)
    truth = true_dsnr(mean, shared)
    found = [dsnr_of(normal(rng, 512, mean, shared)) for _ in range(60)]
    assert np.mean([ratio.low <= truth <= ratio.high for ratio in found]) >= 0.9
    if snr == 0.5 and not shared:
        assert np.mean([ratio.high - ratio.low for ratio in found]) < 0.1 * truth


def test_without_a_resolved_direction_the_dsnr_is_bounded_by_nothing():
    found = [dsnr_of(np.random.default_rng(seed).normal(size=(512, 50))) for seed in range(10)]
    assert np.mean([ratio.low == 0 for ratio in found]) >= 0.8
    assert any(math.isinf(ratio.high) for ratio in found)
    assert not any(ratio.is_signal for ratio in found)
    # And its value is the floor, |normal| over an independent chi of 49.
    chi = scipy.stats.chi(49).expect(lambda o: 1 / o)
    assert found[0].floor == pytest.approx(np.sqrt(2 / np.pi) * chi, rel=1e-6)
    assert np.mean([ratio.value for ratio in found]) == pytest.approx(found[0].floor, rel=0.05)


@pytest.mark.parametrize("num_parameters", [1, 2])
def test_a_dsnr_of_fewer_than_three_parameters_does_not_exist(num_parameters):
    found = dsnr_of(normal(np.random.default_rng(8), 64, np.ones(num_parameters) * 0.5))
    assert num_parameters < MIN_DIRECTED
    assert all(math.isnan(value) for value in vars(found).values())
    assert not found.is_signal


# ------------------------------------------------------------------ slopes


def ratio(value, floor, error):
    return Ratio(value, value - 2 * error, value + 2 * error, floor, error)


def test_slopes_are_those_of_the_points_above_the_floor():
    sizes = [4, 16, 64, 256, 1024]
    values = [0.4 * size**-0.5 for size in sizes]
    exact = [ratio(np.hypot(v, 0.02), 0.02, 0.001) for v in values[:3]]
    found, error, points = slope(sizes[:3], exact)
    assert found == pytest.approx(-0.5, abs=1e-6)
    assert 0 < error < 0.05
    assert points == 3
    near = [ratio(v, 0.02, 0.001) for v in [*values[:4], 0.021]]
    assert slope(sizes, near)[2] == 3  # 0.025 is not twice the floor
    assert np.isnan(slope(sizes[3:], near[3:])[0])


@pytest.mark.parametrize(("shared", "height"), [(0.0, 4.0), (0.3, 4.0)])
def test_the_error_of_a_slope_is_that_of_repeated_draws(shared, height):
    rng, sizes = np.random.default_rng(9), (4, 16, 64, 256)
    spread = np.random.default_rng(10).normal(size=50)
    z, slopes, errors = [], [], []
    for _ in range(150):
        means = [height * size**-0.5 * spread for size in sizes]
        found, error, points = slope(sizes, [snr_of(normal(rng, 256, m, shared)) for m in means])
        assert points == 4
        z.append((found + 0.5) / error)
        slopes.append(found)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.25)
    assert np.mean(np.abs(z) < 2) >= 0.88
