"""Likelihoods of levels and of intensities, in models of a few pixels whose log p(x) is known."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.evaluation.likelihood import bits_per_dim
from elbax.models import DiscretisedLogisticHead
from elbax.models.build import build
from elbax.training.setup import new_fleet
from tests.statistical.budget import assert_mean

NEW = ("discretised-logistic", "continuous-bernoulli")
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (40, 2, 2, 3), np.uint8)
TRAIN = elbax.TrainConfig(epochs=1, batch_size=20)


def config(likelihood, **fields):
    return elbax.ModelConfig(**({"hidden": (), "latents": 1, "likelihood": likelihood} | fields))


def with_wide_encoder(model):
    """q(z | x) = N(0, 1.5^2), so that no weight is far above the others."""

    def where(m):
        head = m.inference.encoder
        return head.loc.weight, head.scale.weight, head.scale.bias

    loc, scale, bias = where(model)
    return eqx.tree_at(where, model, (0 * loc, 0 * scale, 0 * bias + np.log(1.5)))


def quadrature(model, x, num=120):
    """log p(x) of one latent: the integral over z by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(num)
    z, x = jnp.asarray(nodes)[:, None], jnp.asarray(x)
    log_p = jax.vmap(lambda z: model.generative.likelihood(z).log_prob(x.reshape(-1)))(z)
    return np.log(np.exp(np.asarray(log_p)) @ weights / np.sqrt(2 * np.pi))


@pytest.mark.statistical
def test_log_p_of_levels_is_that_of_quadrature_and_sums_to_one(x64):
    model = with_wide_encoder(build((1, 2), config(NEW[0], levels=2), key=jax.random.key(3)))
    outcomes = np.array(list(itertools.product([0, 0.5, 1], repeat=2))).reshape(-1, 1, 2)
    exact = np.array([quadrature(model, x) for x in outcomes])
    np.testing.assert_allclose(np.exp(exact).sum(), 1, rtol=1e-9)
    found = elbax.evaluate(model, outcomes, key=jax.random.key(4), ks=(1, 3000))
    z = (found.bounds[-1] - exact) / found.mc_errors
    assert np.abs(z).max() < 5
    bits = found.estimate("bits_per_dim")
    assert bits.mean == pytest.approx(-found.bounds[-1].mean() / (2 * np.log(2)))
    assert bits.standard_error == pytest.approx(found.log_p_hat.standard_error / (2 * np.log(2)))
    assert "bits per dimension" in repr(found)


@pytest.mark.statistical
def test_weights_of_intensities_average_to_the_density(x64):
    model = with_wide_encoder(build((3,), config(NEW[1]), key=jax.random.key(3)))
    x = jnp.array([0.0, 0.3, 1.0])
    log_w = elbax.log_weights(model, jnp.tile(x, (20_000, 1)), 1, key=jax.random.key(4))
    assert_mean(np.exp(log_w[0]), np.exp(quadrature(model, x)), num_comparisons=1)
    found = elbax.evaluate(model, x[None], key=jax.random.key(4), ks=(1, 8))
    assert "bits_per_dim" not in found.metrics()


def test_even_bytes_take_eight_bits():
    assert bits_per_dim(np.array([-12 * np.log(256)]), 12) == pytest.approx(8)


@pytest.mark.parametrize("likelihood", NEW)
def test_decoders_start_at_the_mean_of_the_data(likelihood):
    mean, sd = RNG.uniform(0.1, 0.9, 12), RNG.uniform(0.05, 0.2, 12)
    model = build((12,), config(likelihood), key=jax.random.key(0), data_mean=mean, data_sd=sd)
    p = model.generative.likelihood(jnp.zeros(1))
    np.testing.assert_allclose(p.mean(), mean, atol=0.03)
    if likelihood == NEW[0]:
        np.testing.assert_allclose(p.scale, sd * np.sqrt(3) / np.pi, rtol=0.02)


@pytest.mark.parametrize("rule", ["dreg", "vimco"])
def test_gradients_are_finite_where_data_are_black_and_white(rule):
    """Edges of the levels and of the interval in one image, by the path and by the score."""
    method = elbax.iwae(k=3, gradient=rule)
    x = jnp.asarray(RNG.choice([0.0, 1.0, 128 / 255], (4, 2, 2, 3)), jnp.float32)
    for likelihood in NEW:
        model = build((2, 2, 3), config(likelihood), key=jax.random.key(0))
        (value, _), gradient = elbax.value_and_grad(method)(model, x, key=jax.random.key(1))
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_training_takes_the_levels_of_the_data():
    digits = elbax.load_data("digits").under(NEW[0])
    assert digits.binarise == "none"
    few = elbax.Dataset(name="few", train=digits.train[:40], test=digits.test[:5], levels=16.0)
    found = elbax.fit("iwae(k=2)", few, model=config(NEW[0]), config=TRAIN)
    head = found.models[0].generative.decoder
    assert isinstance(head, DiscretisedLogisticHead)
    assert head.levels == 16
    assert found.status == ("ok",)
    drawn = 16 * elbax.sample(found.models[0], 3, key=jax.random.key(0))
    np.testing.assert_array_equal(drawn, np.round(drawn))
    with pytest.raises(elbax.InputError, match=r"in levels 0, 1/16, \.\., 1 .* got 0\.3, which"):
        elbax.evaluate(found.models[0], np.full((2, 8, 8), 0.3), key=jax.random.key(0), ks=(1,))


@pytest.mark.parametrize(
    ("array", "likelihood", "message"),
    [
        (BYTES / 300.0, NEW[0], "whole levels for a discretised logistic like.* got 0"),
        (
            BYTES.astype(float),
            NEW[0],
            r"from 0 to 1 in steps of 0\.0039.*; got .* \(--levels 255",
        ),
        (BYTES.astype(float), NEW[1], r"in \[0, 1\] for a continuous Bernoulli likelihood; got va"),
    ],
)
def test_data_without_levels_are_refused(array, likelihood, message):
    with pytest.raises(elbax.DataError, match=message):
        new_fleet("iwae(k=2)", array, model=config(likelihood), config=TRAIN)


@pytest.mark.parametrize("likelihood", NEW)
def test_draws_of_zero_and_one_are_said_to_be_none_for_it(likelihood):
    binary = elbax.Dataset(name="b", train=BYTES // 128, test=BYTES // 128)
    why = "waste all but two" if likelihood == NEW[0] else "has no upper limit"
    with pytest.warns(elbax.ElbaxWarning, match=why):
        new_fleet("iwae(k=2)", binary, model=config(likelihood), config=TRAIN)


def test_levels_are_whole_and_of_16_bits():
    for levels in (0, 2**16):
        with pytest.raises(elbax.InputError, match="expected levels"):
            build((4,), config(NEW[0], levels=levels), key=jax.random.key(0))
    halves = elbax.Dataset(name="h", train=BYTES, test=BYTES, levels=255.5)
    with pytest.raises(elbax.InputError, match=r"whole number of levels .* got 255\.5"):
        new_fleet("iwae(k=2)", halves, model=config(NEW[0]), config=TRAIN)
