"""Several layers, continuous and discrete: sizes, densities against loops, ancestral draws."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import elbax
from elbax._errors import InputError
from elbax.models.config import PRESETS
from elbax.training.setup import model_builder
from tests.enumeration import every_latent

KEY = jax.random.key(5)
NORMAL = elbax.ModelConfig(hidden=(4,), hidden_above=(3,), latents=(3, 2))
BERNOULLI = elbax.ModelConfig(hidden=(), latents=(3, 2, 2), latent="bernoulli")
CATEGORICAL = elbax.ModelConfig(hidden=(), latents=(2, 1), latent="categorical", categories=3)


def num_parameters(config, event_shape=(28, 28)):
    shapes = eqx.filter_eval_shape(lambda key: model_builder(config, event_shape)(key), KEY)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes) if hasattr(leaf, "size"))


def test_parameter_counts():
    linear = 784 * 200 + 200, 200 * 784 + 784
    assert num_parameters(PRESETS["sbn"]) == sum(linear) + 200
    layer = 2 * (200 * 200 + 200)
    assert num_parameters(PRESETS["sbn-2"]) == sum(linear) + layer + 200
    assert num_parameters(PRESETS["sbn-3"]) == sum(linear) + 2 * layer + 200
    assert num_parameters(PRESETS["reference"]) == 425_284
    # Two layers of Burda et al. 2015: weights and biases of every map, head by head.
    first = (784 * 200 + 200) + (200 * 200 + 200) + 2 * (200 * 100 + 100)
    second = 2 * (100 * 100 + 100) + 2 * (100 * 50 + 50)
    down = (50 * 100 + 100) + (100 * 100 + 100) + 2 * (100 * 100 + 100)
    data = (100 * 200 + 200) + (200 * 200 + 200) + (200 * 784 + 784)
    assert num_parameters(PRESETS["two-layer"]) == first + second + down + data


def test_one_number_is_the_one_layer_model_and_a_tuple_is_hierarchical():
    for latents, kind in ((2, "Generative"), ((2,), "HierarchicalGenerative")):
        config = elbax.ModelConfig(hidden=(3,), latents=latents)
        built = model_builder(config, (4,))(KEY)
        assert type(built.generative).__name__ == kind


def bernoulli_log_prob(logits, value):
    logits = np.asarray(logits, float)
    return np.sum(value * logits - np.logaddexp(0, logits))


def test_densities_of_a_sigmoid_belief_network_are_the_loops(x64):
    model = elbax.hierarchical((4,), BERNOULLI, key=KEY)
    x = np.array([1.0, 0, 0, 1])
    z = (np.array([1.0, 0, 1]), np.array([0.0, 1]), np.array([1.0, 1]))

    def logits(head, value):
        return value @ np.asarray(head.logits.weight) + np.asarray(head.logits.bias)

    p, q = model.generative, model.inference
    prior = bernoulli_log_prob(p.prior.logits, z[2])
    prior += bernoulli_log_prob(logits(p.decoders[2], z[2]), z[1])
    prior += bernoulli_log_prob(logits(p.decoders[1], z[1]), z[0])
    joint = prior + bernoulli_log_prob(logits(p.decoders[0], z[0]), x)
    posterior = bernoulli_log_prob(logits(q.encoders[0], x), z[0])
    posterior += bernoulli_log_prob(logits(q.encoders[1], z[0]), z[1])
    posterior += bernoulli_log_prob(logits(q.encoders[2], z[1]), z[2])
    x, z = jnp.asarray(x), tuple(map(jnp.asarray, z))
    np.testing.assert_allclose(p.log_prior(z), prior, rtol=1e-6)
    np.testing.assert_allclose(p.log_prob(x, z), joint, rtol=1e-6)
    np.testing.assert_allclose(q.log_prob(q.encode(x), z), posterior, rtol=1e-6)


def test_densities_of_normal_layers_are_scipys(x64):
    model = elbax.hierarchical((4,), NORMAL, key=KEY)
    z = (jnp.array([0.3, -1.0, 0.2]), jnp.array([1.0, -0.4]))
    above = model.generative.decoders[1](z[1])
    expected = scipy.stats.norm.logpdf(z[1]).sum()
    expected += scipy.stats.norm(above.loc, above.scale).logpdf(z[0]).sum()
    np.testing.assert_allclose(model.generative.log_prior(z), expected, rtol=1e-6)
    np.testing.assert_allclose(model.generative.follow_prior(z)[0], z[0], rtol=1e-6)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_draws_have_the_probabilities_of_the_densities(kind):
    """Frequencies of every latent value, prior and posterior, within five standard errors."""
    sizes = {"bernoulli": (2, 2), "categorical": (1, 1)}[kind]
    options = {"latent": kind, "categories": 3, "hidden": (), "latents": sizes}
    model = elbax.hierarchical((4,), elbax.ModelConfig(**options), key=KEY)
    model = jax.tree.map(lambda leaf: leaf + 0.5, model)
    z, num = every_latent(kind), 20_000
    keys = jax.random.split(jax.random.key(1), num)
    x = jnp.array([1.0, 0, 1, 1])
    context = model.inference.encode(x)
    draws = {
        "prior": jax.vmap(model.generative.sample_prior)(keys),
        "posterior": jax.vmap(lambda key: model.inference.sample(context, key))(keys),
    }
    densities = {
        "prior": jax.vmap(model.generative.log_prior)(z),
        "posterior": jax.vmap(lambda z: model.inference.log_prob(context, z))(z),
    }
    for name, drawn in draws.items():
        probability = np.exp(densities[name])
        np.testing.assert_allclose(probability.sum(), 1, rtol=1e-5)
        flat, values = (
            np.concatenate([np.asarray(layer).reshape(len(layer), -1) for layer in layers], axis=1)
            for layers in (drawn, z)
        )
        found = [np.mean(np.all(flat == value, axis=1)) for value in values]
        error = np.sqrt(probability * (1 - probability) / num)
        assert (np.abs(found - probability) < 5 * error).all()


@pytest.mark.parametrize("config", [NORMAL, BERNOULLI, CATEGORICAL])
def test_every_kind_trains_evaluates_and_dreams(config):
    model = elbax.hierarchical((2, 2), config, key=KEY, data_mean=np.full(4, 0.3))
    x = jnp.zeros((3, 2, 2))
    log_w = elbax.log_weights(model, x, 5, key=KEY)
    assert log_w.shape == (5, 3)
    assert jnp.isfinite(log_w).all()
    z = model.generative.sample_prior(KEY)
    assert model.generative.sample_data(z, KEY).shape == (2, 2)
    means = model.inference.mean(model.inference.encode(x[0]))
    assert jax.tree.map(jnp.shape, means) == jax.tree.map(jnp.shape, z)
    zero = jax.tree.map(jnp.zeros_like, z)
    if config.hidden == ():
        np.testing.assert_allclose(model.generative.mean(zero), 0.3, rtol=1e-5)


@pytest.mark.parametrize("latent", ["bernoulli", "categorical"])
def test_discrete_priors_cannot_be_followed(latent):
    config = elbax.ModelConfig(hidden=(), latents=(2, 1), latent=latent)
    model = elbax.hierarchical((4,), config, key=KEY)
    with pytest.raises(InputError, match="gdreg needs normal latents"):
        model.generative.follow_prior(model.generative.sample_prior(KEY))


WRONG = {
    "latent": (elbax.ModelConfig(latent="binary"), "unknown latent 'binary'"),
    "categories": (elbax.ModelConfig(latents=(2,), categories=1), "expected categories >= 2"),
    "no layer": (elbax.ModelConfig(latents=()), "expected one or more layers"),
    "empty layer": (elbax.ModelConfig(latents=(3, 0)), "with sizes >= 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_configs_are_refused_with_a_sentence(name):
    config, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        elbax.hierarchical((4,), config, key=KEY)


def test_scales_between_normal_layers_are_bounded_or_softplus():
    """Exponentials where tanh bounds what they read; never of latents that have no limit."""
    of = elbax.ModelConfig
    usual = {
        "exp": [of(), of(activation="relu"), PRESETS["two-layer"], PRESETS["sbn-2"]],
        "softplus": [
            of(latents=(8, 4)),
            of(latents=(8, 4), hidden_above=(16,), activation="relu"),
        ],
    }
    for scale, configs in usual.items():
        for config in configs:
            assert config.positive == config.explicit.scale == scale
    config = of(hidden=(4,), latents=(3, 2))
    model = elbax.hierarchical((4,), config, key=KEY)
    heads = (*model.inference.encoders, model.generative.decoders[1])
    assert {head.positive for head in heads} == {"softplus"}
    assert elbax.config_of(model)[0] == config
    asked = dataclasses.replace(config, scale="exp")
    assert elbax.config_of(elbax.hierarchical((4,), asked, key=KEY))[0] == asked


@pytest.mark.statistical
def test_two_layers_joined_by_a_linear_map_learn_a_gaussian():
    """With exponential scales this diverges within the first epochs; log p is known exactly."""
    rng = np.random.default_rng(0)
    map_, noise = rng.normal(size=(2, 5)), 0.5 * rng.normal(size=(500, 5))
    x = (rng.normal(size=(500, 2)) @ map_ + noise).astype(np.float32)
    normal = scipy.stats.multivariate_normal(cov=map_.T @ map_ + 0.25 * np.eye(5))
    config = elbax.ModelConfig(hidden=(16,), latents=(4, 2), likelihood="gaussian")
    training = elbax.TrainConfig(epochs=30, batch_size=50, learning_rate=0.01)
    found = elbax.fit("iwae(k=5)", x, model=config, config=training)
    assert found.status == ("ok",)
    log_w = np.asarray(elbax.log_weights(found.models[0], x, 100, key=KEY), np.float64)
    log_p_hat = np.logaddexp.reduce(log_w, axis=0) - np.log(100)
    assert -0.2 < np.mean(normal.logpdf(x) - log_p_hat) < 0.3
