import gzip
import struct

import numpy as np
import pytest
import scipy.io
from PIL import Image

from elbax._errors import DataError, ElbaxWarning
from elbax.data.pictures import read_image_folder
from elbax.data.readers import (
    amat_text,
    read_amat,
    read_chardata,
    read_idx,
    read_npy,
    read_npz,
)

from .files import idx_bytes

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
BINARY = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)


@pytest.mark.parametrize("array", [IMAGES, np.arange(4, dtype=np.uint8)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(tmp_path, array, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(path), array)


GOOD_IDX = idx_bytes(IMAGES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins 00 00 08 .* got an empty file"),
        (b"\x00\x00\x0d\x03" + GOOD_IDX[4:], "got 00 00 0d 03"),
        (b"\x00\x00\x08\x00", "number of axes, 1 to 4; got 00 00 08 00"),
        (GOOD_IDX[:9], "expected 3 sizes in the idx header; the file ends"),
        (GOOD_IDX[:-1], r"expected 24 bytes of data for the shape \[4, 2, 3\] .* got 23"),
        (GOOD_IDX + b"x", "expected 24 bytes .* got more"),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2**31, 28, 28), "at most 2147483648 bytes"),
        (gzip.compress(GOOD_IDX, mtime=0)[:-9], "expected an idx file; it cannot be read as one"),
        (b"\x1f\x8b" + bytes(20), "cannot be read as one"),
    ],
    ids=range(9),
)
def test_broken_idx_is_refused(tmp_path, data, message):
    path = tmp_path / "file.gz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_idx(path)


@pytest.mark.parametrize("text", [b"0 1 1\n1 0 0\n", b"0 1 1 \r\n1 0 0 \r\n", b"0 1 1\n1 0 0"])
def test_amat_text(tmp_path, text):
    path = tmp_path / "x.amat"
    path.write_bytes(text)
    values = read_amat(path)
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, BINARY)
    assert amat_text(values) == b"0 1 1\n1 0 0\n"


@pytest.mark.parametrize("name", ["X", "other"])
def test_amat_as_matlab_file(tmp_path, name):
    path = tmp_path / "x.amat"
    scipy.io.savemat(path, {name: BINARY.astype(float)}, appendmat=False)
    np.testing.assert_array_equal(read_amat(path), BINARY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0 1 2\n", "expected text rows of 0 and 1"),
        (b"01 1\n", "expected text rows of 0 and 1"),
        (b"0 1 1\n1 0", "rows of equal length, 3 values as in the first row; got one of 2"),
        (b"0 1 1\n1 0\n1 0 0 1\n", "rows of equal length"),
        (b"", "expected text rows of 0 and 1; got none"),
        (b"MATLAB 5.0 and then nothing", "expected a MATLAB file; it cannot be read as one"),
    ],
)
def test_broken_amat_is_refused(tmp_path, text, message):
    path = tmp_path / "x.amat"
    path.write_bytes(text)
    with pytest.raises(DataError, match=message):
        read_amat(path)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"X": np.array([[0.0, 0.5]])}, "expected values 0 and 1 only"),
        ({"X": np.array([[0, 1]], object)}, "expected a matrix X of numbers"),
        ({}, "expected a matrix X of numbers"),
    ],
)
def test_amat_matlab_file_of_other_things_is_refused(tmp_path, variables, message):
    path = tmp_path / "x.amat"
    scipy.io.savemat(path, variables, appendmat=False)
    with pytest.raises(DataError, match=message):
        read_amat(path)


def write_chardata(path, **changes):
    rng = np.random.default_rng(0)
    variables = {
        "data": rng.random((784, 6)),
        "testdata": rng.random((784, 4)),
        "target": np.eye(50)[:, [3, 1, 4, 1, 5, 9]],
        "testtarget": np.eye(50)[:, [2, 6, 5, 3]],
    }
    variables = {k: v for k, v in (variables | changes).items() if v is not None}
    scipy.io.savemat(path, variables)
    return variables


