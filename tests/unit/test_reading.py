"""One way in: what is no regular file, too large or of another shape is refused, and at once."""

import io
import json
import os
import zipfile
from typing import TypedDict

import numpy as np
import pytest

from elbax import _reading as r
from elbax._errors import InputError


def header(shape, kind="<f8"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_a_pipe_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (r.read_bytes, r.read_json, r.read_npy, r.read_npz):
        with pytest.raises(r.UnreadableError, match="no regular file"):
            read(tmp_path / "pipe")
        with pytest.raises(r.UnreadableError, match="no regular file"):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "nothing")


def test_sizes_are_looked_at_before_anything_is_read(tmp_path, monkeypatch):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**42)
    for read in (r.read_bytes, r.read_json, r.read_npy):
        with pytest.raises(r.UnreadableError, match=r"more than the .* set ELBAX_MAX_BYTES"):
            read(tmp_path / "sparse")
    monkeypatch.setenv("ELBAX_MAX_BYTES", "10")
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.json").write_text('{"a": 1000000}')
    assert r.read_json(tmp_path / "a.json") == {"a": 1}
    with pytest.raises(r.UnreadableError, match="14 bytes, more than the 10"):
        r.read_json(tmp_path / "b.json")


def test_a_limit_that_is_no_number_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("{}")
    monkeypatch.setenv("ELBAX_MAX_BYTES", "plenty")
    with pytest.raises(InputError, match=r"ELBAX_MAX_BYTES as a number of bytes.*got 'plenty'"):
        r.read_json(tmp_path / "a.json")


def test_an_archive_of_zeros_is_refused_by_what_it_says_it_holds(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((10**6,)) + bytes(8 * 10**6))
    assert (tmp_path / "bomb.npz").stat().st_size < 20_000
    assert r.read_npz(tmp_path / "bomb.npz")["x"].shape == (10**6,)
    monkeypatch.setenv("ELBAX_MAX_BYTES", "1e6")
    with pytest.raises(r.UnreadableError, match="its content takes 8,000,128 bytes"):
        r.read_npz(tmp_path / "bomb.npz")


@pytest.mark.parametrize("shape", [(2 * 10**13,), (3,), (10**30,), (-1,)])
def test_a_header_that_claims_other_than_there_is_is_refused(tmp_path, shape):
    content = header(shape) + bytes(16)
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    for read, name in ((r.read_npy, "a.npy"), (r.read_npz, "a.npz")):
        with pytest.raises(r.UnreadableError):
            read(tmp_path / name)


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "c": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "none": np.zeros((0, 2)),
        "scalar": np.array(2.5),
        "names": np.array(["a", "bc"]),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    for name, array in r.read_npz(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(array, arrays[name])
    np.save(tmp_path / "f.npy", arrays["f"])
    np.testing.assert_array_equal(r.read_npy(tmp_path / "f.npy"), arrays["f"])


def test_objects_and_their_pickles_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    np.savez(tmp_path / "o.npz", o=np.array([{}], dtype=object))
    for read, name in ((r.read_npy, "o.npy"), (r.read_npz, "o.npz")):
        with pytest.raises(r.UnreadableError, match="it holds object, not numbers"):
            read(tmp_path / name)


class Shape(TypedDict):
    name: str
    sizes: list[int]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b"[" * 10**5, "recursion"),
        (b'{"name": NaN}', "malformed"),
        (b'{"name": "a"}', "missing required field `sizes`"),
        (b'{"name": "a", "sizes": [1, "2"]}', r"got `str` - at `\$.sizes\[1\]`"),
        (b'{"name": "a", "sizes": [1.5]}', r"got `float` - at `\$.sizes\[0\]`"),
        (b'{"name": "a", "sizes": [true]}', r"got `bool` - at `\$.sizes\[0\]`"),
    ],
)
def test_json_is_held_against_its_schema(text, reason):
    with pytest.raises(r.UnreadableError, match=reason):
        r.decoded(text, Shape)


def test_what_the_schema_does_not_name_is_kept():
    content = {"name": "a", "sizes": [1], "more": {"x": None}}
    assert r.decoded(json.dumps(content).encode(), Shape) == content


def test_any_change_of_a_byte_is_read_or_refused(tmp_path):
    """Every byte of small files, changed to some others: no other error, no hang."""
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(5), y=np.ones((2, 2), np.float32))
    np.save(tmp_path / "a.npy", np.arange(5))
    (tmp_path / "a.json").write_text('{"name": "a", "sizes": [1, 2]}')
    rng = np.random.default_rng(0)
    reads = {"a.npz": r.read_npz, "a.npy": r.read_npy, "a.json": lambda p: r.read_json(p, Shape)}
    refused = 0
    for name, read in reads.items():
        whole = (tmp_path / name).read_bytes()
        for place in range(len(whole)):
            changed = bytearray(whole)
            changed[place] = int(rng.integers(256))
            (tmp_path / "m").write_bytes(changed[: place if rng.random() < 0.2 else None])
            try:
                read(tmp_path / "m")
            except r.UnreadableError:
                refused += 1
    assert refused > 300


def test_a_member_longer_than_it_says_is_refused():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((1000,)) + bytes(8000))
    text = content.getvalue().replace((8128).to_bytes(4, "little"), (4128).to_bytes(4, "little"))
    with (
        zipfile.ZipFile(io.BytesIO(text)) as archive,
        pytest.raises((ValueError, OSError, zipfile.BadZipFile)),
    ):
        r._array(archive, archive.infolist()[0])
