"""Checkpoints come back as they were, and whatever is broken is refused with a sentence."""

import errno
import json
import os
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import elbax
from elbax import _arrays
from elbax.training import checkpoints

from .runs import bits, build

IDENTITY = "0123456789abcdef"


def states_of_a_fleet() -> list:
    _, fleet, _ = build(["iwae(k=4)", "ciwae(k=4, beta=0.5)"], seeds=(0, 1))
    return fleet.states


def toy(value: float = 0.0) -> dict:
    """A small state with every kind of leaf: a float, a count, a key, and an empty array."""
    layer = {"weight": jnp.full(3, value, jnp.float32), "none": jnp.zeros(0)}
    return {"layer": layer, "step": jnp.asarray(7), "key": jax.random.key(5)}


@pytest.fixture
def saved(tmp_path):
    """A whole checkpoint of two toy states."""
    path = tmp_path / "step-0000000007.safetensors"
    checkpoints.save(path, [toy(1.0), toy(np.nan)], identity=IDENTITY)
    return path


def load(path, like=None, identity=IDENTITY):
    return checkpoints.load(path, like or toy(), identity=identity)


def test_a_fleet_comes_back_bit_for_bit(tmp_path):
    states, path = states_of_a_fleet(), tmp_path / "a.safetensors"
    checkpoints.save(path, states, identity=IDENTITY)
    loaded = load(path, states[0])
    assert [bits(state) for state in loaded] == [bits(state) for state in states]
    assert jax.tree.structure(loaded[0]) == jax.tree.structure(states[0])
    assert bits(states[0]) != bits(states[1])


def test_keys_come_back_as_keys_and_nan_as_nan(saved):
    first, second = load(saved)
    assert jnp.issubdtype(first["key"].dtype, jax.dtypes.prng_key)
    assert float(jax.random.uniform(first["key"])) == float(jax.random.uniform(toy()["key"]))
    assert bits(first) == bits(toy(1.0))
    assert bits(second) == bits(toy(np.nan))


def test_names_are_readable_paths(tmp_path):
    states, path = states_of_a_fleet(), tmp_path / "a.safetensors"
    checkpoints.save(path, states, identity=IDENTITY)
    tensors = safetensors.numpy.load_file(path)
    assert tensors["params.generative.decoder.logits.weight"].shape == (4, 8, 6)
    assert tensors["params.inference.encoder.network.layers.0.bias"].shape == (4, 8)
    assert {"step", "key", "kind", "hyper", "learning_rate", "status", "sums.ess"} <= set(tensors)
    assert any(name.startswith("optimizer.mu.generative") for name in tensors)
    assert all(part.isidentifier() or part.isdigit() for n in tensors for part in n.split("."))


def test_equal_states_are_equal_bytes(saved):
    written = set()
    for _ in range(8):
        checkpoints.save(saved, [toy(1.0), toy(np.nan)], identity=IDENTITY)
        written.add(saved.read_bytes())
    assert len(written) == 1


def test_part_of_a_state_can_be_read(saved):
    (part, _) = checkpoints.load(saved, {"key": toy()["key"]}, identity=IDENTITY, partial=True)
    assert bits(part) == bits({"key": toy()["key"]})
    with pytest.raises(elbax.CheckpointError, match="more should be"):
        checkpoints.load(saved, {"more": jnp.zeros(2)}, identity=IDENTITY, partial=True)


def test_named_leaves_go_back_into_their_tree():
    state = toy(2.0)
    assert bits(_arrays.from_named(_arrays.named_leaves(state), state)) == bits(state)


def split(blob: bytes) -> tuple[dict, bytes]:
    """A safetensors file's header and its tensors' bytes."""
    (length,) = struct.unpack("<Q", blob[:8])
    return json.loads(blob[8 : 8 + length]), blob[8 + length :]


