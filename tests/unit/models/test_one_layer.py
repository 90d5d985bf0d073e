"""The one-layer model: its size, its first parameters, scales that never reach zero."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from elbax import ModelConfig, one_layer
from elbax._errors import InputError
from elbax.models.config import LARGER, PRESETS, REFERENCE
from elbax.models.heads import NormalHead
from elbax.nn import MLP, Linear

KEY = jax.random.key(81)
SMALL = ModelConfig(hidden=(5,), latents=2)


def small(event_shape=(4,), data_mean=None, data_sd=None, **options):
    config = ModelConfig(hidden=(5,), latents=2, **options)
    return one_layer(event_shape, config, key=KEY, data_mean=data_mean, data_sd=data_sd)


def shapes(event_shape, config):
    """The model with shapes for arrays: nothing is drawn."""
    return eqx.filter_eval_shape(lambda key: one_layer(event_shape, config, key=key), KEY)


def num_parameters(model):
    return sum(leaf.size for leaf in jax.tree.leaves(model) if hasattr(leaf, "size"))


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("config", "expected"), [(None, 425_284), (REFERENCE, 425_284), (LARGER, 973_624)]
)
def test_parameter_counts_are_the_papers(config, expected):
    assert num_parameters(shapes((28, 28), config)) == expected


def test_the_default_config_is_the_reference():
    assert ModelConfig() == REFERENCE == PRESETS["reference"]
    assert PRESETS["larger"] == LARGER


def test_the_decoder_mirrors_the_encoder():
    model = shapes((7,), ModelConfig(hidden=(6, 5), latents=3))
    encoder, decoder = model.inference.encoder, model.generative.decoder
    assert [layer.weight.shape for layer in encoder.network.layers] == [(7, 6), (6, 5)]
    assert encoder.loc.weight.shape == encoder.scale.weight.shape == (5, 3)
    assert [layer.weight.shape for layer in decoder.network.layers] == [(3, 5), (5, 6)]
    assert decoder.logits.weight.shape == (6, 7)
    assert model.generative.num_latents == 3


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_no_hidden_layer_makes_a_linear_model(likelihood):
    config = ModelConfig(hidden=(), latents=2, likelihood=likelihood)
    model = shapes((4,), config)
    heads = 2 if likelihood == "gaussian" else 1
    constants = 4 * 4 if likelihood == "gaussian" else 0  # mean and sd, on either side
    assert num_parameters(model) == 2 * (4 * 2 + 2) + heads * (2 * 4 + 4) + constants


# ------------------------------------------------------------------ first parameters


def test_glorot_weights_fill_their_limits_and_biases_are_zero():
    layer = Linear(60, 40, key=KEY)
    limit = np.sqrt(6 / 100)
    weight = np.asarray(layer.weight)
    assert np.abs(weight).max() <= limit
    assert np.abs(weight).max() > 0.99 * limit
    np.testing.assert_allclose(weight.var(), limit**2 / 3, rtol=0.1)
    assert abs(weight.mean()) < 0.05 * limit
    np.testing.assert_array_equal(layer.bias, 0)


def test_fan_in_weights_and_biases_fill_the_limits_of_pytorch():
    layer = Linear(400, 300, key=KEY, initialization="fan-in")
    for values in (np.asarray(layer.weight), np.asarray(layer.bias)):
        assert 0.99 / 20 < np.abs(values).max() <= 1 / 20
        np.testing.assert_allclose(values.var(), 1 / 1200, rtol=0.15)
    with pytest.raises(InputError, match="unknown initialization 'pytorch'"):
        Linear(4, 3, key=KEY, initialization="pytorch")


def test_a_model_that_starts_by_fan_in_is_alike_in_all_else():
    model = small(initialization="fan-in", data_mean=np.full(4, 0.3))
    glorot = small(data_mean=np.full(4, 0.3))
    assert shapes_of(model) == shapes_of(glorot)
    for one in (model.inference.encoder, model.generative.decoder):
        for layer in one.network.layers:
            assert 0 < np.abs(layer.bias).max() <= layer.weight.shape[0] ** -0.5
    # Where the output starts is asked for by itself.
    np.testing.assert_array_equal(
        model.generative.decoder.logits.bias, glorot.generative.decoder.logits.bias
    )
    with pytest.raises(InputError, match="expected initialization='glorot' with convolutions"):
        shapes((8, 8), ModelConfig(channels=(2,), initialization="fan-in"))


def shapes_of(model) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]


def test_no_two_matrices_share_their_randomness():
    config = ModelConfig(hidden=(4,), latents=4, likelihood="gaussian")
    leaves = jax.tree.leaves(eqx.filter(one_layer((4,), config, key=KEY), eqx.is_array))
    weights = {tuple(np.asarray(leaf).ravel()) for leaf in leaves if leaf.shape == (4, 4)}
    assert len(weights) == 6


def test_every_layer_of_an_mlp_is_activated():
    network = MLP([3, 4, 2], key=KEY)
    x = jnp.array([1.0, -2.0, 3.0])
    expected = np.asarray(x)
    for layer in network.layers:
        expected = np.tanh(expected @ np.asarray(layer.weight) + np.asarray(layer.bias))
    np.testing.assert_allclose(network(x), expected, rtol=1e-5)


def test_the_output_starts_at_the_logit_of_the_clipped_mean():
    mean = np.array([0.0, 0.0005, 0.3, 1.0])
    bias = small(data_mean=mean).generative.decoder.logits.bias
    np.testing.assert_allclose(bias, scipy.special.logit([0.001, 0.001, 0.3, 0.999]), rtol=1e-6)
    assert bias.dtype == jnp.float32


def test_the_output_of_a_gaussian_starts_at_the_mean():
    mean = np.array([-3.0, 0.0, 0.5, 100.0])
    head = small(data_mean=mean, likelihood="gaussian").generative.decoder
    np.testing.assert_allclose(head.loc.bias, mean)
    np.testing.assert_array_equal(head.scale.bias, 0)


def test_a_gaussian_starts_at_the_mean_and_the_standard_deviation_of_its_data():
    mean, sd = np.array([-3.0, 3e4, 0.5, 7.0]), np.array([2.0, 1e4, 1e-3, 0.0])
    for scale in ("exp", "softplus"):
        model = small(data_mean=mean, data_sd=sd, likelihood="gaussian", scale=scale)
        zero = jax.tree.map(jnp.zeros_like, model.generative.decoder.network)
        head = eqx.tree_at(lambda h: h.network, model.generative.decoder, zero)
        start = head(jnp.ones(2))  # what it gives where its features are zero: the biases
        np.testing.assert_allclose(start.loc, mean, rtol=1e-6)
        np.testing.assert_allclose(start.scale, [2.0, 1e4, 1e-3, 1.0], rtol=2e-6)


def test_the_pixels_of_an_image_have_one_unit():
    sd = np.array([[0.0, 0.1], [0.2, 0.4]])
    model = small((2, 2), np.zeros(4), data_sd=sd.ravel(), likelihood="gaussian")
    expected = np.sqrt((sd**2).mean())
    np.testing.assert_allclose(model.generative.decoder.standard.scale, expected, rtol=1e-6)


def test_standardizing_is_a_change_of_units(x64):
    """In other units of the data, densities differ by the log of the Jacobian, and nothing else."""
    mean, sd = np.array([-3.0, 3e4, 0.5, 7.0]), np.array([2.0, 1e4, 1e-3, 5.0])
    units = as_float64(small(data_mean=mean, data_sd=sd, likelihood="gaussian"))
    plain = as_float64(
        small(data_mean=0 * mean, likelihood="gaussian", standardize=False, scale_floor=1e-6)
    )
    z, y = jnp.array([0.7, -1.3]), jnp.array([0.3, 1, -1, 0])
    x = mean + y * sd
    np.testing.assert_allclose(
        units.generative.log_prob(x, z),
        plain.generative.log_prob(y, z) - np.log(sd).sum(),
        rtol=1e-9,
    )
    np.testing.assert_allclose(units.inference.encode(x).loc, plain.inference.encode(y).loc)


def test_a_standardized_model_is_built_in_a_compiled_function_too():
    stats = {"data_mean": np.ones(16), "data_sd": np.ones(16)}
    for channels in ((), (2,)):
        config = ModelConfig(hidden=(5,), latents=2, channels=channels, likelihood="gaussian")
        model = eqx.filter_eval_shape(
            lambda key, c=config: one_layer((4, 4), c, key=key, **stats), KEY
        )
        assert model.inference.encoder.network.standard.center.shape == (16,)


def test_the_constants_have_no_gradient():
    model = small(data_mean=np.ones(4), data_sd=np.full(4, 2.0), likelihood="gaussian")

    def bound(model):
        context = model.inference.encode(jnp.ones(4))
        return model.generative.log_prob(jnp.ones(4), context.sample(KEY))

    gradient = eqx.filter_grad(bound)(model)
    for one in (gradient.inference.encoder.network, gradient.generative.decoder):
        assert not one.standard.center.any()
        assert not one.standard.scale.any()
    assert gradient.generative.decoder.loc.weight.any()


@pytest.mark.parametrize("sd", [np.ones(3), np.full(4, -1.0), np.full(4, np.nan)])
def test_standard_deviations_that_fit_no_data_are_refused(sd):
    with pytest.raises(InputError, match="expected data_sd with 4 values >= 0"):
        small(data_sd=sd, likelihood="gaussian")


def test_the_output_starts_at_zero_without_a_mean_or_when_told_to():
    mean = np.full(4, 0.3)
    for model in (small(), small(data_mean=mean, output_bias=False)):
        np.testing.assert_array_equal(model.generative.decoder.logits.bias, 0)


# ------------------------------------------------------------------ scales


def head_with_raw_scale(raw, positive, floor=1e-6):
    head = NormalHead(
        MLP([3], key=KEY), Linear(3, 2, key=KEY), Linear(3, 2, key=KEY), positive, floor
    )
    changes = (jnp.zeros((3, 2)), jnp.full(2, raw))
    return eqx.tree_at(lambda h: (h.scale.weight, h.scale.bias), head, changes)


@pytest.mark.parametrize("positive", ["exp", "softplus"])
def test_a_scale_never_reaches_zero(positive):
    q = head_with_raw_scale(-200.0, positive)(jnp.ones(3))
    np.testing.assert_allclose(q.scale, 1e-6, rtol=1e-6)
    for value in (q.loc, q.loc + 1, q.sample(KEY)):
        assert jnp.isfinite(q.log_prob(value))
    density = eqx.filter_jit(jax.grad(lambda h: h(jnp.ones(3)).log_prob(q.loc + 1e-6)))
    gradient = density(head_with_raw_scale(-200.0, positive))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ("positive", "function"), [("exp", np.exp), ("softplus", lambda raw: np.log1p(np.exp(raw)))]
)
def test_a_scale_is_the_floor_plus_a_positive_function(positive, function):
    for raw in (-3.0, 0.0, 4.0):
        q = head_with_raw_scale(raw, positive, floor=0.25)(jnp.ones(3))
        np.testing.assert_allclose(q.scale, 0.25 + function(raw), rtol=1e-6)


def test_softplus_scales_grow_slowly():
    scale = head_with_raw_scale(200.0, "softplus")(jnp.ones(3)).scale
    np.testing.assert_allclose(scale, 200, rtol=1e-6)


# ------------------------------------------------------------------ densities


def as_float64(model):
    return jax.tree.map(
        lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, model
    )


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_float32_agrees_with_float64(likelihood):
    model = small((2, 4), likelihood=likelihood)
    x = np.array([[0.0, 1, 1, 0], [1, 1, 0, 0]], np.float32)
    z = np.array([0.7, -1.3], np.float32)

    @jax.jit
    def densities(model, x, z):
        context = model.inference.encode(x)
        return [model.generative.log_prob(x, z), model.inference.log_prob(context, z)]

    single = densities(model, jnp.asarray(x), jnp.asarray(z))
    with jax.enable_x64(True):
        x, z = jnp.asarray(x, jnp.float64), jnp.asarray(z, jnp.float64)
        double = densities(as_float64(model), x, z)
    assert [value.dtype for value in single + double] == ["float32"] * 2 + ["float64"] * 2
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_the_bernoulli_joint_density_is_scipys(x64):
    model = as_float64(small())
    x, z = np.array([0.0, 1, 1, 0]), np.array([0.7, -1.3])
    decoder = model.generative.decoder
    logits = np.asarray(decoder.logits(decoder.network(jnp.asarray(z))))
    expected = scipy.stats.norm.logpdf(z).sum()
    expected += scipy.stats.bernoulli(scipy.special.expit(logits)).logpmf(x).sum()
    found = model.generative.log_prob(jnp.asarray(x), jnp.asarray(z))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(
        model.generative.mean(jnp.asarray(z)), scipy.special.expit(logits), rtol=1e-12
    )


def test_the_gaussian_joint_density_is_scipys(x64):
    model = as_float64(small(likelihood="gaussian"))
    x, z = np.array([0.3, 1, -1, 0]), np.array([0.7, -1.3])
    head = model.generative.decoder
    features = head.network(jnp.asarray(z))
    loc, scale = np.asarray(head.loc(features)), 1e-6 + np.exp(head.scale(features))
    expected = scipy.stats.norm.logpdf(z).sum() + scipy.stats.norm(loc, scale).logpdf(x).sum()
    found = model.generative.log_prob(jnp.asarray(x), jnp.asarray(z))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(model.generative.mean(jnp.asarray(z)), loc, rtol=1e-12)


def test_images_are_raveled_row_by_row():
    flat, square = small((4,)), small((2, 2))
    x, z = jnp.array([0.0, 1, 1, 0]), jnp.array([0.7, -1.3])
    np.testing.assert_array_equal(
        square.generative.log_prob(x.reshape(2, 2), z), flat.generative.log_prob(x, z)
    )
    np.testing.assert_array_equal(
        square.inference.encode(x.reshape(2, 2)).loc, flat.inference.encode(x).loc
    )
    np.testing.assert_array_equal(square.generative.mean(z).ravel(), flat.generative.mean(z))
    assert square.generative.mean(z).shape == (2, 2)


def test_the_prior_is_standard_normal():
    model = small()
    draws = jax.vmap(model.generative.sample_prior)(jax.random.split(KEY, 5000))
    assert draws.shape == (5000, 2)
    assert scipy.stats.kstest(np.asarray(draws).ravel(), "norm").pvalue > 1e-6


# ------------------------------------------------------------------ wrong configs

WRONG = {
    "scale": (ModelConfig(scale="softpluss"), "unknown scale 'softpluss'; did you mean 'softplus'"),
    "likelihood": (ModelConfig(likelihood="normal"), "unknown likelihood 'normal'.*Known: bern"),
    "latents": (ModelConfig(latents=0), r"layers with sizes >= 1; got hidden \(200, 200\) and"),
    "hidden": (ModelConfig(hidden=(3, -1)), r"layers with sizes >= 1; got hidden \(3, -1\)"),
    "discrete": (PRESETS["sbn"], r"one layer of normal latents .* Take `elbax.hierarchical`"),
    "floor": (ModelConfig(scale_floor=-1e-3), "expected scale_floor >= 0; got -0.001"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_configs_are_refused_with_a_sentence(name):
    config, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        one_layer((4,), config, key=KEY)


@pytest.mark.parametrize("config", [REFERENCE, LARGER, SMALL, ModelConfig(hidden=())])
def test_good_configs_are_let_through(config):
    shapes((4,), config)


@pytest.mark.parametrize("mean", [np.ones(3), np.full(4, np.nan), np.full(4, 128.0), np.ones(1)])
def test_means_that_fit_no_data_are_refused(mean):
    with pytest.raises(InputError, match="expected data_mean with 4 values"):
        small(data_mean=mean)
