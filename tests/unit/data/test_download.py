"""Bad servers, broken connections, full disks, and many processes at once."""

import threading
import time
from dataclasses import replace

import pytest

import elbax
from elbax.data import download, fetch, registry
from elbax.data.fetch import locate

from .files import TinyIdx, sent, status

NAME = "train_images.idx.gz"
PATH = f"/a/{NAME}"


@pytest.fixture
def served(mirror, monkeypatch) -> TinyIdx:
    """The tiny set, with one mirror and known sizes."""
    tiny = TinyIdx(urls=(f"{mirror.url}/a",))
    ((*files,),) = tiny.source.forms
    sized = tuple(replace(file, num_bytes=len(tiny.packed[file.names[0]])) for file in files)
    tiny.source = replace(tiny.source, forms=(sized,))
    monkeypatch.setitem(registry.SOURCES, "tiny", tiny.source)
    for name, data in tiny.packed.items():
        mirror.serve(f"/a/{name}", data)
    return tiny


@pytest.fixture
def whole(served) -> bytes:
    return served.packed[NAME]


def unsized(served, monkeypatch) -> None:
    ((*files,),) = served.source.forms
    served.source = replace(
        served.source, forms=(tuple(replace(file, num_bytes=None) for file in files),)
    )
    monkeypatch.setitem(registry.SOURCES, "tiny", served.source)


def got() -> bytes:
    return fetch.fetch("tiny")["train_images"].read_bytes()


def parts(cache) -> list[str]:
    return [path.name for path in cache.rglob("*.part")]


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_mirror_that_is_busy_is_asked_again(mirror, served, whole, cache, code):
    mirror.answer(PATH, status(code), status(code))
    assert got() == whole
    assert mirror.asked.count(PATH) == 3
    assert parts(cache) == []


def test_one_that_has_no_such_file_is_not(mirror, served):
    mirror.files.clear()
    with pytest.raises(elbax.DataError, match="HTTP status 404"):
        got()
    assert mirror.asked == [PATH]


def test_it_goes_on_where_the_connection_broke_off(mirror, served, whole, cache):
    half = len(whole) // 2
    rest = f"bytes {half}-{len(whole) - 1}/{len(whole)}"
    mirror.answer(
        PATH,
        sent(whole[:half], length=len(whole)),
        sent(whole[half:], code=206, length=len(whole) - half, Content_Range=rest),
    )
    assert got() == whole
    assert mirror.ranges[:2] == [None, f"bytes={half}-"]
    assert parts(cache) == []


def test_what_a_killed_process_left_is_gone_on_with(mirror, served, whole, cache):
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / f".{NAME}.part").write_bytes(whole[:20])
    mirror.answer(PATH, sent(whole[20:], code=206, Content_Range="bytes 20-"))
    assert got() == whole
    assert mirror.ranges[0] == "bytes=20-"


def test_a_part_of_something_else_costs_no_more_than_time(mirror, served, whole, cache):
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / f".{NAME}.part").write_bytes(b"something else")
    mirror.answer(PATH, sent(whole[14:], code=206, Content_Range="bytes 14-"))
    assert got() == whole
    assert mirror.ranges[:2] == ["bytes=14-", None]


def test_a_part_larger_than_the_file_is_dropped(mirror, served, whole, cache):
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / f".{NAME}.part").write_bytes(b"x" * 10_000)
    assert got() == whole
    assert mirror.ranges[0] is None


def test_a_mirror_whose_file_ends_before_the_part_is_asked_for_all(
    mirror, served, whole, cache, monkeypatch
):
    unsized(served, monkeypatch)
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / f".{NAME}.part").write_bytes(b"x" * 10_000)
    mirror.answer(PATH, status(416))
    assert got() == whole
    assert mirror.ranges[:2] == ["bytes=10000-", None]


def _endless(handler) -> None:
    sent(b"")(handler)
    while True:
        handler.wfile.write(b"x" * 2**16)


@pytest.mark.parametrize("known", [True, False])
def test_an_endless_answer_is_cut_at_the_size(mirror, served, cache, monkeypatch, known):
    monkeypatch.setattr(download, "MOST_BYTES", 2**20)
    if not known:
        unsized(served, monkeypatch)
    mirror.answer(PATH, _endless)
    with pytest.raises(elbax.DataError, match=r"it sends more than [0-9,]+ bytes"):
        got()
    assert sum(path.stat().st_size for path in cache.rglob("*.part")) == 0
    assert mirror.asked == [PATH]


def test_a_server_that_drips_is_given_up(mirror, served, monkeypatch):
    monkeypatch.setattr(download, "WINDOW_SECONDS", 0.2)

    def drips(handler) -> None:
        sent(b"", length=70)(handler)
        for _ in range(70):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    mirror.answer(PATH, drips)
    begun = time.monotonic()
    with pytest.raises(elbax.DataError, match="slower than 20 kB a second"):
        got()
    assert time.monotonic() - begun < 3


def test_a_server_that_says_nothing_is_given_up(mirror, served, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
    mirror.answer(PATH, *[lambda _handler: time.sleep(0.5)] * 3)
    with pytest.raises(elbax.DataError, match="Timeout"):
        got()
    assert mirror.asked.count(PATH) == 3


def test_a_full_disk_is_said(served, cache):
    (cache / "tiny").mkdir(parents=True)
    (cache / "tiny" / f".{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(elbax.OutputError, match="No space left on device"):
        got()


def test_a_cache_that_cannot_be_written_is_said(served, cache):
    cache.write_text("a file in the way")
    with pytest.raises(elbax.OutputError, match="cannot write"):
        got()


def test_many_at_once_download_once(mirror, served, whole):
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(got())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [whole] * 8
    assert sorted(mirror.asked) == sorted(f"/a/{name}" for name in served.packed)


@pytest.mark.parametrize("said", ["1", "true", "yes"])
def test_offline_asks_nobody(mirror, served, monkeypatch, said):
    monkeypatch.setenv("ELBAX_OFFLINE", said)
    with pytest.raises(elbax.DataError, match=r"offline, as ELBAX_OFFLINE.*Put the files"):
        locate(served.source)
    assert mirror.asked == []


def test_offline_takes_what_is_there(mirror, served, whole, monkeypatch, tmp_path):
    got()
    mirror.asked.clear()
    monkeypatch.setenv("ELBAX_OFFLINE", "1")
    assert got() == whole
    assert set(locate(served.source, served.write(tmp_path / "data"))) == set(served.arrays)
    assert mirror.asked == []


def test_zero_is_not_offline(served, whole, monkeypatch):
    monkeypatch.setenv("ELBAX_OFFLINE", "0")
    assert got() == whole


def test_every_known_address_is_encrypted():
    files = [file for source in registry.SOURCES.values() for file in source.files]
    assert all(url.startswith("https://") for file in files for url in file.urls)
