"""The convolutional preset on images of the sizes it is for; activations by name."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._arrays import named_leaves
from elbax._errors import InputError
from elbax.models.build import build
from elbax.models.config import ACTIVATIONS, PRESETS
from elbax.nn import Activation

SMALL = elbax.ModelConfig(channels=(2, 3), hidden=(5,), latents=2, activation="relu")


@pytest.mark.parametrize("side", [28, 32])
def test_the_preset_fits_images_of_28_and_of_32(side):
    model = jax.eval_shape(lambda: build((side, side), PRESETS["conv"], key=jax.random.key(0)))
    x = jax.ShapeDtypeStruct((side, side), jnp.float32)
    z = jax.eval_shape(lambda m, x: m.inference.mean(m.inference.encode(x)), model, x)
    assert z.shape == (50,)
    assert jax.eval_shape(lambda m, z: m.generative.mean(z), model, z).shape == (side, side)


@pytest.mark.parametrize(
    ("likelihood", "shape"),
    [
        ("bernoulli", (8, 8)),
        ("gaussian", (8, 8)),
        ("discretised-logistic", (8, 8, 3)),
        ("continuous-bernoulli", (8, 8, 3)),
    ],
)
def test_bounds_and_gradients_of_every_parameter(likelihood, shape):
    config = elbax.ModelConfig(**{**vars(SMALL), "likelihood": likelihood, "activation": "tanh"})
    model = build(shape, config, key=jax.random.key(1))
    x = jax.random.bernoulli(jax.random.key(2), 0.5, (3, *shape)).astype(jnp.float32)
    (value, _), gradients = elbax.value_and_grad(elbax.iwae(k=3, gradient="dreg"))(
        model, x, key=jax.random.key(3)
    )
    assert np.isfinite(value)
    moved = {name: np.abs(leaf).max() > 0 for name, leaf in named_leaves(gradients).items()}
    assert {name for name in moved if not moved[name]} == {n for n in moved if ".standard." in n}


def test_a_convolution_has_no_other_way_from_the_image_than_its_kernel():
    """The reference: the same convolution written out as a sum, in NumPy."""
    network = build((8, 8), SMALL, key=jax.random.key(1)).inference.encoder.network
    x = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    kernel, bias = (
        np.asarray(a) for a in (network.convolutions[0].weight, network.convolutions[0].bias)
    )
    padded = np.pad(x, 1)
    expected = np.array(
        [
            [
                [(padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * one[0]).sum() for j in range(4)]
                for i in range(4)
            ]
            for one in kernel
        ]
    )
    found = network.convolutions[0](x[None])
    np.testing.assert_allclose(found, expected + bias, rtol=1e-4, atol=1e-5)


def test_colors_are_channels_of_the_first_convolution_and_of_the_last():
    """The same networks, in PyTorch's order of axes: channels, then rows and columns."""
    model = build((8, 4, 3), SMALL, key=jax.random.key(1))
    encoder, decoder = model.inference.encoder.network, model.generative.decoder
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4, 3)), jnp.float32)
    maps = x.transpose(2, 0, 1)
    for convolution in encoder.convolutions:
        maps = jax.nn.relu(convolution(maps))
    np.testing.assert_allclose(encoder(x.ravel()), encoder.dense(maps.reshape(-1)), rtol=1e-5)
    features = decoder.network(jnp.ones(2))
    expected = np.asarray(decoder.logits.convolution(features)).transpose(1, 2, 0)
    found = decoder.logits(features).reshape(8, 4, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_output_starts_at_the_mean_of_the_data():
    mean = np.linspace(0.01, 0.9, 64)
    model = build((8, 8), SMALL, key=jax.random.key(1), data_mean=mean)
    output = eqx.tree_at(
        lambda head: head.logits.convolution.weight,
        model.generative.decoder,
        replace_fn=jnp.zeros_like,
    )
    np.testing.assert_allclose(output(jnp.zeros(2)).mean(), mean, rtol=1e-5)


def test_several_layers_may_stand_on_convolutions():
    config = elbax.ModelConfig(channels=(2,), hidden=(), latents=(3, 2))
    model = build((8, 8), config, key=jax.random.key(1))
    log_w = elbax.log_weights(model, jnp.zeros((4, 8, 8)), 2, key=jax.random.key(2))
    assert log_w.shape == (2, 4)
    assert np.isfinite(log_w).all()


@pytest.mark.parametrize("shape", [(30, 28), (64,), (2, 4, 8), (3, 32, 32), (8, 8, 3, 2)])
def test_images_that_cannot_be_halved_are_refused(shape):
    with pytest.raises(InputError, match="sides are multiples of 4"):
        build(shape, SMALL, key=jax.random.key(0))


def test_activations_are_known_by_name():
    x = jnp.linspace(-2, 2, 5)
    np.testing.assert_allclose(Activation("tanh")(x), np.tanh(x), rtol=1e-6)
    np.testing.assert_allclose(Activation("leaky-relu")(x), np.where(x < 0, 0.01 * x, x))
    assert all(np.isfinite(Activation(name)(x)).all() for name in ACTIVATIONS)
    with pytest.raises(InputError, match="unknown activation 'rleu'; did you mean 'relu'"):
        build((4,), elbax.ModelConfig(activation="rleu"), key=jax.random.key(0))
