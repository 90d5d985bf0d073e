"""Every gradient rule against plain autodiff of the bound, in standard errors, on two models.

One compiled program per model draws the gradients of all objectives below, planted biases
among them, from the same noise as the plain gradient, so that they are compared in pairs.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import elbax
from elbax import bounds, objectives
from elbax.gradients import Plan, routed
from elbax.objectives import Needs
from elbax.rules import AbstractRule, Coefficients, Context, DReG
from tests import models
from tests.statistical import oracles
from tests.statistical.budget import assert_mean, assert_not_mean

pytestmark = pytest.mark.statistical

M, K, BETA = 2, 3, 0.3
T = M * K
NUM_BATCHES, BATCH = 200, 20  # a sample is the mean of a batch: near normal, and few to store
ROUNDING = 1e-13  # both gradients of the generative network are the same sum in another order


ALPHA, KNOTS, KL = 0.4, (0.0, 0.2), 0.5


def _log_mean_exp(v):
    return jax.nn.logsumexp(v) - jnp.log(len(v))


def _jackknife(v):
    without = [_log_mean_exp(jnp.delete(v, j, assume_unique_indices=True)) for j in range(T)]
    return T * _log_mean_exp(v) - (T - 1) * jnp.mean(jnp.stack(without))


def _thermodynamic(v):
    return KNOTS[1] * jnp.mean(v) + (1 - KNOTS[1]) * jax.nn.softmax(KNOTS[1] * v) @ v


# The plain gradients: the bounds once more, one datum [T], nothing of elbax in them; and the
# weight of the KL term in the log-weights they are taken of.
PLAIN = {
    "vae": (jnp.mean, 1.0),
    "iwae": (_log_mean_exp, 1.0),
    "miwae": (lambda v: jnp.mean(jax.vmap(_log_mean_exp)(v.reshape(M, K))), 1.0),
    "ciwae": (lambda v: BETA * jnp.mean(v) + (1 - BETA) * _log_mean_exp(v), 1.0),
    "renyi": (lambda v: _log_mean_exp((1 - ALPHA) * v) / (1 - ALPHA), 1.0),
    "jvi": (_jackknife, 1.0),
    "tvo": (_thermodynamic, 1.0),
    "warm": (_log_mean_exp, KL),
}
# objective -> the plain bounds of its generative and inference networks
PAIRS = {name: (name, name) for name in PLAIN} | {"piwae": ("iwae", "miwae")}


class WeightInsteadOfItsSquare(AbstractRule):
    """DReG with P = w, the slip of a missing square."""

    def __call__(self, bound, log_w, context):
        w = jax.nn.softmax(log_w, axis=0)
        return Coefficients(pathwise=w, score=jnp.zeros_like(w))


class NormalizedOverTheWrongAxis(bounds.MIWAE):
    """MIWAE whose weights are normalized over the M groups instead of the K samples."""

    def derivatives(self, log_w):
        w = jax.nn.softmax(log_w.reshape(self.m, self.k, -1), axis=0).reshape(log_w.shape)
        return w / self.k, (w - w**2) / self.k


class DRegWithoutTheKLWeight(AbstractRule):
    """DReG with P = g - h under a KL warm-up, the slip of a missing b."""

    def __call__(self, bound, log_w, context):
        return DReG()(bound, log_w)


def _warm(gradient):
    return objectives.Objective(bounds.IWAE(T), bounds.IWAE(T), gradient, kl_weight=KL)


_wrong_axis = NormalizedOverTheWrongAxis(M, K)
# Every way to weigh the channels that is drawn.
WAYS = {
    "vae": elbax.vae(T, gradient="dreg"),
    "iwae": elbax.iwae(T, gradient="dreg"),
    "miwae": elbax.miwae(M, K, gradient="dreg"),
    "ciwae": elbax.ciwae(T, BETA, gradient="dreg"),
    "piwae": elbax.piwae(M, K, gradient="dreg"),
    "renyi": elbax.renyi(T, ALPHA, gradient="dreg"),
    "jvi": elbax.jvi(T, gradient="dreg"),
    "tvo": elbax.tvo(T, KNOTS, gradient="dreg"),
    "warm": _warm("dreg"),
    "vae stl": elbax.vae(T, gradient="stl"),
    "iwae gdreg": elbax.iwae(T, gradient="gdreg"),
    "warm gdreg": _warm("gdreg"),
    "ciwae gdreg": elbax.ciwae(T, BETA, gradient="gdreg"),
    "jvi gdreg": elbax.jvi(T, gradient="gdreg"),
    "iwae score": elbax.iwae(T, gradient="score"),
    "iwae nvil": elbax.iwae(T, gradient="nvil"),
    "iwae vimco": elbax.iwae(T, gradient="vimco"),
    "iwae geometric": elbax.iwae(T, gradient="vimco-geometric"),
    "miwae vimco": elbax.miwae(M, K, gradient="vimco"),
    "warm vimco": _warm("vimco"),
    "iwae wake": elbax.rws(T),
    "iwae wake-dreg": elbax.rws(T, gradient="wake-dreg"),
    "iwae ovis": elbax.iwae(T, gradient="ovis"),
    "iwae stl": elbax.iwae(T, gradient="stl"),
    "ciwae w": elbax.ciwae(T, BETA, gradient=WeightInsteadOfItsSquare()),
    "miwae axis": objectives.Objective(_wrong_axis, _wrong_axis, DReG()),
    "warm h": _warm(DRegWithoutTheKLWeight()),
    "iwae model": elbax.iwae(T, gradient="dreg"),  # altered below
}
BASELINE = -3.0  # NVIL's, constant


def _weigh(name, kl_weight):
    context = Context(kl_weight, jnp.asarray(BASELINE), jnp.ones(()))

    def channels(log_w, annealed):
        found = WAYS[name].channels(log_w, annealed, context)
        if name == "iwae model":  # a planted bias: DReG on the model channel too
            return found._replace(model=found.pathwise)
        return found

    return channels


def _plain_gradients(model, x, key):
    """The gradient of each plain bound, `[len(PLAIN), parameters]` for each network."""
    keys = jax.random.split(key, (T, len(x)))

    def values(generative, inference):
        def log_w(datum, key):
            context = inference.encode(datum)
            z = inference.sample(context, key)
            kl = inference.log_prob(context, z) - generative.log_prior(z)
            likelihood = generative.log_prob(datum, z) - generative.log_prior(z)
            return likelihood - kl, likelihood - KL * kl

        plain, warm = jax.vmap(jax.vmap(log_w, (None, 0)), (0, 1))(x, keys)
        means = [
            jnp.mean(jax.vmap(bound)(plain if weight == 1 else warm))
            for bound, weight in PLAIN.values()
        ]
        return jnp.stack(means)

    jacobians = jax.jacrev(values, argnums=(0, 1))(model.generative, model.inference)
    return [jax.vmap(lambda tree: ravel_pytree(tree)[0])(jacobian) for jacobian in jacobians]


def _rule_gradients(model, x, key):
    """The routed gradient of each way to weigh, `[ways, parameters]` for each network."""
    weights = jnp.array([objective.kl_weight or 1.0 for objective in WAYS.values()])
    needs = Needs(path=True, prior_path=True, annealed=True)

    def one(index):
        weight = weights[index]
        branches = [_weigh(name, weight) for name in WAYS]
        plan = Plan(T, functools.partial(jax.lax.switch, index, branches), needs, weight)
        gradients = routed(plan, model, x, key)[1]
        return ravel_pytree(gradients.generative)[0], ravel_pytree(gradients.inference)[0]

    return jax.vmap(one)(jnp.arange(len(WAYS)))


@functools.cache
def draws(name):
    """(rule gradients, plain gradients), each `{way: (generative, inference)}` of `[N, P]`."""
    with jax.enable_x64(True):
        if name == "linear-gaussian":
            model, x = oracles.model_and_data(0.3, 3)
        else:
            model, x = models.two_layer(), models.binary_data()
            model = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), model)

        def batch(key):
            keys = jax.random.split(key, BATCH)
            both = jax.vmap(lambda k: (_rule_gradients(model, x, k), _plain_gradients(model, x, k)))
            return jax.tree.map(lambda leaf: leaf.mean(0), both(keys))

        # Compiling costs more than running here, and level 1 halves it.
        run = jax.jit(
            lambda keys: jax.lax.map(batch, keys),
            compiler_options={"xla_backend_optimization_level": 1},
        )
        rules, plain = run(jax.random.split(jax.random.key(13), NUM_BATCHES))
    return _by_name(WAYS, rules), _by_name(PLAIN, plain)


def _by_name(names, networks):
    arrays = [np.asarray(network) for network in networks]
    return {name: [array[:, i] for array in arrays] for i, name in enumerate(names)}


def difference(model, way, pair):
    """Rule gradient less plain gradient, `[N, parameters]`, generative network first."""
    rules, plain = draws(model)
    generative, inference = PAIRS[pair]
    return np.concatenate(
        [rules[way][0] - plain[generative][0], rules[way][1] - plain[inference][1]], axis=1
    )


@pytest.fixture(scope="module", params=["linear-gaussian", "two-layer"])
def model(request):
    """A module's fixture, so that the tests of one model follow one another in one process."""
    return request.param


