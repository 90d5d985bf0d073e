"""Models in memory and on disk: pickled, copied, saved, told what they are; strangers' files."""

import copy
import json
import math
import pickle
import struct
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import elbax
from elbax._arrays import digest, named_leaves
from elbax.models._linear_gaussian import LinearGaussian
from elbax.models.config import ACTIVATIONS
from elbax.nn import Activation
from tests.models import MODELS, binary_data

OURS = [name for name in MODELS if name not in ("two-layer", "own-networks")]
SIZES = {"hidden": (5,), "latents": 2}
CONFIGS = {
    "linear": {"hidden": ()},
    "conv": {
        "channels": (2,),
        "hidden": (3,),
        "activation": "relu",
        "likelihood": "gaussian",
        "scale": "softplus",
    },
    "levels": {"likelihood": "discretised-logistic", "levels": 16, "scale": "softplus"},
    "levels of a belief network": {
        "latents": (3,),
        "latent": "bernoulli",
        "likelihood": "discretised-logistic",
        "scale_floor": 0.01,
    },
    "intensities": {"channels": (2,), "likelihood": "continuous-bernoulli"},
    "floor": {"scale": "softplus", "scale_floor": 0.0},
    "one of a tuple": {"latents": (3,)},
    "deep": {"latents": (3, 2), "hidden_above": (4, 3), "likelihood": "gaussian"},
    "categorical": {"latents": (2, 1), "latent": "categorical", "categories": 3},
}


def built(name):
    config = elbax.ModelConfig(**{**SIZES, **CONFIGS[name]})
    kind = elbax.one_layer if isinstance(config.latents, int) else elbax.hierarchical
    return config, kind((4, 4), config, key=jax.random.key(1))


def bits(model):
    return {name: (a.dtype, a.tobytes()) for name, a in elbax.arrays_of(model).items()}


def same(first, second):
    """The same program of the same numbers."""
    return jax.tree.structure(first) == jax.tree.structure(second) and bits(first) == bits(second)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_tells_its_configuration_and_survives_copies_and_files(name, tmp_path):
    config, model = built(name)
    assert elbax.config_of(model) == (config, (4, 4))
    assert same(pickle.loads(pickle.dumps(model)), model)
    assert same(copy.deepcopy(model), model)
    elbax.save(model, tmp_path / "m.safetensors")
    assert same(elbax.load(tmp_path / "m.safetensors"), model)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_name_and_the_function_of_that_name(name):
    activation = Activation(name)
    assert pickle.loads(pickle.dumps(activation)) == copy.deepcopy(activation) == activation
    x = np.linspace(-3, 3, 13)
    erf = np.vectorize(math.erf)
    expected = {
        "tanh": np.tanh(x),
        "relu": np.maximum(x, 0),
        "leaky-relu": np.where(x < 0, 0.01 * x, x),
        "elu": np.where(x < 0, np.expm1(x), x),
        "gelu": x * (1 + erf(x / 2**0.5)) / 2,
        "softplus": np.log1p(np.exp(x)),
    }[name]
    # JAX's gelu is the tanh approximation, within 1e-3.
    atol = 1e-3 if name == "gelu" else 1e-6
    np.testing.assert_allclose(activation(jnp.asarray(x)), expected, atol=atol)


@pytest.mark.parametrize("name", OURS)
def test_every_model_of_the_library_comes_back(name, tmp_path):
    model = MODELS[name]()
    elbax.save(model, tmp_path / "m")
    loaded = elbax.load(tmp_path / "m")
    assert same(loaded, model)
    assert same(pickle.loads(pickle.dumps(model)), model)


def test_the_gaussian_toy_comes_back_with_its_covariance(tmp_path):
    model, _ = elbax.gaussian_toy(3, 8, key=jax.random.key(0), covariance=0.5)
    elbax.save(model, tmp_path / "m")
    assert same(elbax.load(tmp_path / "m"), model)


@pytest.mark.parametrize("name", ["two-layer", "own-networks"])
def test_a_model_of_the_users_own_comes_back_by_its_builder_or_its_like(name, tmp_path):
    model = MODELS[name]()
    moved = jax.tree.map(lambda a: a + 1 if eqx.is_inexact_array(a) else a, model)
    elbax.save(moved, tmp_path / "m")
    assert same(elbax.load(tmp_path / "m", model=model), moved)
    if name == "two-layer":  # the other's classes are made anew at each call
        assert same(elbax.load(tmp_path / "m", model=lambda key: MODELS[name]()), moved)
    with pytest.raises(elbax.InputError, match="a model of your own; give the function"):
        elbax.load(tmp_path / "m")
    with pytest.raises(elbax.InputError, match="to tell its configuration"):
        elbax.config_of(model)


