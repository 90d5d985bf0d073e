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

from elbax import bounds, objectives
from elbax.gradients import routed
from elbax.rules import AbstractRule, Coefficients, DReG
from tests import models
from tests.statistical import oracles
from tests.statistical.budget import assert_mean, assert_not_mean

pytestmark = pytest.mark.statistical

M, K, BETA = 2, 3, 0.3
T = M * K
NUM_BATCHES, BATCH = 200, 20  # a sample is the mean of a batch: near normal, and few to store
ROUNDING = 1e-13  # both gradients of the generative network are the same sum in another order


# The plain gradients: the bounds once more, one datum [T], nothing of elbax in them.
PLAIN = {
    "vae": jnp.mean,
    "iwae": lambda v: jax.nn.logsumexp(v) - jnp.log(T),
    "miwae": lambda v: jnp.mean(jax.nn.logsumexp(v.reshape(M, K), axis=1)) - jnp.log(K),
    "ciwae": lambda v: BETA * jnp.mean(v) + (1 - BETA) * (jax.nn.logsumexp(v) - jnp.log(T)),
}
# objective -> the plain bounds of its generative and inference networks
PAIRS = {
    "vae": ("vae", "vae"),
    "iwae": ("iwae", "iwae"),
    "miwae": ("miwae", "miwae"),
    "ciwae": ("ciwae", "ciwae"),
    "piwae": ("iwae", "miwae"),
}


class WeightInsteadOfItsSquare(AbstractRule):
    """DReG with P = w, the slip of a missing square."""

    def __call__(self, bound, log_w):
        w = jax.nn.softmax(log_w, axis=0)
        return Coefficients(pathwise=w, score=jnp.zeros_like(w))


class NormalizedOverTheWrongAxis(bounds.MIWAE):
    """MIWAE whose weights are normalized over the M groups instead of the K samples."""

    def derivatives(self, log_w):
        w = jax.nn.softmax(log_w.reshape(self.m, self.k, -1), axis=0).reshape(log_w.shape)
        return w / self.k, (w - w**2) / self.k


def _dreg_on_the_model_channel_too(log_w):
    channels = objectives.iwae(T, gradient="dreg").channels(log_w)
    return channels._replace(model=channels.pathwise)


def _channels():
    """Every way to weigh the channels that is drawn, by name."""
    wrong_axis = NormalizedOverTheWrongAxis(M, K)
    built = {
        "vae": objectives.vae(T, gradient="dreg"),
        "iwae": objectives.iwae(T, gradient="dreg"),
        "miwae": objectives.miwae(M, K, gradient="dreg"),
        "ciwae": objectives.ciwae(T, BETA, gradient="dreg"),
        "piwae": objectives.piwae(M, K, gradient="dreg"),
        "vae stl": objectives.vae(T, gradient="stl"),
        "iwae stl": objectives.iwae(T, gradient="stl"),
        "ciwae w": objectives.ciwae(T, BETA, gradient=WeightInsteadOfItsSquare()),
        "miwae axis": objectives.Objective(wrong_axis, wrong_axis, DReG()),
    }
    named = {name: objective.channels for name, objective in built.items()}
    return named | {"iwae model": _dreg_on_the_model_channel_too}


def _plain_gradients(model, x, key):
    """The gradient of each plain bound, `[len(PLAIN), parameters]` for each network."""
    keys = jax.random.split(key, (T, len(x)))

    def values(generative, inference):
        def log_w(datum, key):
            context = inference.encode(datum)
            z = inference.sample(context, key)
            return generative.log_prob(datum, z) - inference.log_prob(context, z)

        columns = jax.vmap(jax.vmap(log_w, (None, 0)), (0, 1))(x, keys)
        return jnp.stack([jnp.mean(jax.vmap(plain)(columns)) for plain in PLAIN.values()])

    jacobians = jax.jacrev(values, argnums=(0, 1))(model.generative, model.inference)
    return [jax.vmap(lambda tree: ravel_pytree(tree)[0])(jacobian) for jacobian in jacobians]


def _rule_gradients(model, x, key):
    """The routed gradient of each way to weigh, `[ways, parameters]` for each network."""
    ways = list(_channels().values())

    def one(index):
        weigh = functools.partial(jax.lax.switch, index, ways)
        gradients = routed(T, weigh, model, x, key)[1]
        return ravel_pytree(gradients.generative)[0], ravel_pytree(gradients.inference)[0]

    return jax.vmap(one)(jnp.arange(len(ways)))


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
    return _by_name(_channels(), rules), _by_name(PLAIN, plain)


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


def test_stl_is_unbiased_for_the_elbo(model, record_property):
    samples = difference(model, "vae stl", "vae")
    z = assert_mean(samples, 0, num_comparisons=samples.shape[1], rounding=ROUNDING)
    record_property("max_z", z)


# way -> the objective that it claims to be
PLANTED = {
    "iwae stl": "iwae",
    "ciwae w": "ciwae",
    "miwae axis": "miwae",
    "iwae model": "iwae",
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