def test_dreg_is_unbiased_for_every_objective(model, record_property):
    samples = np.concatenate([difference(model, pair, pair) for pair in PAIRS], axis=1)
    z = assert_mean(samples, 0, num_comparisons=samples.shape[1], rounding=ROUNDING)
    record_property("max_z", z)


UNBIASED = {
    "vae stl": "vae",
    "iwae gdreg": "iwae",
    "warm gdreg": "warm",
    "ciwae gdreg": "ciwae",
    "jvi gdreg": "jvi",
    "iwae score": "iwae",
    "iwae nvil": "iwae",
    "iwae vimco": "iwae",
    "iwae geometric": "iwae",
    "miwae vimco": "miwae",
    "warm vimco": "warm",
}


def test_the_other_rules_are_unbiased_where_they_say_so(model, record_property):
    samples = np.concatenate([difference(model, way, pair) for way, pair in UNBIASED.items()], 1)
    z = assert_mean(samples, 0, num_comparisons=samples.shape[1], rounding=ROUNDING)
    record_property("max_z", z)


def test_gdreg_takes_another_way_to_the_priors_gradient():
    generative = difference("linear-gaussian", "iwae gdreg", "iwae")[:, :2]  # prior_mean
    assert generative.std(axis=0).min() > 1e-3


