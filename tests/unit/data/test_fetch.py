import gzip
from dataclasses import replace

import pytest

from elbax._errors import DataError
from elbax.data import fetch, registry
from elbax.data.fetch import locate

from .files import TinyIdx, make_source, sha256


@pytest.fixture
def served(mirror, monkeypatch) -> TinyIdx:
    """The tiny set with two mirrors, of which only the second, "/b", has the files."""
    tiny = TinyIdx(urls=(f"{mirror.url}/a", f"{mirror.url}/b"))
    monkeypatch.setitem(registry.SOURCES, "tiny", tiny.source)
    for name, data in tiny.packed.items():
        mirror.serve(f"/b/{name}", data)
    return tiny


def cached(cache) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


@pytest.mark.parametrize("sub_folder", ["", "tiny", "raw", "TINY/raw"])
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_found_in_the_data_folder(tiny, tmp_path, monkeypatch, sub_folder, way):
    folder = tiny.write(tmp_path / "data" / sub_folder)
    if way == "environment":
        monkeypatch.setenv("ELBAX_DATA", str(tmp_path / "data"))
        found = locate(tiny.source)
    else:
        found = locate(tiny.source, tmp_path / "data")
    assert found == {role: folder / f"{role}.idx.gz" for role in tiny.arrays}


def test_argument_goes_before_environment(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("ELBAX_DATA", str(tiny.write(tmp_path / "a")))
    tiny.write(tmp_path / "b")
    assert locate(tiny.source, tmp_path / "b")["train_images"].parent == tmp_path / "b"


def test_repacked_and_unpacked_files_are_taken(tiny, tmp_path):
    plain = tiny.plain
    (tmp_path / "train_images.idx").write_bytes(plain["train_images.idx"])
    (tmp_path / "test_images.idx.gz").write_bytes(
        gzip.compress(plain["test_images.idx"], 1, mtime=0)
    )
    assert set(locate(tiny.source, tmp_path)) == {"train_images", "test_images"}


def test_damaged_file_in_the_data_folder_is_refused(tiny, tmp_path):
    folder = tiny.write(tmp_path / "data")
    path = folder / "test_images.idx.gz"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"test_images\.idx\.gz: expected .* got sha256"):
        locate(tiny.source, folder)


def test_data_folder_that_is_not_there_is_refused(tiny, tmp_path):
    with pytest.raises(
        DataError, match=r"data folder \(--data-dir or ELBAX_DATA\); got '.*nowhere'"
    ):
        locate(tiny.source, tmp_path / "nowhere")


def test_files_of_another_set_are_passed_over(served, tmp_path, monkeypatch):
    other = TinyIdx()
    other.packed = {name: gzip.compress(b"other" + name.encode(), mtime=0) for name in other.packed}
    foreign = make_source(
        "foreign",
        tuple(
            replace(file, hashes=(f"sha256:{sha256(other.packed[file.names[0]])}",), contents=None)
            for file in other.source.files
        ),
    )
    monkeypatch.setitem(registry.SOURCES, "foreign", foreign)
    folder = other.write(tmp_path / "data")
    assert locate(served.source, folder)["train_images"].parent.name == "tiny"
    assert locate(foreign, folder)["train_images"].parent == folder


def test_second_mirror_then_cache(served, mirror, cache):
    found = fetch.fetch("tiny")
    assert {path.parent for path in found.values()} == {cache / "tiny"}
    assert cached(cache) == sorted(served.packed)
    assert mirror.asked[:2] == ["/a/train_images.idx.gz", "/b/train_images.idx.gz"]
    mirror.files.clear()
    mirror.asked.clear()
    assert locate(served.source) == found
    assert mirror.asked == []


def test_damaged_cache_is_replaced(served, cache):
    path = fetch.fetch("tiny")["train_images"]
    path.write_bytes(b"damaged")
    locate(served.source)
    assert path.read_bytes() == served.packed[path.name]


def test_truncated_and_tampered_downloads_are_never_taken(served, mirror, cache):
    name = "train_images.idx.gz"
    data = served.packed[name]
    mirror.serve(f"/a/{name}", data[:-7], length=len(data))  # the connection breaks off
    mirror.serve(f"/b/{name}", data[:-1] + b"!")
    with pytest.raises(DataError) as caught:
        locate(served.source)
    assert cached(cache) == [f".{name}.part"]  # the beginning, to be gone on with
    message = str(caught.value)
    assert message.startswith(f"cannot download {name} of tiny (127.0.0.1:")
    assert "its hash does not match" in message
    assert message.endswith(
        "Put the files train_images.idx.gz, test_images.idx.gz into a folder and name it with "
        "--data-dir or ELBAX_DATA."
    )
    assert "\n" not in message


def test_every_mirror_s_reason_is_told(served, mirror):
    mirror.files.clear()
    with pytest.raises(DataError, match=r"\(127.*: HTTP status 404; 127.*: HTTP status 404\)"):
        fetch.fetch("tiny")


def test_no_connection_is_told(tiny):
    with pytest.raises(DataError, match=r"\(127\.0\.0\.1:9: ConnectionError\)"):
        fetch.fetch("tiny")


def test_unknown_name_is_refused():
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        fetch.fetch("mnits")


def test_digits_need_no_file(tmp_path):
    assert locate(registry.get("digits"), tmp_path / "nowhere") == {}
