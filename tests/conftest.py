"""What every test shares: float64 on demand, the real data if it is there, a failure budget."""

import contextlib
import ctypes
import gc
import os
import signal
from pathlib import Path

import jax
import pytest

_MOST_PAGES = 1_300_000_000 // os.sysconf("SC_PAGESIZE")  # before a process forgets its programs
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
def compilation(request):
    """How hard the compiler tries, here and in the processes that tests start.

    Most tests compile much and compute little, and run LLVM's quick passes; XLA's own are the same.
    Modules marked `optimized` (those that draw much, and those about the compiler) have what users
    have, as all modules have under ELBAX_TESTS_OPTIMIZED=1.
    """
    everywhere = bool(os.environ.get("ELBAX_TESTS_OPTIMIZED"))
    quick = not everywhere and request.node.get_closest_marker("optimized") is None
    if quick != jax.config.read("jax_disable_most_optimizations"):
        forget_programs()  # of the other kind
        jax.config.update("jax_disable_most_optimizations", quick)
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(quick))


@pytest.fixture(autouse=True)
def memory():
    """Bound the memory of a process: most tests compile their own programs, and JAX keeps all."""
    yield
    if _HAS_PROC and int(Path("/proc/self/statm").read_text().split()[1]) > _MOST_PAGES:
        forget_programs()


def forget_programs() -> None:
    """Drop every compiled program of this process, and give its memory back to the system."""
    from elbax.training.fleet import compiled  # late: what tests import is instrumented

    compiled.cache_clear()
    jax.clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's
        # Without it the process stays as large as it was, and would forget after every test.
        ctypes.CDLL(None).malloc_trim(0)


def pytest_configure() -> None:
    """Let SIGINT be heard by the processes that tests start, also by a suite in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items) -> None:
    """What draws much, and what another library is held against, compiles as users do."""
    for item in items:
        if item.nodeid.startswith(("tests/statistical/", "tests/oracles/")):
            item.getparent(pytest.Module).add_marker("optimized")
