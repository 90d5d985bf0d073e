"""What every test of the command line has."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Compiled programs of these tests stay out of the user's cache, and are compiled once."""
    monkeypatch.setenv("ELBAX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
