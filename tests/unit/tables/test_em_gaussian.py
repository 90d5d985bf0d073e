"""The Gaussian that the benchmarks of tables compare with, against what is known of it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "tables"


@pytest.fixture(scope="module")
def em():
    spec = importlib.util.spec_from_file_location("em_gaussian", BENCHMARKS / "em_gaussian.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holed(num_rows: int, num_columns: int, share: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(num_columns, num_columns))
    x = rng.normal(size=(num_rows, num_columns)) @ mix + rng.normal(size=num_columns)
    x[rng.random(x.shape) < share] = np.nan
    x[0] = np.nan  # a row of which nothing was observed
    return x


def test_a_monotone_pattern_gives_andersons_estimate(em):
    """x0 always observed: its own moments, and the regression of x1 by the whole rows."""
    rng = np.random.default_rng(1)
    first = rng.normal(2.0, 1.5, 200)
    second = 0.7 * first + rng.normal(size=200)
    x = np.column_stack([first, np.where(first > 2.5, np.nan, second)])
    whole = ~np.isnan(x[:, 1])
    slope, intercept = np.polyfit(first[whole], second[whole], 1)
    residual = np.mean((second[whole] - intercept - slope * first[whole]) ** 2)
    variance = first.var()
    found, _ = em.fit(x, tolerance=1e-14)
    np.testing.assert_allclose(
        found.mean, [first.mean(), intercept + slope * first.mean()], rtol=1e-5
    )
    expected = [
        [variance, slope * variance],
        [slope * variance, residual + slope**2 * variance],
    ]
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-5)


def test_the_likelihood_rises_to_a_place_without_slope(em):
    x = holed(150, 4, 0.4)
    found, course = em.fit(x, tolerance=1e-13)
    assert (np.diff(course) > -1e-12).all()
    places = np.tril_indices(4)

    def value(parameters):
        covariance = np.zeros((4, 4))
        covariance[places] = parameters[4:]
        covariance = covariance + np.tril(covariance, -1).T
        return sum(
            multivariate_normal.logpdf(row[s], parameters[:4][s], covariance[np.ix_(s, s)])
            for row in x
            if (s := ~np.isnan(row)).any()
        ) / len(x)  # fmt: skip

    best = np.concatenate([found.mean, found.covariance[places]])
    np.testing.assert_allclose(value(best), course[-1], rtol=1e-10)
    assert np.abs(approx_fprime(best, value, 1e-6)).max() < 1e-4
    assert np.abs(approx_fprime(best + 0.01, value, 1e-6)).max() > 1e-3  # the test can fail


def test_draws_have_the_conditional_moments(em):
    covariance = np.array([[2, 0.8, 0.3], [0.8, 1, 0.5], [0.3, 0.5, 3]])
    found = em.Gaussian(np.array([1.0, -1.0, 0.5]), covariance)
    row = np.array([[2.0, np.nan, np.nan]])
    mean, left = found.conditional(row)
    draws = em.draw(found, np.repeat(row, 20_000, axis=0), np.random.default_rng(2))
    assert (draws[:, 0] == 2).all()
    error = np.sqrt(np.diag(left[0])[1:] / len(draws))
    assert (np.abs(draws[:, 1:].mean(axis=0) - mean[0, 1:]) < 4.5 * error).all()
    np.testing.assert_allclose(np.cov(draws[:, 1:].T), left[0, 1:, 1:], atol=0.12)
