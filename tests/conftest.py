"""What every test shares: float64 on demand, the real data if it is there, a failure budget."""

import os
from pathlib import Path

import jax
import pytest

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
