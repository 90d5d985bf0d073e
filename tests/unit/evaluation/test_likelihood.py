"""Held-out bounds: independent of blocks, the same as NumPy's, honest about what is not finite."""

import re
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import elbax
from elbax._errors import InputError
from elbax._log_weights import log_weights_of
from elbax.evaluation import blocks as passes
from elbax.evaluation.likelihood import Evaluation, compare, evaluate, sample_counts
from tests.models import MODELS
from tests.statistical.budget import assert_not_above, assert_not_mean

KEY = jax.random.key(31)
KS = (1, 3, 10)
NUM_DATA = 23  # no multiple of a block of data


@pytest.fixture(scope="module")
def model():
    return jax.jit(MODELS["linear-gaussian"])()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(32).normal(size=(NUM_DATA, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def result(model, x):
    return evaluate(model, x, key=KEY, ks=KS)


@pytest.fixture(scope="module")
def log_w(model, x):
    """The log-weights that evaluate documents, a key per datum and sample: `[10, N]`."""

    def of_datum(datum, row):
        def of_sample(sample):
            return jax.random.fold_in(jax.random.fold_in(KEY, row), sample)

        keys = jax.vmap(of_sample)(jnp.arange(KS[-1]))
        return log_weights_of(model, datum[None], keys[:, None])[:, 0]

    return np.asarray(jax.jit(jax.vmap(of_datum, out_axes=1))(x, jnp.arange(len(x))))


def numpy_bound(log_w, k):
    """L_k in float64 over all disjoint groups of k that the samples hold."""
    log_w = log_w.astype(np.float64)
    num_groups = len(log_w) // k
    groups = log_w[: num_groups * k].reshape(num_groups, k, -1)
    return np.mean(np.logaddexp.reduce(groups, axis=1) - np.log(k), axis=0)


# ------------------------------------------------------------------ values


def test_bounds_are_numpys_from_the_documented_keys(result, log_w):
    assert result.ks == KS
    assert result.bounds.shape == (3, NUM_DATA)
    for k, bound in zip(KS, result.bounds, strict=True):
        np.testing.assert_allclose(bound, numpy_bound(log_w, k), rtol=1e-5)
    weight = np.exp(log_w.astype(np.float64) - log_w.max(0))
    np.testing.assert_allclose(result.ess, weight.sum(0) ** 2 / (weight**2).sum(0), rtol=1e-4)


# Rows at a time: one datum and one sample, samples cut unevenly, data cut unevenly, everything.
@pytest.mark.parametrize("block_rows", [1, 23, 64, 10**9])
def test_blocks_do_not_change_the_result(model, x, result, block_rows):
    other = evaluate(model, x, key=KEY, ks=KS, block_rows=block_rows)
    np.testing.assert_allclose(other.bounds, result.bounds, rtol=1e-5)
    np.testing.assert_allclose(other.ess, result.ess, rtol=1e-4)


def test_a_datum_keeps_its_samples_whatever_follows_it(model, x, result):
    fewer = evaluate(model, x[:5], key=KEY, ks=KS)
    np.testing.assert_allclose(fewer.bounds, result.bounds[:, :5], rtol=1e-5)
    assert not np.allclose(result.bounds[:, 5:10], fewer.bounds)


def test_order_and_repeats_of_ks_do_not_matter(model, x, result):
    other = evaluate(model, x, key=KEY, ks=[10, 1, 3, 10])
    assert other.ks == KS
    np.testing.assert_array_equal(other.bounds, result.bounds)


def test_numpys_whole_numbers_are_ks_like_any_others():
    assert sample_counts(np.array([64, 1])) == (1, 64)
    assert all(type(k) is int for k in sample_counts([np.int32(3), np.uint8(4)]))


def test_equal_data_have_their_own_samples(model, x):
    twice = evaluate(model, x[[0, 0]], key=KEY, ks=(1,))
    assert twice.bounds[0, 0] != twice.bounds[0, 1]


def test_another_key_draws_other_samples(model, x, result):
    other = evaluate(model, x, key=jax.random.key(33), ks=KS)
    assert np.isclose(other.bounds, result.bounds).mean() < 0.1


@pytest.mark.statistical
def test_the_bound_grows_with_k_and_gaps_are_negative(model):
    x = np.tile(np.asarray([[0.5, -1.0, 0.0, 1.0]], np.float32), (4000, 1))
    found = evaluate(model, x, key=KEY, ks=(1, 2, 4, 8))
    steps = np.diff(found.bounds.astype(np.float64), axis=0)
    gaps = np.stack([found.per_datum(f"gap_{k}") for k in found.ks[:-1]])
    assert_not_above(gaps.T, 0, num_comparisons=3)
    assert_not_above(-steps.T, 0, num_comparisons=3)
    assert_not_mean(steps.T, 0, num_comparisons=3)  # power: no step is an idle one


# ------------------------------------------------------------------ metrics


def test_metrics_are_named_once_and_each_has_values(result):
    assert result.metrics() == (
        "iwae_1",
        "iwae_3",
        "iwae_10",
        "log_p_hat",
        "gap_1",
        "gap_3",
        "ess",
    )
    for metric in result.metrics():
        assert result.per_datum(metric).shape == (NUM_DATA,)
    np.testing.assert_array_equal(result.per_datum("log_p_hat"), result.bounds[2])
    np.testing.assert_array_equal(result.per_datum("iwae_3"), result.bounds[1])
    np.testing.assert_array_equal(result.per_datum("gap_3"), result.bounds[1] - result.bounds[2])


@pytest.mark.parametrize("metric", ["iwae_10", "gap_1", "ess", "log_p_hat"])
def test_estimates_are_numpys_mean_and_standard_error(result, metric):
    values = result.per_datum(metric).astype(np.float64)
    found = result.estimate(metric)
    np.testing.assert_allclose(found.mean, values.mean(), rtol=1e-12)
    deviations = values - values.mean()
    error = np.sqrt(np.sum(deviations**2) / (NUM_DATA - 1) / NUM_DATA)
    np.testing.assert_allclose(found.standard_error, error, rtol=1e-12)
    assert result.log_p_hat == result.estimate("log_p_hat")


def test_one_datum_has_a_mean_and_no_standard_error():
    one = Evaluation((1,), np.array([[-3.0]]), np.ones(1), np.ones((1, 1), bool))
    assert one.log_p_hat.mean == -3
    assert np.isnan(one.log_p_hat.standard_error)


def test_data_that_are_not_finite_are_counted_and_left_out(model, x, result):
    broken = x.copy()
    broken[3, 0], broken[20, 2] = np.nan, np.inf
    found = evaluate(model, broken, key=KEY, ks=KS)
    good = np.delete(np.arange(NUM_DATA), [3, 20])
    assert result.num_nonfinite == dict.fromkeys(result.metrics(), 0)
    assert found.num_nonfinite == dict.fromkeys(result.metrics(), 2)
    assert np.flatnonzero(~found.finite[0]).tolist() == [3, 20]
    np.testing.assert_array_equal(found.bounds[:, good], result.bounds[:, good])
    for metric in found.metrics():
        expected = result.per_datum(metric)[good].astype(np.float64).mean()
        np.testing.assert_allclose(found.estimate(metric).mean, expected, rtol=1e-12)


def test_with_nothing_finite_every_mean_is_nan():
    dead = Evaluation((1,), np.full((1, 2), -np.inf), np.zeros(2), np.zeros((1, 2), bool))
    assert dead.num_nonfinite["log_p_hat"] == 2
    assert np.isnan(dead.log_p_hat.mean)
    assert np.isnan(dead.log_p_hat.standard_error)


def test_a_bound_of_minus_infinity_leaves_its_own_mean_only():
    """A weight of zero is -inf for IWAE-1, nothing to log p-hat: k = 1 must not change k = 4."""
    rng = np.random.default_rng(3)
    log_w = rng.normal(size=(4, 30))
    log_w[0, :12] = -np.inf  # of 12 data, one sample of four has no weight
    with np.errstate(divide="ignore"):
        bounds = np.stack([numpy_bound(log_w, k) for k in (1, 4)])
    both = Evaluation((1, 4), bounds, np.ones(30), np.isfinite(bounds))
    alone = Evaluation((4,), bounds[1:], np.ones(30), np.isfinite(bounds[1:]))
    assert both.log_p_hat == alone.log_p_hat
    assert both.log_p_hat.mean == pytest.approx(bounds[1].mean(), rel=1e-12)
    assert both.estimate("iwae_1").mean == pytest.approx(log_w[:, 12:].mean(), rel=1e-12)
    gap = log_w[:, 12:].mean() - bounds[1, 12:].mean()
    assert both.estimate("gap_1").mean == pytest.approx(gap, rel=1e-9)
    assert both.num_nonfinite == {"iwae_1": 12, "iwae_4": 0, "log_p_hat": 0, "gap_1": 12, "ess": 0}
    moved = Evaluation((1, 4), bounds + 1, np.ones(30), np.isfinite(bounds))
    assert compare(both, moved).difference == pytest.approx(1, rel=1e-12)
    assert compare(both, moved, "gap_1").difference == pytest.approx(0, abs=1e-12)


class _Beyond(elbax.AbstractGenerative):
    """The standard normal's density where the first latent is positive, else none at all."""

    def log_prob(self, x, z):
        return jnp.where(z[0] > 0, -0.5 * jnp.sum(z**2), -jnp.inf)

    def sample_prior(self, key):
        return jax.random.normal(key, (2,))

    def mean(self, z):
        return jnp.zeros(4)


def test_asking_for_a_smaller_k_does_not_change_log_p_hat(x):
    truncated = elbax.Model(_Beyond(), elbax.linear_gaussian(4, 2, key=KEY).inference)
    alone = evaluate(truncated, x, key=KEY, ks=(64,))
    both = evaluate(truncated, x, key=KEY, ks=(1, 64))
    assert alone.num_nonfinite["log_p_hat"] == 0
    assert both.num_nonfinite["iwae_1"] > 0
    assert both.log_p_hat == alone.log_p_hat


# ------------------------------------------------------------------ comparison


def _evaluation(values, finite=None):
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values) if finite is None else np.asarray(finite)
    return Evaluation((1,), values[None], np.ones(len(values)), finite[None])


def test_pairs_cancel_the_spread_between_data():
    rng = np.random.default_rng(0)
    spread = 23 * rng.normal(size=1000) - 85
    first = _evaluation(spread)
    second = _evaluation(spread + 0.1 + 0.2 * rng.normal(size=1000))
    found = compare(first, second)
    difference = second.bounds[0] - first.bounds[0]
    np.testing.assert_allclose(found.difference, difference.mean())
    np.testing.assert_allclose(found.standard_error, difference.std(ddof=1) / 1000**0.5)
    np.testing.assert_allclose(found.z, found.difference / found.standard_error)
    unpaired = np.hypot(first.log_p_hat.standard_error, second.log_p_hat.standard_error)
    assert found.standard_error < 0.02 * unpaired
    assert found.z > 10
    assert compare(second, first).difference == -found.difference


def test_only_data_finite_under_both_models_are_compared():
    first, second = _evaluation([0.0, 1.0, np.nan, 3.0]), _evaluation([1.0, -np.inf, 5.0, 6.0])
    found = compare(first, second, "iwae_1")
    assert found.metric == "iwae_1"
    assert found.difference == 2


# ------------------------------------------------------------------ compiling and memory


def _counting(model):
    """The model, and a list that grows by one whenever its density is traced.

    A function among its fields, as users' networks have them, is hashed as part of the program.
    """
    traces = []

    class Counting(elbax.AbstractGenerative):
        inner: elbax.AbstractGenerative
        activation: Callable

        def log_prob(self, x, z):
            traces.append(x.shape)
            return self.inner.log_prob(x, self.activation(z))

        def sample_prior(self, key):
            return self.inner.sample_prior(key)

        def mean(self, z):
            return self.inner.mean(z)

    return elbax.Model(Counting(model.generative, jnp.tanh), model.inference), traces


def test_one_program_serves_all_blocks_keys_and_parameters(model, x):
    counted, traces = _counting(model)
    evaluate(counted, x, key=KEY, ks=KS, block_rows=40)
    assert len(traces) == 1
    moved = eqx.tree_at(lambda m: m.generative.inner.bias, counted, replace_fn=lambda b: b + 1)
    evaluate(moved, x + 1, key=jax.random.key(0), ks=KS, block_rows=40)
    assert len(traces) == 1
    evaluate(counted, x, key=KEY, ks=(1, 3), block_rows=40)
    assert len(traces) == 2


def test_the_decoder_never_sees_more_rows_than_asked_for(model, x, monkeypatch):
    shapes = []

    def spying(model, x, keys):
        shapes.append(keys.shape)
        return log_weights_of(model, x, keys)

    monkeypatch.setattr(passes, "log_weights_of", spying)
    evaluate(_counting(model)[0], x, key=KEY, ks=(50,), block_rows=60)  # traced anew
    assert shapes == [(3, 20)]


@settings(deadline=None)
@given(
    num_samples=st.integers(1, 6000),
    block_rows=st.integers(1, 10**6),
    num_data=st.integers(1, 70_000),
)
def test_blocks_fit_the_rows_and_cover_the_samples(num_samples, block_rows, num_data):
    data, samples, blocks = passes._blocks(num_samples, block_rows, num_data)
    assert 1 <= data <= num_data
    assert 1 <= samples <= num_samples
    assert data * samples <= block_rows
    # Every sample is drawn, and fewer than one per block in vain.
    assert num_samples <= samples * blocks < num_samples + blocks


def test_progress_is_told_after_each_block_of_data(model, x):
    told = []
    evaluate(model, x, key=KEY, ks=KS, block_rows=64, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == 2


# ------------------------------------------------------------------ wrong calls

WRONG = {
    "k below one": (
        lambda model, x: evaluate(model, x, key=KEY, ks=(0, 5)),
        r"expected every k to be a whole number >= 1.*got ks = \(0, 5\)",
    ),
    "no k": (
        lambda model, x: evaluate(model, x, key=KEY, ks=()),
        "expected every k to be a whole number >= 1",
    ),
    "no data": (
        lambda model, x: evaluate(model, x[:0], key=KEY),
        "Give at least one datum",
    ),
    "masked data": (
        lambda model, x: evaluate(model, np.ma.masked_less(np.asarray(x), 0.5), key=KEY),
        "expected x without a mask",
    ),
    "another k": (
        lambda model, x: _evaluation([0.0]).per_datum("iwae_64"),
        "expected a metric among iwae_1, log_p_hat, ess; got 'iwae_64'",
    ),
    "no metric": (
        lambda model, x: _evaluation([0.0]).estimate("elbo"),
        "expected a metric among .* got 'elbo'",
    ),
    "other data": (
        lambda model, x: compare(_evaluation([0.0]), _evaluation([0.0, 1.0])),
        "expected both models to be evaluated on the same data; got 1 and 2 data",
    ),
}


@pytest.mark.parametrize("ks", [64, 64.0, (2.0, 16), (2.5,), (True, 16), "64", None, (), [[1]]])
def test_sample_counts_that_are_no_whole_numbers_are_refused(ks):
    expected = r"expected every k to be a whole number >= 1, in a sequence such as \(1, 64, 5000\)"
    with pytest.raises(InputError, match=f"{expected}; got ks = {re.escape(repr(ks))}"):
        sample_counts(ks)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls_are_refused_with_a_sentence(name, model, x):
    call, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        call(model, x)