def joined(header: dict, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def with_metadata(**changes):
    """A change of a checkpoint's own words."""

    def change(blob: bytes) -> bytes:
        header, body = split(blob)
        words = json.loads(header["__metadata__"]["header"]) | changes
        header["__metadata__"]["header"] = json.dumps(words)
        return joined(header, body)

    return change


def without_metadata(blob: bytes) -> bytes:
    header, body = split(blob)
    del header["__metadata__"]
    return joined(header, body)


def with_a_flipped_bit(at: int):
    def change(blob: bytes) -> bytes:
        altered = bytearray(blob)
        altered[at] ^= 1
        return bytes(altered)

    return change


DAMAGED = r"checkpoint '.*\.safetensors' is truncated or damaged \(.*\)\. Put it back from a copy; "
BROKEN = {
    "empty": (lambda blob: b"", DAMAGED),
    "cut in the length": (lambda blob: blob[:5], DAMAGED),
    "cut in the header": (lambda blob: blob[:100], DAMAGED),
    "cut in the tensors": (lambda blob: blob[:-20], DAMAGED),
    "cut by a byte": (lambda blob: blob[:-1], DAMAGED),
    "longer": (lambda blob: blob + b"x", DAMAGED),
    "zeros": (lambda blob: bytes(len(blob)), DAMAGED),
    "garbage header": (lambda blob: blob[:8] + b"{]" * 20 + blob[48:], DAMAGED),
    "absurd header length": (lambda blob: b"\xff" * 8 + blob[8:], DAMAGED),
    "a text": (lambda blob: b"not a checkpoint, but long enough to be read as one", DAMAGED),
    "a flipped bit": (with_a_flipped_bit(-3), DAMAGED.replace(".*)", "its contents .* sha256)")),
    "no metadata": (without_metadata, r"damaged \(it has no elbax header\)"),
    "no format": (with_metadata(format="x"), r"damaged \(it has no elbax header\)"),
    "another hash": (with_metadata(sha256="0" * 64), "its contents do not match its sha256"),
    "newer": (
        with_metadata(format=2, elbax="9.1"),
        r"has format 2, written by elbax 9\.1; this is elbax .*, which reads .* 1\. Upgrade elbax",
    ),
    "another run": (with_metadata(identity="other"), "belongs to another configuration; resume"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_with_a_sentence(saved, name):
    change, message = BROKEN[name]
    saved.write_bytes(change(saved.read_bytes()))
    with pytest.raises(elbax.CheckpointError, match=message) as caught:
        load(saved)
    assert str(saved) in str(caught.value)


def test_rewriting_a_file_unchanged_would_not_be_refused(saved):
    saved.write_bytes(joined(*split(saved.read_bytes())))
    assert len(load(saved)) == 2


def test_no_flipped_bit_goes_unnoticed_or_raises_anything_else(saved):
    whole, expected = saved.read_bytes(), [bits(state) for state in load(saved)]
    refused = 0
    for at in range(len(whole)):
        saved.write_bytes(with_a_flipped_bit(at)(whole))
        try:
            # Only words that say who wrote the file may change without harm.
            assert [bits(state) for state in load(saved)] == expected
        except elbax.CheckpointError:
            refused += 1
    assert refused > len(whole) - 20


def test_no_truncation_goes_unnoticed(saved):
    whole = saved.read_bytes()
    for length in range(len(whole)):
        saved.write_bytes(whole[:length])
        with pytest.raises(elbax.CheckpointError, match=DAMAGED):
            load(saved)


def other_shape():
    state = toy()
    state["layer"]["weight"] = jnp.zeros(4)
    return state


def other_dtype():
    return toy() | {"step": jnp.asarray(7.0)}


def fewer():
    state = toy()
    del state["step"]
    return state


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (other_shape, r"layer\.weight should be \(\[4\], '<f4'\), the file has \(\[3\], '<f4'\)"),
        (other_dtype, r"step should be \(\[\], '<f4'\), the file has \(\[\], '<i4'\)"),
        (fewer, r"step should be absent, the file has \(\[\], '<i4'\)"),
        (lambda: toy() | {"more": jnp.zeros(2)}, r"more should be .*, the file has none"),
    ],
)
def test_the_state_of_another_model_is_refused(saved, like, message):
    with pytest.raises(elbax.CheckpointError, match="is of another model: " + message):
        load(saved, like())


@pytest.mark.usefixtures("x64")
def test_the_state_of_another_precision_is_said_to_be_that(saved):
    state = toy()
    state["layer"]["weight"] = jnp.zeros(3, jnp.float64)
    message = r"of another precision: layer\.weight should be <f8, the file has <f4\. Set JAX_ENA"
    with pytest.raises(elbax.CheckpointError, match=message):
        load(saved, state)


def test_another_configuration_is_refused(saved):
    with pytest.raises(elbax.CheckpointError, match="belongs to another configuration"):
        load(saved, identity="another")


@pytest.mark.parametrize("counts", [(2, 1), (None, None), (2, None)])
def test_arrays_of_different_numbers_of_runs_are_refused(saved, counts):
    """By a file whose hash is right: anyone can write one."""
    shapes = [() if count is None else (count,) for count in counts]
    pairs = zip("ab", shapes, strict=True)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in pairs}
    header = {"format": 1, "identity": IDENTITY, "sha256": _arrays.digest(tensors)}
    saved.write_bytes(_arrays.to_bytes(tensors, header))
    with pytest.raises(elbax.CheckpointError, match="of different numbers of runs"):
        load(saved, {name: jnp.zeros(()) for name in "ab"})


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(elbax.CheckpointError, match="No such file"):
        load(tmp_path / "none.safetensors")


def no_space(_file):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_checkpoint_before(saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(elbax.OutputError, match="No space left"):
        checkpoints.save(saved, [toy(2.0)] * 2, identity=IDENTITY)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert bits(load(saved)[0]) == bits(toy(1.0))
