import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elbax
from elbax.data.binarise import binarise_batch, binarise_fixed, to_float

LEVELS = 255
GREY = np.arange(256, dtype=np.uint8)


def z_scores(draws: np.ndarray, levels: int) -> np.ndarray:
    """(mean - p) / standard error, for draws [N, levels + 1] of the intensities 0 to 1."""
    p = np.arange(levels + 1) / levels
    error = np.sqrt(np.maximum(p * (1 - p), 1e-12) / len(draws))
    return (draws.mean(axis=0, dtype=np.float64) - p) / error


def test_fixed_means_are_the_intensities():
    draws = binarise_fixed(np.tile(GREY, (20_000, 1)), LEVELS, seed=0, stream="train")
    assert draws.dtype == np.uint8
    assert np.abs(z_scores(draws, LEVELS)).max() < 5


def test_batch_means_are_the_intensities():
    draws = binarise_batch(jax.random.key(0), jnp.tile(GREY, (20_000, 1)), LEVELS)
    assert draws.dtype == jnp.float32
    assert np.abs(z_scores(np.asarray(draws), LEVELS)).max() < 5


def test_z_score_notices_a_wrong_level():
    draws = binarise_fixed(np.tile(GREY, (20_000, 1)), 256, seed=0, stream="train")
    assert np.abs(z_scores(draws, LEVELS)).max() > 5


@pytest.mark.parametrize("levels", [1, 16, 49, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_black_and_white_are_exact(levels, dtype):
    images = np.repeat(np.array([[0, levels]], dtype), 100_000, axis=0)
    expected = np.repeat(np.array([[0, 1]], np.float32), 100_000, axis=0)
    batch = jax.jit(binarise_batch, static_argnums=2)(jax.random.key(1), images, levels)
    np.testing.assert_array_equal(batch, expected)
    np.testing.assert_array_equal(binarise_fixed(images, levels, 1, "test"), expected)


def test_fixed_is_repeatable_and_streams_are_independent():
    grey = np.full((50, 40), 128, np.uint8)
    first = binarise_fixed(grey, LEVELS, seed=0, stream="train")
    np.testing.assert_array_equal(first, binarise_fixed(grey, LEVELS, seed=0, stream="train"))
    for seed, stream in ((1, "train"), (0, "test"), (0, "valid")):
        other = binarise_fixed(grey, LEVELS, seed=seed, stream=stream)
        # Two independent fair coins agree half the time: 2000 of them within 5 standard errors.
        assert abs((first == other).mean() - 0.5) < 5 * 0.5 / np.sqrt(grey.size)


def test_fixed_first_rows_do_not_depend_on_later_ones():
    grey = np.full((9000, 3), 100, np.uint8)
    whole = binarise_fixed(grey, LEVELS, 0, "train")
    np.testing.assert_array_equal(whole[:5000], binarise_fixed(grey[:5000], LEVELS, 0, "train"))


def test_batch_depends_on_the_key_only():
    grey = jnp.full((20, 30), 128, jnp.uint8)
    first = binarise_batch(jax.random.key(0), grey, LEVELS)
    assert (first == binarise_batch(jax.random.key(0), grey, LEVELS)).all()
    assert (first != binarise_batch(jax.random.key(1), grey, LEVELS)).any()


def test_to_float_keeps_the_kind_of_array():
    assert isinstance(to_float(GREY, LEVELS), np.ndarray)
    assert isinstance(to_float(jnp.asarray(GREY), LEVELS), jax.Array)
    np.testing.assert_allclose(to_float(jnp.asarray(GREY), LEVELS), GREY / 255, rtol=1e-6)


def test_reading_data_imports_nothing_heavy():
    # An empty elbax package stands in, so that only this room's own imports count.
    code = (
        "import sys, types; package = sys.modules['elbax'] = types.ModuleType('elbax'); "
        "package.__path__ = [sys.argv[1]]; import elbax.data.load; "
        "heavy = {'jax', 'requests', 'scipy', 'sklearn', 'PIL'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", code, elbax.__path__[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
