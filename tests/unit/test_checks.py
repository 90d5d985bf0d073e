"""Numbers and sizes that are refused, at the edges of float32, int32 and memory."""

import equinox as eqx
import jax
import numpy as np
import pytest

import elbax
from elbax import _checks
from elbax.models.build import build
from elbax.models.config import PRESETS
from elbax.training.sizes import num_weights

FLOAT32 = np.finfo(np.float32)


@pytest.mark.parametrize(
    "value", [0, -0.0, 1, 0.1, -3.5, float(FLOAT32.tiny), float(FLOAT32.max), -float(FLOAT32.max)]
)
def test_what_float32_keeps_is_taken(value):
    assert _checks.check_real("x", value) == value
    with np.errstate(all="raise"):
        assert (np.float32(value) != 0) == (value != 0)


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, 1e-46, -1e-46, float(FLOAT32.tiny) / 2, 1e39, 10**60]
)
def test_what_float32_changes_is_refused(value):
    with pytest.raises(elbax.InputError, match="expected x to be a number that float32 can hold"):
        _checks.check_real("x", value)


@pytest.mark.parametrize("value", [0.1, 1 - 1e-9, 1 - 2**-24, 1 / 3, -1e-30])
def test_float32_rounds_as_numpy_does(value):
    assert _checks.float32(value) == float(np.float32(value))


@pytest.mark.parametrize(("value", "message"), [(0, ">= 1; got 0"), (2**31, "< 2147483648; got")])
def test_a_count_is_at_least_one_and_fits_int32(value, message):
    with pytest.raises(elbax.InputError, match=message):
        _checks.check_count("k", value)
    assert np.int32(_checks.check_count("k", 2**31 - 1)) > 0


def test_sizes_are_held_against_twice_the_memory(monkeypatch):
    monkeypatch.setattr(_checks, "memory_bytes", lambda: 10**9)
    _checks.check_fits("a matrix", 2 * 10**9)
    with pytest.raises(elbax.InputError, match=r"at most 2 GB here\); got a matrix, which .* 3 GB"):
        _checks.check_fits("a matrix", 3 * 10**9)


@pytest.mark.parametrize("name", PRESETS)
def test_the_weights_of_every_preset_are_bounded_from_below_and_closely(name):
    made = eqx.filter_eval_shape(
        lambda key: build((28, 28), PRESETS[name], key=key), jax.random.key(0)
    )
    actual = sum(leaf.size for leaf in jax.tree.leaves(made) if hasattr(leaf, "size"))
    assert 0.8 * actual < num_weights((28, 28), PRESETS[name]) <= actual


@pytest.mark.parametrize(
    "make",
    [
        lambda: elbax.Ramp(0.0, 1.0, epochs=float("inf")),
        lambda: elbax.Learned(1 - 1e-12),
        lambda: elbax.Learned(1e-46),
        lambda: elbax.rules.RWS(wake=float("nan"), sleep=1.0),
        lambda: elbax.rules.RWS(wake=float("inf")),
        lambda: elbax.TrainConfig(clip_norm=float("inf")),
        lambda: elbax.TrainConfig(adam_eps=1e-46),
        lambda: elbax.TrainConfig(adam_b1=1 - 1e-12),
        lambda: elbax.iwae(2**31),
    ],
)
def test_numbers_that_mean_something_else_when_compiled_are_refused(make):
    with pytest.raises(elbax.InputError, match="expected"):
        make()
