"""Contracts compile much and compute little: the compiler's effort would be most of the time."""

import jax
import pytest

from elbax.training.fleet import compiled


@pytest.fixture(autouse=True)
def quick_compilation():
    compiled.cache_clear()
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    compiled.cache_clear()
