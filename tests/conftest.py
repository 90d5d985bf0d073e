"""What every test shares: float64 on demand, the real data if it is there, a failure budget."""

import gc
import os
from pathlib import Path

import jax
import pytest

_MOST_PAGES = 2**30 // os.sysconf("SC_PAGESIZE")  # of a process, before it forgets its programs

_HAS_PROC = Path("/proc/self/statm").exists()
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def x64():
    """Compute this test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder of the real data sets; tests that need it skip, saying so, where it is absent."""
    named = os.environ.get("ELBAX_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found in {folder}; set ELBAX_DATA to their folder")
    return folder


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Drop compiled programs after a module that leaves a process with more than a gigabyte.

    Every test compiles programs of its own, and JAX keeps them all.
    """
    yield
    resident = int(Path("/proc/self/statm").read_text().split()[1]) if _HAS_PROC else 0
    if resident > _MOST_PAGES:
        from elbax.training.fleet import compiled  # late: what tests import is instrumented

        compiled.cache_clear()
        jax.clear_caches()
        gc.collect()
