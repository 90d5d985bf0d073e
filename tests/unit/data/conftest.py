"""A small known data set, a mirror on this machine, and the folder of the real data sets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from elbax.data import download, fetch, registry

from .files import Mirror, TinyIdx


@pytest.fixture
def real_data(monkeypatch) -> Path:
    """The folder of the real data sets; the test skips where there is none."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("ELBAX_DATA", beside))
    if not folder.is_dir():
        pytest.skip("the real data sets are not here: set ELBAX_DATA, or have ../shared/data")
    monkeypatch.setenv("ELBAX_DATA", str(folder))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, so that no test reads or writes the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(fetch, "cache_dir", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def no_environment(request, monkeypatch) -> None:
    if "real_data" not in request.fixturenames:
        monkeypatch.delenv("ELBAX_DATA", raising=False)
    monkeypatch.delenv("ELBAX_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.01, 0.01))


@pytest.fixture
def tiny(monkeypatch) -> TinyIdx:
    tiny = TinyIdx()
    monkeypatch.setitem(registry.SOURCES, "tiny", tiny.source)
    return tiny


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    yield mirror
    mirror.close()
