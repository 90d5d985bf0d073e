"""AIS and BDMC against log p(x) of the linear-Gaussian model; HMC against its invariant density."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import elbax
from elbax.evaluation import annealing, hamiltonian, paths
from tests.models import hierarchical

DATA, CHAINS, STEPS = 40, 16, 64


@functools.cache
def model():
    """An encoder off the posterior in location, and too narrow: IWAE-k needs very many samples."""
    found = elbax.linear_gaussian(5, 3, key=jax.random.key(0), offset=0.2)
    scale = found.inference.log_scale
    return eqx.tree_at(lambda m: m.inference.log_scale, found, scale - 0.7)


def truth(x) -> np.ndarray:
    return np.asarray(jax.vmap(model().generative.log_marginal)(jnp.asarray(x)), np.float64)


@functools.cache
def sandwich() -> annealing.Sandwich:
    key = jax.random.key(1)
    return elbax.bdmc(model(), DATA, key=key, steps=STEPS, chains=CHAINS, ks=(1, 500))


def z_score(ratios: np.ndarray) -> float:
    """How far the mean over data is from 1, in standard errors; each datum is independent."""
    per_datum = ratios.mean(axis=0)
    return (per_datum.mean() - 1) / (per_datum.std(ddof=1) / len(per_datum) ** 0.5)


def above_truth(lower: annealing.Annealed) -> float:
    """How far the mean of a lower bound lies above log p(x), in standard errors."""
    error = lower.log_p - truth(sandwich().x)
    return error.mean() / (error.std(ddof=1) / len(error) ** 0.5)


def test_the_mean_weight_is_p_of_x_up_and_one_over_it_down():
    found = sandwich()
    log_p = truth(found.x)
    assert abs(z_score(np.exp(found.lower.log_w - log_p))) < 4.5
    assert abs(z_score(np.exp(log_p - found.upper.log_w))) < 4.5


def test_the_sandwich_encloses_the_truth_and_says_that_iwae_does_not_suffice():
    found = sandwich()
    log_p = truth(found.x)
    for error, side in ((found.lower.log_p - log_p, 1), (log_p - found.upper.log_p, 1)):
        assert side * error.mean() < 4.5 * error.std(ddof=1) / DATA**0.5
    least, told = found.short("lower"), found.short("upper")
    assert 0 < told.mean - least.mean < 1
    # IWAE-500 lies nats below, and the sandwich says so without knowing log p(x).
    short = (log_p - found.importance.bounds[-1]).mean()
    assert short > 2
    assert least.mean < short + 0.1
    assert short < told.mean + 0.1
    assert least.mean > 2 * least.standard_error


def test_errors_are_those_of_repetitions():
    x = jnp.asarray(sandwich().x[:1])
    many = elbax.ais(
        model(), jnp.tile(x, (DATA, 1)), key=jax.random.key(5), steps=STEPS, chains=CHAINS
    )
    ratio = np.median(many.errors) / many.log_p.std(ddof=1)
    assert 0.5 < ratio < 1.5


def test_a_forgotten_acceptance_is_found(monkeypatch):
    """The planted bias: every proposal is taken."""

    def careless(at, point, key, *, b, step, num_leapfrogs):
        momentum = jax.random.normal(key, point.z.shape)
        end, _ = hamiltonian.trajectory(at, point, momentum, b, step, num_leapfrogs)
        return end, hamiltonian.hmc_step(
            at, point, key, b=b, step=step, num_leapfrogs=num_leapfrogs
        )[1]

    sandwich()  # before the step is spoilt
    monkeypatch.setattr(paths, "hmc_step", careless)
    advance = paths._advance.__wrapped__

    def spoilt(*arguments, static):  # a function of its own, which is compiled anew
        return advance(*arguments, static=static)

    spoilt = jax.jit(spoilt, static_argnames="static")
    monkeypatch.setattr(paths, "_advance", spoilt)
    spoilt = elbax.ais(model(), sandwich().x, key=jax.random.key(3), steps=STEPS, chains=CHAINS)
    assert above_truth(sandwich().lower) < 4.5
    assert above_truth(spoilt) > 7


def test_a_step_leaves_the_target_invariant():
    """From exact draws of the target at b: after steps, still draws of it, whatever the size."""
    x = jnp.asarray(sandwich().x[0])
    p, q = model().generative, model().inference
    context, b = q.encode(x), jnp.float32(0.4)

    def log_p(z):
        return p.log_prob(x, z)

    # Both densities are normal, and so is the product of their powers.
    mean_p, covariance_p = p.posterior(x)
    parts = [(mean_p, np.linalg.inv(covariance_p), b)]
    parts += [(context.loc, np.diag(1 / np.asarray(context.scale) ** 2), 1 - b)]
    covariance = np.linalg.inv(sum(weight * precision for _, precision, weight in parts))
    mean = covariance @ sum(weight * (precision @ center) for center, precision, weight in parts)
    start = np.random.default_rng(0).multivariate_normal(mean, covariance, 4000)

    def at(z):
        return hamiltonian.point_at(log_p, lambda z: q.log_prob(context, z), z)

    @jax.jit
    @jax.vmap
    def three_steps(z, key):
        point = at(z)
        for one in jax.random.split(key, 3):
            step = 0.9 * context.scale
            point, chance = hamiltonian.hmc_step(at, point, one, b=b, step=step, num_leapfrogs=3)
        return point.z, chance

    end, chance = three_steps(
        jnp.asarray(start, jnp.float32), jax.random.split(jax.random.key(2), 4000)
    )
    assert 0.3 < chance.mean() < 0.98  # the Metropolis step is at work
    white = np.linalg.solve(np.linalg.cholesky(covariance), (np.asarray(end) - mean).T)
    assert np.linalg.norm(np.asarray(end) - start, axis=1).mean() > 0.1
    for coordinate in white:
        assert scipy.stats.kstest(coordinate, "norm").pvalue > 1e-4


class Discrete(type(elbax.linear_gaussian(1, 1, key=jax.random.key(0)).inference)):
    is_reparameterized = False


class Mute(type(elbax.linear_gaussian(1, 1, key=jax.random.key(0)).generative)):
    sample_data = elbax.AbstractGenerative.sample_data


def test_refusals():
    key, (p, q) = jax.random.key(0), (model().generative, model().inference)
    discrete = elbax.Model(p, Discrete(q.weight, q.bias, q.log_scale))
    mute = elbax.Model(Mute(p.prior_mean, p.weight, p.bias, p.log_scale), q)
    with pytest.raises(elbax.InputError, match=r"continuous latents .*; got discrete"):
        elbax.ais(discrete, np.zeros((2, 5)), key=key)
    with pytest.raises(elbax.InputError, match="steps >= 2"):
        elbax.ais(model(), np.zeros((2, 5)), key=key, steps=1)
    with pytest.raises(elbax.InputError, match="chains >= 1"):
        elbax.bdmc(model(), key=key, chains=0)
    with pytest.raises(elbax.InputError, match="sample_data"):
        elbax.bdmc(mute, key=key)


def test_all_layers_are_annealed_together():
    deep = hierarchical((3, 2))
    x = jax.random.bernoulli(jax.random.key(9), 0.5, (5, 4)).astype(float)
    found = elbax.ais(deep, x, key=jax.random.key(1), steps=32, chains=8)
    known = elbax.evaluate(deep, x, key=jax.random.key(2), ks=(4000,))
    z = (found.log_p - known.bounds[-1]) / np.hypot(found.errors, known.mc_errors)
    assert np.abs(z).max() < 5


def test_blocks_do_not_matter():
    """Of 50 data the last ten are in a block of their own, filled up."""
    x = np.concatenate([sandwich().x, sandwich().x[:10]])
    told: list[float] = []
    whole = elbax.ais(
        model(), x, key=jax.random.key(4), steps=STEPS, chains=CHAINS, progress=told.append
    )
    first = elbax.ais(model(), x[:40], key=jax.random.key(4), steps=STEPS, chains=CHAINS)
    assert (whole.log_w[:, :40] == first.log_w).all()
    z = (whole.log_p - truth(x))[40:] / whole.errors[40:]
    assert np.abs(z).max() < 6
    assert told == [0.8, 1.0]
