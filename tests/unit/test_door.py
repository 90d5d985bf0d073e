"""The door: what cannot be right is refused with a sentence before anything runs."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax._door import checked, checked_key
from elbax._errors import InputError
from tests.models import MODELS, two_layer

KEY = jax.random.key(0)
X = np.eye(4, dtype=np.float32)


class Frame:
    """What a data frame looks like from here."""

    def to_numpy(self):
        return X


WRONG = {
    "a list": (
        {"x": X.tolist()},
        r"expected x as a NumPy or JAX array .* Give numpy\.asarray\(x\)",
    ),
    "a frame": ({"x": Frame()}, r"got Frame\. Give x\.to_numpy\(\)"),
    "one datum": ({"x": X[0]}, r"shape \[B, 4\]; got \[4\]\. .* give x\[None\]"),
    "another width": ({"x": X[:, :3]}, r"shape \[B, 4\]; got \[4, 3\]"),
    "another shape of that size": (
        {"x": X.reshape(4, 2, 2)},
        r"got \[4, 2, 2\]\. Give the data in",
    ),
    "no data": ({"x": X[:0]}, r"got \[0, 4\]\. Give at least one datum"),
    "text": ({"x": np.full((2, 4), "a")}, "expected x as real numbers; got <U1"),
    "complex": ({"x": X.astype(complex)}, "expected x as real numbers; got complex128"),
    "a mask": ({"x": np.ma.masked_array(X, X > 0)}, "expected x without a mask"),
    "levels": ({"x": 16 * X}, r"in \[0, 1\] for a Bernoulli .* from 0 to 16\. Divide"),
    "signs": ({"x": 2 * X - 1}, "got values from -1 to 1"),
    "on the device": ({"x": jnp.asarray(2 * X)}, "got values from 0 to 2"),
    "an integer key": ({"key": 0}, r"one random key, such as jax\.random\.key\(0\); got 0"),
    "several keys": (
        {"key": jax.random.split(KEY)},
        r"one random key.*; got an array of shape \[2\]",
    ),
    "no model": ({"model": X}, r"a model with \.generative and \.inference; got ndarray"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_right_is_refused(name):
    given, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        checked(**{"model": MODELS["bernoulli-exp"](), "x": X, "key": KEY, **given})


@pytest.mark.parametrize("model", MODELS)
def test_every_model_lets_its_data_in(model):
    x, key = checked(MODELS[model](), X, KEY)
    np.testing.assert_array_equal(x, X)
    assert key == KEY


def test_real_data_have_no_range_but_where_the_likelihood_has():
    real, holed = 40 * X - 3, np.where(X > 0, np.nan, X)
    for model in (MODELS["gaussian-softplus"](), MODELS["linear-gaussian"](), two_layer()):
        np.testing.assert_array_equal(checked(model, real, KEY)[0], real)
    np.testing.assert_array_equal(checked(MODELS["bernoulli-exp"](), holed, KEY)[0], holed)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64"])
def test_data_become_floats_of_the_current_precision(dtype):
    assert checked(MODELS["bernoulli-exp"](), X.astype(dtype), KEY)[0].dtype == "float32"


def test_the_two_integers_of_an_old_key_are_a_key():
    assert checked_key(jax.random.PRNGKey(3)) == jax.random.key(3)


def test_traced_data_pass_and_their_shape_is_looked_at():
    model = MODELS["bernoulli-exp"]()
    assert jax.jit(lambda x: checked(model, x, KEY)[0])(X).shape == (4, 4)
    with pytest.raises(InputError, match=r"got \[2, 3\]"):
        jax.jit(lambda x: checked(model, x, KEY)[0])(jnp.zeros((2, 3)))


def test_every_public_function_has_the_door():
    """In a process of its own, where no type checker stands before it."""
    calls = """
import elbax, jax
config = elbax.ModelConfig(hidden=(), latents=2)
key, iwae = jax.random.key(0), elbax.iwae(2)
model = elbax.one_layer((4,), config, key=key)
for call in (
    lambda x: elbax.log_weights(model, x, 2, key=key),
    lambda x: elbax.value_and_grad(iwae)(model, x, key=key),
    lambda x: elbax.evaluate(model, x, key=key, ks=(1,)),
    lambda x: elbax.active_units(model, x, key=key),
    lambda x: elbax.snr(iwae, model, x, key=key, num_draws=32),
    lambda x: elbax.posterior_means(model, x),
    lambda x: elbax.reconstructions(model, x),
):
    for x in ([[0.0] * 4] * 2, 3):
        try:
            call(x)
        except elbax.InputError as error:
            print(str(error)[:40])
"""
    told = subprocess.run([sys.executable, "-c", calls], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == ["expected x as a NumPy or JAX array [B, *"] * 14


def test_a_bound_that_is_not_finite_on_ordinary_log_weights_is_refused():
    """Of 784 binary pixels log-weights are about -550; exp of half of that is 0 in float32."""

    def underflows(log_w):
        return 2 * jnp.log(jnp.mean(jnp.exp(log_w / 2)))

    with pytest.raises(InputError, match=r"finite scalar .* near -550, .* jax.nn.logsumexp"):
        elbax.bounds.Custom(underflows, num_samples=64)
    with pytest.raises(InputError, match="finite scalar"):
        elbax.bounds.Custom(lambda log_w: log_w, num_samples=64)
    with pytest.raises(InputError, match=r"finite scalar .* near -550"):
        jax.jit(lambda v: elbax.bounds.Custom(underflows, num_samples=64)(v))(jnp.zeros((64, 1)))


def test_a_bound_of_ones_own_may_be_built_under_jit():
    def total(log_w):
        function = lambda v: jax.nn.logsumexp(v) - jnp.log(64)  # noqa: E731
        return elbax.bounds.Custom(function, num_samples=64)(log_w)

    np.testing.assert_allclose(jax.jit(total)(jnp.full((64, 2), -550.0)), -550, rtol=1e-6)
