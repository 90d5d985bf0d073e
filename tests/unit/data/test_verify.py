import gzip

import numpy as np
import pytest
import scipy.io

from elbax._errors import DataError
from elbax.data.readers import amat_text
from elbax.data.registry import SourceFile
from elbax.data.verify import matches, verify

from .files import TinyIdx, sha256

BINARY = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)


def amat_file() -> SourceFile:
    digest = sha256(amat_text(BINARY))
    return SourceFile("train", ("x.amat",), (f"sha256:{digest}",), contents=digest)


@pytest.mark.parametrize(
    "repack",
    [lambda plain: gzip.compress(plain, mtime=0), lambda plain: gzip.compress(plain, 1), bytes],
    ids=["as published", "repacked", "unpacked"],
)
def test_idx_is_known_however_it_is_packed(tmp_path, repack):
    tiny = TinyIdx()
    path = tmp_path / "train_images.idx.gz"
    path.write_bytes(repack(tiny.plain["train_images.idx"]))
    verify(path, tiny.source.files[0])


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-3], lambda b: b"", lambda b: b[:-9] + b"123456789"]
)
def test_damaged_file_is_refused(tmp_path, damage):
    tiny = TinyIdx()
    path = tmp_path / "train_images.idx.gz"
    path.write_bytes(damage(tiny.packed["train_images.idx.gz"]))
    known = tiny.source.files[0].hashes[0]
    message = rf"{path.name}: expected train_images.idx.gz with {known}; got sha256:.* \(\d+ bytes"
    with pytest.raises(DataError, match=message):
        verify(path, tiny.source.files[0])


def test_other_contents_repacked_are_refused(tmp_path):
    tiny = TinyIdx()
    path = tmp_path / "train_images.idx.gz"
    path.write_bytes(gzip.compress(tiny.plain["train_images.idx"][:-1] + b"\x00", 1, mtime=0))
    with pytest.raises(DataError, match="truncated or changed"):
        verify(path, tiny.source.files[0])


def test_amat_is_known_as_text_and_as_matlab_file(tmp_path):
    path = tmp_path / "x.amat"
    path.write_bytes(amat_text(BINARY))
    assert matches(path, amat_file())
    scipy.io.savemat(path, {"X": BINARY.astype(float)}, appendmat=False)
    assert matches(path, amat_file())
    scipy.io.savemat(path, {"X": 1.0 - BINARY}, appendmat=False)
    assert not matches(path, amat_file())
    path.write_bytes(b"0 1 garbage")
    assert not matches(path, amat_file())


def test_md5_is_named_in_the_message(tmp_path):
    path = tmp_path / "chardata.mat"
    path.write_bytes(b"other")
    with pytest.raises(DataError, match="with md5:00; got md5:795f3202b17cb6bc3d4b771d8c6c9eaf"):
        verify(path, SourceFile("chardata", ("chardata.mat",), ("md5:00",)))
