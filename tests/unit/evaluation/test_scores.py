"""Scores of rows: the closed form, and that they depend on the row alone."""

import jax
import numpy as np
import pytest

import elbax
from elbax._errors import InputError
from elbax.evaluation.contents import words_of
from elbax.evaluation.scores import score
from tests.unit.tables.oracle import linear_table, masked


@pytest.fixture(scope="module")
def setting():
    model, exact = linear_table(jax.random.key(3))
    x = masked(model, 40, jax.random.key(8))
    return model, exact, x, score(model, x, num_samples=256, most_samples=2048, largest_error=0.05)


@pytest.mark.statistical
def test_scores_are_log_p_of_what_was_observed(setting):
    _, exact, x, found = setting
    truth = np.array([exact.log_marginal(row) for row in x])
    z = (found.log_p_hat - truth) / np.maximum(found.error, 1e-6)
    sure = found.reliable
    assert sure.sum() >= 25
    assert np.abs(z[sure]).max() < 4.5
    assert 0.5 < z[sure].std() < 1.5  # the errors are neither too small nor too large
    # The planted bias: no Jacobian of the scaling.
    assert np.abs((found.log_p_hat - truth + np.log(2.0)) / found.error)[sure].max() > 6


def test_a_row_without_cells_has_log_p_of_nothing(setting):
    *_, x, found = setting
    assert np.isnan(x[-1]).all()
    assert abs(found.log_p_hat[-1]) < 0.2


def test_only_rows_that_need_it_are_sampled_on(setting):
    *_, found = setting
    counts = found.num_samples
    assert set(counts) <= {256, 512, 1024, 2048}
    assert 256 in counts
    assert counts.max() > 256
    good = found.reliable & (found.error <= 0.05)
    assert (good | (counts == 2048)).all()


def test_a_score_knows_no_neighbours(setting):
    model, _, x, found = setting
    order = np.random.default_rng(0).permutation(len(x))
    again = score(model, x[order], num_samples=256, most_samples=2048, largest_error=0.05)
    np.testing.assert_array_equal(again.num_samples, found.num_samples[order])
    np.testing.assert_allclose(again.log_p_hat, found.log_p_hat[order], atol=2e-5)
    alone = score(model, x[5:6], num_samples=256, most_samples=2048, largest_error=0.05)
    np.testing.assert_allclose(alone.log_p_hat, found.log_p_hat[5:6], atol=2e-5)
    other = score(model, x[5:6], num_samples=256, most_samples=2048, largest_error=0.05, seed=1)
    assert abs(other.log_p_hat - alone.log_p_hat).max() > 1e-4


def test_sampling_on_gives_what_sampling_at_once_does(setting):
    model, _, x, _ = setting
    least = {"largest_error": 1e-9}
    on = score(model, x[:3], num_samples=256, most_samples=1024, **least)
    at_once = score(model, x[:3], num_samples=1024, most_samples=1024, **least)
    np.testing.assert_allclose(on.log_p_hat, at_once.log_p_hat, atol=2e-5)
    np.testing.assert_allclose(on.ess, at_once.ess, rtol=1e-3)
    np.testing.assert_allclose(on.khat, at_once.khat, atol=1e-3)


@pytest.mark.statistical
def test_p_values_of_the_models_own_draws_are_uniform_whatever_the_holes(setting):
    model, *_ = setting
    x = masked(model, 400, jax.random.key(9), share=0.3)
    found = score(model, x, num_samples=25, p_draws=99, p_samples=50).p_value
    whole = ~np.isnan(x).all(axis=1)
    p = found[whole]
    assert p.min() >= 0.01
    assert p.max() <= 1
    # Mean 1/2 of a uniform on {1, .., 100} / 100; the draws of a mask are shared among its rows.
    masks = np.unique(np.isnan(x[whole]), axis=0, return_inverse=True)[1].reshape(-1)
    shared = sum((masks == one).sum() ** 2 for one in set(masks)) / 99
    error = np.sqrt(1 / 12) * np.sqrt(len(p) + shared) / len(p)
    assert abs(p.mean() - 0.505) < 4.5 * error
    assert abs(np.mean(p <= 0.1) - 0.1) < 4.5 * 0.3 * np.sqrt(len(p) + shared) / len(p)
    far = np.where(np.isnan(x), np.nan, x + 9)[:20]
    unusual = score(model, far, num_samples=25, p_draws=99, p_samples=50).p_value
    assert np.median(unusual) == 0.01


def test_equal_rows_have_equal_words_unless_they_are_to_draw_apart():
    x = np.array([[0.0, np.nan], [-0.0, -np.nan], [1.0, 2.0]], np.float32)
    words = words_of(x)
    assert (words[0] == words[1]).all()
    assert (words[0] != words[2]).any()
    apart = words_of(x, apart=True)
    assert (apart[0] == words[0]).all()
    assert (apart[0] != apart[1]).any()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"num_samples": 10}, "num_samples >= 25"),
        ({"num_samples": 100, "most_samples": 50}, "most_samples >= num_samples"),
        ({"p_draws": -1}, "p_draws >= 0"),
    ],
)
def test_counts_that_cannot_be_are_refused(setting, given, sentence):
    with pytest.raises(InputError, match=sentence):
        elbax.score(setting[0], setting[2], **given)
