"""Canaries: programs that a released compiler got wrong, and the warning about such releases."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elbax._compiler import KNOWN_BAD, CompilerWarning, warn_if_known_bad

pytestmark = pytest.mark.optimized


def squares_of_products(matrix, rows):
    """`sum((matrix @ row)**2)` for each row, by the compiler under test and by NumPy."""
    found = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    expected = np.sum((np.asarray(rows, np.float64) @ np.asarray(matrix, np.float64).T) ** 2, -1)
    return np.asarray(found, np.float64), expected


@pytest.mark.parametrize("count", [16_385, 32_769, 65_537])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_of_a_batched_product(x64, count, dtype):
    """jax-ml/jax#39103: from a certain number of rows on the last values lost digits."""
    rows = jnp.zeros((count, 3), dtype).at[:, 0].set(jnp.arange(count, dtype=dtype))
    found, expected = squares_of_products(jnp.eye(3, dtype=dtype), rows)
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)


def test_the_same_at_the_sizes_of_an_evaluation():
    """What log-weights are made of: products over samples and data, then sums over an event."""
    rng = np.random.default_rng(0)
    rows = jnp.asarray(rng.normal(size=(50_000, 7)), jnp.float32)
    matrix = jnp.asarray(rng.normal(size=(5, 7)), jnp.float32)
    found, expected = squares_of_products(matrix, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_log_mean_exp_of_many_weights():
    values = np.random.default_rng(1).normal(scale=30, size=(5000, 33)).astype(np.float32)
    found = jax.jit(lambda v: jax.nn.logsumexp(v, axis=0))(values)
    wide = values.astype(np.float64)
    expected = np.log(np.exp(wide - wide.max(0)).sum(0)) + wide.max(0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_reductions_over_many_axes():
    """jax-ml/jax#39257 and #40412: crashed the process, so they run in one of their own."""
    program = (
        "import jax, jax.numpy as jnp, numpy as np\n"
        "for shape, axis in [((3, 1, 2, 2, 8, 8, 8), 3), ((2, 3, 1, 2, 2, 3, 4, 2), 4)]:\n"
        "    u, v = np.random.default_rng(0).normal(size=(2, *shape)).astype('float32')\n"
        "    found = jax.jit(lambda a, b: jnp.sum(a * b, axis=axis))(u, v)\n"
        "    assert np.allclose(found, (u.astype(float) * v).sum(axis), atol=1e-5)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("version", KNOWN_BAD)
def test_a_known_bad_release_is_named(version):
    with pytest.warns(CompilerWarning, match=f"jaxlib {version} .* Install another release"):
        warn_if_known_bad(version)


def test_importing_elbax_asks_about_the_installed_release():
    program = (
        "import importlib.metadata as m, warnings\n"
        "m.version = lambda name: '0.10.2'\n"
        "warnings.simplefilter('error')\n"
        "try:\n    import elbax\nexcept UserWarning as warning:\n    print(warning)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert "0.10.2" in told.stdout
