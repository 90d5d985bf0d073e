"""One failure budget for all statistical tests, and the one comparison they all make.

Were the library right, the chance that any statistical test fails is below
`SUITE_FAILURE_RATE`. Each test spends an equal share and splits it among its own comparisons.
Keys are fixed, so that green stays green.
"""

import numpy as np
import scipy.stats

SUITE_FAILURE_RATE = 1e-6
NUM_TESTS = 70  # at most so many tests share the rate; conftest.py counts them


def z_limit(num_samples: int, num_comparisons: int = 1) -> float:
    """The |z| that one of `num_comparisons` means of `num_samples` may reach.

    The standard error is the sample's own, so z follows Student's distribution.
    """
    tail = SUITE_FAILURE_RATE / NUM_TESTS / num_comparisons / 2
    return float(scipy.stats.t.isf(tail, num_samples - 1))


def z_scores(samples, truth, *, rounding: float = 0.0) -> np.ndarray:
    """(mean - truth) / standard error, over the first axis of `samples`.

    Args:
        samples: independent draws `[N, ...]`.
        truth: what their means should be.
        rounding: an error of the mean that is arithmetic, not chance.
    """
    samples = np.asarray(samples, np.float64)
    assert np.isfinite(samples).all(), "a sample is not finite"
    difference = samples.mean(axis=0) - np.asarray(truth, np.float64)
    standard_error = samples.std(axis=0, ddof=1) / len(samples) ** 0.5
    error = np.hypot(standard_error, rounding)
    return np.where(difference == 0, 0, difference / np.where(error == 0, 1e-300, error))


def assert_mean(samples, truth, *, num_comparisons: int, rounding: float = 0.0) -> float:
    """The means are `truth` as far as chance goes; returns the largest |z|."""
    z, limit = _largest_z(samples, truth, num_comparisons, rounding)
    assert z < limit, f"a mean is {z:.2f} standard errors from the truth; the limit is {limit:.2f}"
    return z


def assert_not_mean(samples, truth, *, num_comparisons: int, rounding: float = 0.0) -> float:
    """The power check: a planted bias is found, well past the limit; returns the largest |z|."""
    z, limit = _largest_z(samples, truth, num_comparisons, rounding)
    assert z > 2 * limit, (
        f"the planted bias is {z:.2f} standard errors; below twice the limit of {limit:.2f} "
        "such a bias in the library might pass unseen"
    )
    return z


def assert_not_above(samples, truth, *, num_comparisons: int) -> float:
    """The means are at most `truth` as far as chance goes; returns the largest z."""
    z, limit = z_scores(samples, truth), z_limit(len(samples), num_comparisons)
    assert z.size == num_comparisons
    assert z.max() < limit, f"a mean is {z.max():.2f} standard errors above; limit {limit:.2f}"
    return float(z.max())


def _largest_z(samples, truth, num_comparisons, rounding):
    z = np.abs(z_scores(samples, truth, rounding=rounding))
    assert z.size == num_comparisons, f"{z.size} means compared, {num_comparisons} declared"
    return float(z.max()), z_limit(len(samples), num_comparisons)
