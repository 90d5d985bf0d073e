"""Weights from elsewhere: a foreign network in float64 NumPy, and what cannot be put in."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from tests.conftest import REPOSITORY
from tests.models import MODELS

SIZES = {"encoder.0": (7, 5), "encoder.1": (5, 5), "encoder.loc": (5, 3), "encoder.scale": (5, 3)}
SIZES |= {"decoder.0": (3, 5), "decoder.1": (5, 5), "decoder.logits": (5, 7)}
# elbax's layers, and the foreign ones.
NAMES = {
    "inference.encoder.network.layers.0": "encoder.0",
    "inference.encoder.network.layers.1": "encoder.1",
    "inference.encoder.loc": "encoder.loc",
    "inference.encoder.scale": "encoder.scale",
    "generative.decoder.network.layers.0": "decoder.0",
    "generative.decoder.network.layers.1": "decoder.1",
    "generative.decoder.logits": "decoder.logits",
}
CONFIG = elbax.ModelConfig(hidden=(5, 5), latents=3, scale="softplus", scale_floor=0.0)


@pytest.fixture(scope="module")
def foreign():
    """A state dictionary as PyTorch has it: float64, matrices `[out, in]`."""
    rng = np.random.default_rng(0)
    state = {}
    for name, (num_in, num_out) in SIZES.items():
        state[f"{name}.weight"] = rng.normal(size=(num_out, num_in))
        state[f"{name}.bias"] = rng.normal(size=num_out)
    return state


@pytest.fixture(scope="module")
def model():
    return elbax.one_layer((7,), CONFIG, key=jax.random.key(0))


def renamed(state):
    return {
        f"{ours}.{part}": state[f"{theirs}.{part}"]
        for ours, theirs in NAMES.items()
        for part in ("weight", "bias")
    }


def foreign_log_probs(state, x, z):
    """Log p(x, z) and log q(z | x) `[B]` of the foreign network, its own formulas."""

    def layer(name, inputs):
        return inputs @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def log_normal(value, loc, scale):
        terms = ((value - loc) / scale) ** 2 + 2 * np.log(scale) + np.log(2 * np.pi)
        return -0.5 * terms.sum(-1)

    h = np.tanh(layer("encoder.1", np.tanh(layer("encoder.0", x))))
    scale = np.log(1 + np.exp(layer("encoder.scale", h)))
    log_q = log_normal(z, layer("encoder.loc", h), scale)
    g = np.tanh(layer("decoder.1", np.tanh(layer("decoder.0", z))))
    p = 1 / (1 + np.exp(-layer("decoder.logits", g)))
    log_p = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(-1) + log_normal(
        z, 0.0, np.ones(z.shape[-1])
    )
    return log_p, log_q


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the Python of docs/weights.md defines, on a state drawn at random."""
    widths = {"fc1": (784, 200), "fc2": (200, 200), "loc": (200, 50), "scale": (200, 50)}
    widths |= {"fc3": (50, 200), "fc4": (200, 200), "out": (200, 784)}
    rng = np.random.default_rng(3)
    state = {}
    for name, (num_in, num_out) in widths.items():
        state[f"{name}.weight"] = rng.normal(size=(num_out, num_in)) / num_in**0.5
        state[f"{name}.bias"] = 0.3 * rng.normal(size=num_out)
    text = (REPOSITORY / "docs" / "weights.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("page"))
        np.savez("state.npz", **state)
        for block in blocks[-2:]:
            exec(block, names)
    return names, state


THEIRS = {"encoder.0": "fc1", "encoder.1": "fc2", "encoder.loc": "loc", "encoder.scale": "scale"}
THEIRS |= {"decoder.0": "fc3", "decoder.1": "fc4", "decoder.logits": "out"}


def test_the_network_of_the_page_gives_its_own_log_probabilities(page):
    names, state = page
    state = {
        f"{layer}.{part}": state[f"{theirs}.{part}"]
        for layer, theirs in THEIRS.items()
        for part in ("weight", "bias")
    }
    rng = np.random.default_rng(1)
    x, z = (rng.random((4, 784)) < 0.5).astype(float), rng.normal(size=(4, 50))
    expected = foreign_log_probs(state, x, z)
    found = names["log_probs"](jnp.asarray(x, jnp.float32), jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # The square matrices alone the wrong way round: nothing but these numbers would show it.
    arrays = {n: a.T if a.shape == (200, 200) else a for n, a in names["arrays"].items()}
    wrong = elbax.with_arrays(names["model"], arrays, transposed=True)
    turned = jax.vmap(wrong.generative.log_prob)(jnp.asarray(x), jnp.asarray(z))
    assert np.abs(turned - expected[0]).min() > 1


def test_a_log_variance_is_brought_in_by_halving_it(foreign):
    state = dict(foreign)
    config = elbax.ModelConfig(hidden=(5, 5), latents=3, scale="exp", scale_floor=0.0)
    model = elbax.one_layer((7,), config, key=jax.random.key(0))
    arrays = renamed(state)
    for part in ("weight", "bias"):
        arrays[f"inference.encoder.scale.{part}"] = 0.5 * arrays[f"inference.encoder.scale.{part}"]
    brought = elbax.with_arrays(model, arrays, transposed=True)
    x = np.eye(7)[:2]
    h = np.tanh(x @ state["encoder.0.weight"].T + state["encoder.0.bias"])
    h = np.tanh(h @ state["encoder.1.weight"].T + state["encoder.1.bias"])
    log_variance = h @ state["encoder.scale.weight"].T + state["encoder.scale.bias"]
    scale = jax.vmap(brought.inference.encode)(jnp.asarray(x, jnp.float32)).scale
    np.testing.assert_allclose(scale, np.sqrt(np.exp(log_variance)), rtol=1e-5)


def test_arrays_go_in_as_they_came_out(model):
    other = elbax.one_layer((7,), CONFIG, key=jax.random.key(1))
    brought = elbax.with_arrays(model, elbax.arrays_of(other), transposed=False)
    for name, array in elbax.arrays_of(other).items():
        np.testing.assert_array_equal(elbax.arrays_of(brought)[name], array)


def test_auto_sees_the_layout_where_shapes_tell_it():
    model = elbax.one_layer((7,), elbax.ModelConfig(hidden=(5,), latents=3), key=jax.random.key(0))
    arrays = elbax.arrays_of(model)
    turned = {name: array.T for name, array in arrays.items()}
    for given in (arrays, turned):
        brought = elbax.arrays_of(elbax.with_arrays(model, given))
        assert all((brought[name] == arrays[name]).all() for name in arrays)
    name = "inference.encoder.loc.weight"
    with pytest.raises(elbax.InputError, match=r"expected all matrices alike; 'inf.*loc\.weight'"):
        elbax.with_arrays(model, arrays | {name: arrays[name].T})


def test_only_the_maps_of_elbax_are_transposed():
    """Arrays that are `[out, in]`, or no matrices of a map, stay as they are."""
    model = MODELS["categorical"]()
    arrays = elbax.arrays_of(model)
    ours = {n: a.T if "decoders" in n or "encoders" in n else a for n, a in arrays.items()}
    brought = elbax.arrays_of(elbax.with_arrays(model, ours, transposed=True))
    assert all((brought[name] == arrays[name]).all() for name in arrays)


@pytest.mark.parametrize("name", ["linear-gaussian", "two-layer"])
def test_a_model_without_such_maps_has_nothing_to_transpose(name):
    model = MODELS[name]()
    with pytest.raises(elbax.InputError, match="expected transposed=False: this model has none"):
        elbax.with_arrays(model, elbax.arrays_of(model), transposed=True)


def test_transposed_is_a_truth_value_or_auto():
    model = MODELS["bernoulli-exp"]()
    with pytest.raises(elbax.InputError, match="expected transposed to be True, False or 'auto'"):
        elbax.with_arrays(model, elbax.arrays_of(model), transposed="yes")


LOC = "inference.encoder.loc"


def without(name):
    return lambda arrays: {n: a for n, a in arrays.items() if n != name}


def with_one(name, value):
    return lambda arrays: arrays | {name: value}


def first_as(value):
    return lambda arrays: arrays | {f"{LOC}.bias": np.array([value, 0.0, 0.0])}


WRONG = {
    "missing": (without(f"{LOC}.bias"), rf"missing: {LOC}\.bias; too many: none"),
    "extra": (with_one("fc3.bias", np.zeros(2)), r"missing: none; too many: fc3\.bias"),
    "a misspelt name": (
        lambda arrays: without(f"{LOC}.bias")(arrays) | {"b": np.zeros(3), "c": np.zeros(3)},
        rf"missing: {LOC}\.bias; too many: b, c",
    ),
    "another shape": (with_one(f"{LOC}.bias", np.zeros(4)), r"of shape \[3\]; got \[4\]\."),
    "the wrong way round": (
        with_one(f"{LOC}.weight", np.zeros((5, 3))),
        r"of shape \[5, 3\]; got \[3, 5\]\. That is its transpose",
    ),
    "integers": (with_one(f"{LOC}.bias", np.zeros(3, int)), "as float32; got int64"),
    "complex": (with_one(f"{LOC}.bias", np.zeros(3, complex)), "of real numbers; got complex128"),
    "texts": (with_one(f"{LOC}.bias", np.array(["1", "2", "3"])), "of real numbers; got <U1"),
    "objects": (with_one(f"{LOC}.bias", np.array([None] * 3)), "of real numbers; got object"),
    "ragged": (with_one(f"{LOC}.bias", [[1.0], [1.0, 2.0]]), "cannot read 'inf.* as an array"),
    "NaN": (first_as(np.nan), "finite as float32; got NaN or infinity in 1 of 3"),
    "too large": (first_as(1e300), "finite as float32; got NaN or infinity in 1 of 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_with_a_sentence(name, foreign, model):
    change, message = WRONG[name]
    with pytest.raises(elbax.InputError, match=message):
        elbax.with_arrays(model, change(renamed(foreign)), transposed=True)


def test_a_square_matrix_has_to_be_said(foreign, model):
    with pytest.raises(elbax.InputError, match=r"the square matrix '.*layers\.1\.weight' fits as"):
        elbax.with_arrays(model, renamed(foreign))
