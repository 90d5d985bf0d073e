"""The randomly truncated series against log p(x) of the linear-Gaussian model."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.evaluation import truncation

REPEATS, SAMPLES, DATA = 400, 2, 6


@functools.cache
def model():
    """An encoder wider than the posterior, so that weights have a variance."""
    found = elbax.linear_gaussian(4, 2, key=jax.random.key(0), offset=0.1)
    return eqx.tree_at(lambda m: m.inference.log_scale, found, found.inference.log_scale + 0.4)


@functools.cache
def data():
    return jax.random.normal(jax.random.key(1), (DATA, 4))


def z_scores(found) -> np.ndarray:
    truth = np.asarray(jax.vmap(model().generative.log_marginal)(data()), np.float64)
    return (found.log_p - truth) / found.errors


def all_together(found) -> float:
    """The data are independent, and so are their errors."""
    return z_scores(found).sum() / DATA**0.5


def drawn():
    return elbax.sumo(model(), data(), key=jax.random.key(2), repeats=REPEATS, samples=SAMPLES)


def test_the_mean_is_log_p_within_its_error():
    found = drawn()
    assert np.abs(z_scores(found)).max() < 4.5
    assert abs(all_together(found)) < 4.5
    # Two samples alone fall far short of it: the series does the work.
    short = elbax.evaluate(model(), data(), key=jax.random.key(3), ks=(2, 200))
    assert (short.per_datum("gap_2") < -10 * found.errors / 4.5).any()
    assert found.num_samples.mean() == pytest.approx(2.2 * REPEATS * SAMPLES, rel=0.5)


def test_a_forgotten_chance_is_found(monkeypatch):
    """The planted bias: terms that are not divided by the chance of being reached."""

    def careless(means):
        return truncation._log_mean(means)  # what is left of the series then

    monkeypatch.setattr(truncation, "_series", careless)
    assert all_together(drawn()) < -9


def test_the_series_telescopes():
    """With the chance of every depth summed over, the expectation given the samples is L_8."""
    means = np.random.default_rng(0).normal(size=8)
    chance = [2 ** (-1.5 * j) for j in range(5)]
    reached = [chance[j] - chance[j + 1] for j in range(3)] + [chance[3]]
    # Over the orders of the blocks, halves are like any other group of so many.
    rng = np.random.default_rng(1)
    orders = [rng.permutation(means) for _ in range(1500)]
    values = [
        sum(p * truncation._series(order[: 2**j]) for j, p in enumerate(reached))
        for order in orders
    ]
    error = np.std(values) / len(values) ** 0.5
    assert abs(np.mean(values) - truncation._log_mean(means)) < 4 * error


def test_refusals_and_progress():
    told: list[float] = []
    found = elbax.sumo(model(), data(), key=jax.random.key(4), repeats=2, progress=told.append)
    assert told[-1] == 1.0
    assert "6 data" in repr(found)
    with pytest.raises(elbax.InputError, match="repeats >= 2"):
        elbax.sumo(model(), data(), key=jax.random.key(4), repeats=1)
    with pytest.raises(elbax.InputError, match="samples >= 1"):
        elbax.sumo(model(), jnp.zeros((1, 4)), key=jax.random.key(4), samples=0)
