"""`product` is `x @ weight`: values, every derivative, every way of batching.

And networks refuse what they cannot be.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elbax._errors import InputError
from elbax.nn import MLP, Activation, ConvDecoder, ConvEncoder, ConvOutput, Linear, product

X, W = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate([(4, 5, 3), (3, 2)]))


def plain(x, weight):
    return x @ weight


def over_samples_and_data(f):
    inner = jax.vmap(f, in_axes=(0, None))
    return lambda x, weight: jax.vmap(inner, in_axes=(0, None))(x, weight)


WAYS = {
    "one vector": lambda f: lambda x, w: f(x[0, 0], w),
    "leading axes": lambda f: f,
    "vmap twice": over_samples_and_data,
    "weights batched": lambda f: lambda x, w: jax.vmap(f)(x, jnp.stack([w, 2 * w, 3 * w, w])),
    "only weights batched": lambda f: lambda x, w: jax.vmap(f, (None, 0))(x, jnp.stack([w, -w])),
    "last axis": lambda f: lambda x, w: jax.vmap(f, (2, None))(jnp.moveaxis(x, 0, 2), w),
    "a fleet": lambda f: (
        lambda x, w: jax.vmap(over_samples_and_data(f), (None, 0))(x, jnp.stack([w, 2 * w]))
    ),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_value_and_derivatives_are_those_of_the_plain_product(way, compiled):
    def derivatives(f):
        def value(x, w):
            return jnp.sum(jnp.sin(WAYS[way](f)(x, w)))

        gradient = jax.grad(value, argnums=(0, 1))

        def along(x, w):
            return jax.jvp(gradient, (x, w), (jnp.cos(x), jnp.cos(w)))

        return (jax.jit(along) if compiled else along)(X, W)

    for ours, plains in zip(
        jax.tree.leaves(derivatives(product)), jax.tree.leaves(derivatives(plain)), strict=True
    ):
        np.testing.assert_allclose(ours, plains, rtol=1e-4, atol=1e-5)


def test_the_weights_gradient_is_formed_without_an_outer_product_per_sample():
    def value(weight, x):
        return jnp.sum(jnp.tanh(over_samples_and_data(product)(x, weight)))

    x, weight = jnp.ones((64, 20, 200)), jnp.ones((200, 784))
    compiled = jax.jit(jax.grad(value)).lower(weight, x).compile()
    per_sample = 4 * 64 * 20 * 200 * 784
    assert compiled.memory_analysis().temp_size_in_bytes < per_sample / 10


def rounded(a):
    return np.asarray(jnp.asarray(a).astype(jnp.bfloat16), np.float64)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("way", ["leading axes", "vmap twice"])
def test_bfloat16_rounds_the_factors_and_nothing_else(way, compiled):
    """Both ways back too; sums in float32 are those of float64 to float32's digits."""
    towards = jax.random.normal(jax.random.key(2), (4, 5, 2))

    def both(x, weight):
        out, pull = jax.vjp(WAYS[way](product), x, weight)
        return out, *pull(towards)

    with jax.default_matmul_precision("bfloat16"):
        out, of_x, of_weight = (jax.jit(both) if compiled else both)(X, W)
    x, weight, cotangent = map(rounded, (X, W, towards))
    np.testing.assert_allclose(out, x @ weight, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_x, cotangent @ weight.T, rtol=1e-5, atol=1e-6)
    expected = np.einsum("sbi,sbo->io", x, cotangent)
    np.testing.assert_allclose(of_weight, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(out - np.asarray(X, np.float64) @ np.asarray(W, np.float64)).max() > 1e-3


@pytest.mark.parametrize("way", WAYS)
def test_bfloat16_is_the_same_in_every_way_of_batching(way):
    """A fleet's batch of weights too."""

    def plain_of_rounded(x, weight):
        return x.astype(jnp.bfloat16).astype(x.dtype) @ weight.astype(jnp.bfloat16).astype(x.dtype)

    with jax.default_matmul_precision("bfloat16"):
        found = WAYS[way](product)(X, W)
    np.testing.assert_allclose(found, WAYS[way](plain_of_rounded)(X, W), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_float64_is_not_rounded():
    x, weight = X.astype(jnp.float64), W.astype(jnp.float64)
    with jax.default_matmul_precision("bfloat16"):
        np.testing.assert_allclose(product(x, weight), np.asarray(x) @ np.asarray(weight), 1e-14)


KEY = jax.random.key(0)
WRONG = {
    "a size of 0": (lambda: Linear(0, 3, key=KEY), "num_in >= 1; got 0"),
    "no sizes": (lambda: MLP([], key=KEY), "size of an MLP's input, .* got none"),
    "a layer of 0": (lambda: MLP([3, 0], key=KEY), "num_out >= 1; got 0"),
    "an activation": (lambda: Activation("tahn"), "did you mean 'tanh'"),
    "odd images": (
        lambda: ConvEncoder((9, 8), (4,), (), key=KEY, activation=jnp.tanh),
        r"multiples of 2 .* got data of shape \(9, 8\)",
    ),
    "no channels": (
        lambda: ConvDecoder((8, 8), (), (2,), key=KEY, activation=jnp.tanh),
        r"one or more convolutions.*; got \(\)",
    ),
    "a row": (lambda: ConvOutput((8,), 3, key=KEY), r"got data of shape \(8,\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_network_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        make()


def test_a_single_size_is_the_identity():
    np.testing.assert_array_equal(MLP([3], key=KEY)(jnp.arange(3.0)), jnp.arange(3.0))