def test_chardata_is_upright(tmp_path):
    variables = write_chardata(tmp_path / "chardata.mat")
    arrays = read_chardata(tmp_path / "chardata.mat")
    assert arrays["train"].shape == (6, 28, 28)
    assert arrays["train"].dtype == np.uint8
    for column, image in zip(variables["testdata"].T, arrays["test"], strict=True):
        expected = np.round(255 * column.reshape((28, 28), order="F"))
        np.testing.assert_array_equal(image, expected)
    assert arrays["train_labels"].tolist() == [3, 1, 4, 1, 5, 9]
    assert arrays["test_labels"].tolist() == [2, 6, 5, 3]


def test_chardata_without_targets(tmp_path):
    write_chardata(tmp_path / "chardata.mat", target=None, testtarget=None)
    assert set(read_chardata(tmp_path / "chardata.mat")) == {"train", "test"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"testdata": None}, r"expected 'testdata' as floats of shape \[784, N\]; got none"),
        ({"data": np.zeros((6, 784))}, r"got float64 of shape \[6, 784\]"),
        ({"data": np.full((784, 2), 1.5)}, r"expected 'data' in \[0, 1\]"),
        ({"data": np.full((784, 2), np.nan)}, r"expected 'data' in \[0, 1\]"),
    ],
)
def test_broken_chardata_is_refused(tmp_path, changes, message):
    write_chardata(tmp_path / "chardata.mat", **changes)
    with pytest.raises(DataError, match=message):
        read_chardata(tmp_path / "chardata.mat")


def test_truncated_chardata_is_refused(tmp_path):
    path = tmp_path / "chardata.mat"
    write_chardata(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="expected a MATLAB file; it cannot be read as one"):
        read_chardata(path)


def test_a_matlab_file_that_crashes_scipy_is_refused(tmp_path):
    path = tmp_path / "x.amat"
    scipy.io.savemat(path, {"X": BINARY.astype(float)}, appendmat=False)
    whole = path.read_bytes()
    for size in range(200, len(whole), 8):  # which SciPy may read beyond its end
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="expected a MATLAB file; it cannot be read as one"):
            read_amat(path)


def test_npy_and_npz(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    np.savez_compressed(tmp_path / "x.npz", a=IMAGES, b=BINARY)
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy"), IMAGES)
    arrays = read_npz(tmp_path / "x.npz")
    np.testing.assert_array_equal(arrays["a"], IMAGES)
    np.testing.assert_array_equal(arrays["b"], BINARY)


def test_pickles_are_refused(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", a=objects)
    (tmp_path / "raw.npy").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(DataError, match="of numbers; it cannot be read"):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(DataError, match="of numbers; it cannot be read"):
        read_npy(tmp_path / "raw.npy")
    with pytest.raises(DataError, match="of numbers; it cannot be read"):
        read_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("size", [0, 5, 60, 140])
def test_truncated_npy_and_npz_are_refused(tmp_path, size):
    np.save(tmp_path / "x.npy", IMAGES)
    np.savez(tmp_path / "x.npz", a=IMAGES)
    for path in (tmp_path / "x.npy", tmp_path / "x.npz"):
        path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="of numbers; it cannot be read"):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(DataError, match="of numbers; it cannot be read"):
        read_npz(tmp_path / "x.npz")


def test_npy_and_npz_mixed_up_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=IMAGES)
    np.save(tmp_path / "x.npy", IMAGES)
    (tmp_path / "x.npz").rename(tmp_path / "y.npy")
    (tmp_path / "x.npy").rename(tmp_path / "y.npz")
    with pytest.raises(DataError, match=r"it is an archive; name it \.npz"):
        read_npy(tmp_path / "y.npy")
    with pytest.raises(DataError, match="holds a single array"):
        read_npz(tmp_path / "y.npz")


def test_image_folder_is_grey_and_sorted(tmp_path):
    for index in (2, 0, 1):
        Image.fromarray(IMAGES[index]).save(tmp_path / f"{index}.png")
    Image.fromarray(np.full((2, 3, 3), 200, np.uint8)).save(tmp_path / "3.bmp")
    (tmp_path / "notes.txt").write_text("not an image")
    images = read_image_folder(tmp_path)
    np.testing.assert_array_equal(images[:3], IMAGES[:3])
    np.testing.assert_array_equal(images[3], 200)