def test_biases_are_the_documented_ones(model, record_property):
    """STL and OVIS(1) are off by the wake-phase update, which RWS-DReG estimates too."""
    rules, plain = draws(model)
    wake, truth = rules["iwae wake"][1], plain["iwae"][1]
    rest = [
        rules["iwae stl"][1] - truth - wake,
        rules["iwae ovis"][1] - truth - wake,
        rules["iwae wake-dreg"][1] - wake,
    ]
    samples = np.concatenate(rest, axis=1)
    z = assert_mean(samples, 0, num_comparisons=samples.shape[1], rounding=ROUNDING)
    record_property("max_z", z)
    # Power: the update that explains the biases is not small.
    assert_not_mean(wake, 0, num_comparisons=wake.shape[1])


# way -> the objective that it claims to be
PLANTED = {
    "iwae stl": "iwae",
    "ciwae w": "ciwae",
    "miwae axis": "miwae",
    "iwae model": "iwae",
    "warm h": "warm",
}


def test_planted_biases_are_found(model, record_property):
    for way, pair in PLANTED.items():
        samples = difference(model, way, pair)
        z = assert_not_mean(samples, 0, num_comparisons=samples.shape[1], rounding=ROUNDING)
        record_property(f"max_z {way}", z)


def test_only_the_network_with_the_planted_bias_is_off():
    """STL's bias is the inference network's; w^2 on the model channel is the generative's."""
    num_generative = draws("two-layer")[0]["iwae"][0].shape[1]
    stl = difference("two-layer", "iwae stl", "iwae")[:, :num_generative]
    squared = difference("two-layer", "iwae model", "iwae")[:, num_generative:]
    for samples in (stl, squared):
        assert_mean(samples, 0, num_comparisons=samples.shape[1], rounding=ROUNDING)


def test_the_elbo_gradient_is_the_closed_form(record_property):
    with jax.enable_x64(True):
        model, x = oracles.model_and_data(0.3, 3)
        exact = jax.jit(jax.grad(oracles.mean_elbo))(model, x)
        exact = [ravel_pytree(part)[0] for part in (exact.generative, exact.inference)]
    truth = np.concatenate(exact)
    assert np.abs(truth).max() > 0.1
    rules, plain = draws("linear-gaussian")
    for gradients in (rules["vae"], rules["vae stl"], plain["vae"]):
        samples = np.concatenate(gradients, axis=1)
        record_property("max_z", assert_mean(samples, truth, num_comparisons=truth.size))
    samples = np.concatenate(rules["iwae"], axis=1)
    record_property("max_z iwae", assert_not_mean(samples, truth, num_comparisons=truth.size))