class Doubled(LinearGaussian):
    """Of the user's own, with the arrays of a model of the library."""

    def mean(self, z):
        return 2 * super().mean(z)


def test_what_inherits_from_a_model_of_the_library_is_the_users_own(tmp_path):
    plain = MODELS["linear-gaussian"]()
    parts = {name: getattr(plain.generative, name) for name in LinearGaussian.__annotations__}
    model = elbax.Model(Doubled(**parts), plain.inference)
    elbax.save(model, tmp_path / "m")
    with pytest.raises(elbax.InputError, match="a model of your own"):
        elbax.load(tmp_path / "m")
    assert same(elbax.load(tmp_path / "m", model=model), model)
    with pytest.raises(elbax.CheckpointError, match="is of another model"):
        elbax.load(tmp_path / "m", model=plain)


def test_a_copy_in_another_process_computes_the_same(tmp_path):
    model = MODELS["gaussian-softplus"]()
    (tmp_path / "m.pickle").write_bytes(pickle.dumps(model))
    x = binary_data()
    np.save(tmp_path / "x.npy", x)
    code = (
        "import elbax, jax, numpy, pickle\n"
        "model = pickle.load(open('m.pickle', 'rb'))\n"
        "w = elbax.log_weights(model, numpy.load('x.npy'), 3, key=jax.random.key(0))\n"
        "numpy.save('w.npy', w)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    expected = elbax.log_weights(model, x, 3, key=jax.random.key(0))
    np.testing.assert_array_equal(np.load(tmp_path / "w.npy"), expected)


def test_a_pruned_or_trained_model_is_still_told_and_a_changed_one_is_not():
    _, model = built("linear")
    pruned = elbax.pruned(model, [np.array([True, False])], [np.zeros(2)])
    assert elbax.config_of(pruned) == elbax.config_of(model)
    network = lambda m: m.inference.encoder.network  # noqa: E731
    changed = eqx.tree_at(network, model, eqx.nn.MLP(16, 16, 3, 1, key=jax.random.key(0)))
    with pytest.raises(elbax.InputError, match="networks of another kind"):
        elbax.config_of(changed)


def test_float64_comes_back_as_float64_and_is_never_rounded(tmp_path):
    with jax.enable_x64(True):
        model = MODELS["bernoulli-exp"]()
        model = jax.tree.map(lambda a: a.astype(jnp.float64) + 1e-12, model)
        elbax.save(model, tmp_path / "m")
        assert same(elbax.load(tmp_path / "m"), model)
    with pytest.raises(elbax.InputError, match="float64, which JAX would round"):
        elbax.load(tmp_path / "m")


def test_values_of_an_own_model_that_are_no_arrays_must_agree(tmp_path):
    class Tempered(elbax.AbstractGenerative):
        inner: elbax.AbstractGenerative
        temperature: float

        def log_prob(self, x, z):
            return self.temperature * self.inner.log_prob(x, z)

        def sample_prior(self, key):
            return self.inner.sample_prior(key)

        def mean(self, z):
            return self.inner.mean(z)

    plain = MODELS["linear-gaussian"]()
    model = elbax.Model(Tempered(plain.generative, 0.5), plain.inference)
    elbax.save(model, tmp_path / "m")
    assert elbax.load(tmp_path / "m", model=model).generative.temperature == 0.5
    hotter = eqx.tree_at(lambda m: m.generative.temperature, model, 0.7)
    with pytest.raises(elbax.CheckpointError, match=r"its values are .*0\.5.*given .*0\.7"):
        elbax.load(tmp_path / "m", model=hotter)


def test_arrays_of_one_name_are_refused():
    with pytest.raises(elbax.InputError, match=r"two are called 'a\.b'"):
        named_leaves({"a.b": jnp.zeros(2), "a": {"b": jnp.ones(2)}})


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    elbax.save(built("linear")[1], path)
    return path


def rewritten(blob: bytes, **changes) -> bytes:
    """The file with other words in its description, and the hash that they ask for."""
    (length,) = struct.unpack("<Q", blob[:8])
    top = json.loads(blob[8 : 8 + length])
    words = json.loads(top["__metadata__"]["header"])
    words = {**words, **changes.pop("header", {})}
    model = words["model"]
    if isinstance(model, dict) and changes:
        model |= {key: value for key, value in changes.items() if key in ("kind", "event_shape")}
        rest = {key: value for key, value in changes.items() if key not in model}
        model["config"] |= rest
    words["sha256"] = digest(safetensors.numpy.load(blob), model)
    top["__metadata__"]["header"] = json.dumps(words)
    text = json.dumps(top).encode()
    return struct.pack("<Q", len(text)) + text + blob[8 + length :]


DAMAGED = r"model file '.*' is truncated or damaged \(.*\)\. Write it again"
STRANGE = {
    "empty": (lambda blob: b"", DAMAGED),
    "a pickle": (lambda blob: pickle.dumps({"a": 1}), DAMAGED),
    "another kind": (lambda blob: rewritten(blob, kind="code"), "damaged .*kind of model"),
    "no kind": (lambda blob: rewritten(blob, header={"model": {}}), "damaged"),
    "no model": (lambda blob: rewritten(blob, header={"model": None}), "holds no model by itself"),
    "newer": (lambda blob: rewritten(blob, header={"format": 9}), "has format 9, .*Upgrade elbax"),
    "no such field": (lambda blob: rewritten(blob, layers=3), "damaged .*'layers'"),
    "a text for sizes": (lambda blob: rewritten(blob, hidden="200"), "damaged .*hidden"),
    "negative sizes": (lambda blob: rewritten(blob, hidden=[-1]), "damaged .*expected a count"),
    "a fraction": (lambda blob: rewritten(blob, latents=2.5), "damaged .*latents is 2.5"),
    "huge": (lambda blob: rewritten(blob, latents=10**40), "damaged .*expected a count"),
    "larger": (lambda blob: rewritten(blob, latents=2**31 - 1), "of another model: .* should be"),
    "very deep": (lambda blob: rewritten(blob, hidden=[1] * 10**5), "more layers than it holds"),
    "another shape": (lambda blob: rewritten(blob, event_shape=[4, 5]), "of another model"),
    "unknown activation": (lambda blob: rewritten(blob, activation="__doc__"), "activation"),
    "not a number": (lambda blob: rewritten(blob, scale_floor=float("nan")), "no elbax header"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strangers_file_is_refused_with_a_sentence(saved, name):
    change, message = STRANGE[name]
    saved.write_bytes(change(saved.read_bytes()))
    with pytest.raises(elbax.CheckpointError, match=message):
        elbax.load(saved)


def test_rewriting_a_file_unchanged_is_not_refused(saved):
    saved.write_bytes(rewritten(saved.read_bytes()))
    assert same(elbax.load(saved), built("linear")[1])


def test_no_truncation_and_no_flipped_bit_goes_unnoticed(saved):
    whole, expected = saved.read_bytes(), bits(built("linear")[1])
    places = np.random.default_rng(0).integers(len(whole), size=40)
    for at in places:
        saved.write_bytes(whole[:at])
        with pytest.raises(elbax.CheckpointError, match=DAMAGED):
            elbax.load(saved)
        altered = bytearray(whole)
        altered[at] ^= 1
        saved.write_bytes(altered)
        try:  # the words that say which elbax wrote it may change without harm
            assert bits(elbax.load(saved)) == expected
        except elbax.CheckpointError:
            continue


def test_a_changed_word_of_the_description_is_noticed(saved):
    saved.write_bytes(saved.read_bytes().replace(b"tanh", b"relu"))
    with pytest.raises(elbax.CheckpointError, match="do not match its sha256"):
        elbax.load(saved)


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(elbax.CheckpointError, match="expected a model file; found none at"):
            elbax.load(path)


def test_a_checkpoint_of_a_run_is_told_from_a_damaged_model(tmp_path):
    data = np.asarray(binary_data(20))
    model = elbax.ModelConfig(hidden=(4,), latents=2)
    config = elbax.TrainConfig(epochs=1, batch_size=10)
    elbax.fit("vae(m=1)", data, model=model, config=config, directory=tmp_path / "run")
    [checkpoint] = (tmp_path / "run" / "checkpoints").iterdir()
    with pytest.raises(elbax.CheckpointError, match="no model by itself; a checkpoint of a run"):
        elbax.load(checkpoint)


def test_another_model_in_the_place_of_the_saved_one_is_refused(saved):
    _, other = built("floor")
    with pytest.raises(elbax.CheckpointError, match=r"is of another model: it holds .*exp"):
        elbax.load(saved, model=other)
    assert same(elbax.load(saved, model=lambda key: built("linear")[1]), built("linear")[1])