def test_images_stored_in_colour_that_have_none_are_grey(tmp_path):
    for index, mode in enumerate(("RGB", "RGBA", "L", "CMYK")):
        Image.fromarray(IMAGES[index]).convert(mode).save(tmp_path / f"{index}.tif")
    Image.fromarray(IMAGES[0]).convert("RGB").save(tmp_path / "9.jpg")
    images = read_image_folder(tmp_path)
    assert images.shape == (5, 2, 3)
    np.testing.assert_array_equal(images[:3], IMAGES[:3])


def test_one_image_in_colour_makes_all_of_them_so(tmp_path):
    colours = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(IMAGES[0]).save(tmp_path / "0.png")
    Image.fromarray(colours).save(tmp_path / "1.png")
    with pytest.warns(ElbaxWarning, match=r"1 of 2 images are grey .* as 1\.png is.*--colour no"):
        images = read_image_folder(tmp_path)
    np.testing.assert_array_equal(images[0], np.stack([IMAGES[0]] * 3, axis=2))
    np.testing.assert_array_equal(images[1], colours)
    (tmp_path / "1.png").unlink()
    np.testing.assert_array_equal(read_image_folder(tmp_path, colour=True)[0], images[0])


INK = np.zeros((4, 5, 4), np.uint8)  # black, and opaque only where a letter would be
INK[1:3, 2, 3] = 255
INK[3, 3, 3] = 51  # one fifth of ink: four fifths of the paper's white show through


def transparent_images():
    rgba = Image.fromarray(INK)
    palette = Image.fromarray((INK[..., 3] > 100).astype(np.uint8))
    palette = palette.convert("P")
    palette.putpalette([0, 0, 0] * 2)
    palette.info["transparency"] = 0
    return {"RGBA": rgba, "LA": rgba.convert("LA"), "palette": palette}


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette"])
def test_transparent_paper_is_white(tmp_path, kind):
    transparent_images()[kind].save(tmp_path / "ink.png")
    expected = 255 - INK[..., 3].astype(int)
    if kind == "palette":
        expected[3, 3] = 255
    with pytest.warns(ElbaxWarning, match="1 of 1 images have transparent pixels, .* white paper"):
        images = read_image_folder(tmp_path)
    np.testing.assert_array_equal(images[0], expected)


def test_alpha_that_hides_nothing_changes_nothing(tmp_path):
    opaque = Image.fromarray(IMAGES[0]).convert("RGBA")
    opaque.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image_folder(tmp_path)[0], IMAGES[0])


@pytest.mark.parametrize("name", ["stack.tif", "moving.gif"])
def test_every_frame_is_a_datum(tmp_path, name):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    first, *rest = [Image.fromarray(image) for image in IMAGES[1:]]
    first.save(tmp_path / name, save_all=True, append_images=rest)
    np.testing.assert_array_equal(read_image_folder(tmp_path), IMAGES)


def test_image_folder_of_two_sizes_is_refused(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "0.png")
    Image.fromarray(IMAGES[0].T.copy()).save(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"1\.png: .* \[2, 3\], as 0\.png has; got \[3, 2\]"):
        read_image_folder(tmp_path)


def test_deep_and_broken_images_are_refused(tmp_path):
    Image.fromarray(IMAGES[0].astype(np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="pixel mode is I;16; save it with 8 bits"):
        read_image_folder(tmp_path)
    Image.fromarray(IMAGES[0]).save(tmp_path / "deep.png")
    data = (tmp_path / "deep.png").read_bytes()
    for size in (0, 20, 50):
        (tmp_path / "deep.png").write_bytes(data[:size])
        with pytest.raises(DataError, match="expected an image; it cannot be read as one"):
            read_image_folder(tmp_path)


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="directly in the folder; got none"):
        read_image_folder(tmp_path)
