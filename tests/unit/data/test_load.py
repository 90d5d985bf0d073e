import gzip

import numpy as np
import pytest
import scipy.io

from elbax._errors import DataError
from elbax.data import registry
from elbax.data.load import load_data
from elbax.data.readers import amat_text
from elbax.data.registry import SourceFile

from .files import make_source, sha256


@pytest.fixture
def folder(tiny, tmp_path):
    return tiny.write(tmp_path / "data")


def register(monkeypatch, name, files: dict[str, tuple[str, bytes]], **changes):
    """Put a set of these files, role -> (name, contents), into the registry."""
    form = tuple(
        SourceFile(role, (file,), (f"sha256:{sha256(data)}",))
        for role, (file, data) in files.items()
    )
    monkeypatch.setitem(registry.SOURCES, name, make_source(name, form, **changes))


def test_digits():
    data = load_data("digits")
    assert data.train.shape == (1437, 8, 8)
    assert data.test.shape == (360, 8, 8)
    assert (data.train.dtype, data.levels, data.binarise) == (np.uint8, 16.0, "dynamic")
    assert data.train.max() == 16
    assert data.train_labels.shape == (1437,)
    assert set(data.test_labels) == set(range(10))
    assert data.fingerprint() == load_data("digits").fingerprint()


def test_idx_by_name(tiny, folder):
    data = load_data("tiny", data_dir=folder)
    np.testing.assert_array_equal(data.train, tiny.arrays["train_images"])
    np.testing.assert_array_equal(data.test, tiny.arrays["test_images"])
    assert (data.levels, data.binarise) == (255.0, "dynamic")
    assert data.source == "train_images.idx.gz, test_images.idx.gz"


def test_amat_by_name(tmp_path, monkeypatch):
    binary = np.random.default_rng(0).integers(0, 2, (12, 6), np.uint8)
    parts = {"train": binary[:6], "valid": binary[6:8], "test": binary[8:]}
    scipy.io.savemat(tmp_path / "test.amat", {"X": parts["test"].astype(float)}, appendmat=False)
    files = {
        "train": ("train.amat", amat_text(parts["train"])),
        "valid": ("valid.amat", amat_text(parts["valid"])),
        "test": ("test.amat", (tmp_path / "test.amat").read_bytes()),
    }
    for name, data in files.values():
        (tmp_path / name).write_bytes(data)
    register(monkeypatch, "static", files, num_valid=2, levels=1.0, binarise="none")
    data = load_data("static", data_dir=tmp_path)
    for split, values in parts.items():
        np.testing.assert_array_equal(data.split(split), values.reshape(-1, 2, 3))
    assert data.is_binary
    with pytest.raises(DataError, match="brings its own validation split of 2; got 1"):
        load_data("static", data_dir=tmp_path, num_valid=1)


def test_npz_by_name_keeps_alphabets_as_labels(tmp_path, monkeypatch):
    images = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)
    alphabets = np.arange(10, dtype=np.uint8)
    np.savez(
        tmp_path / "x.npz",
        train=images[:6],
        test=images[6:],
        train_alphabet=alphabets[:6],
        test_alphabet=alphabets[6:],
        alphabet_names=np.array(["Greek", "Latin"]),
    )
    register(monkeypatch, "chars", {"npz": ("x.npz", (tmp_path / "x.npz").read_bytes())})
    data = load_data("chars", data_dir=tmp_path)
    np.testing.assert_array_equal(data.test, images[6:])
    assert data.train_labels.tolist() == list(range(6))
    assert data.train_labels.dtype == np.int32


def test_chardata_by_name(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {"data": rng.random((784, 6)), "testdata": rng.random((784, 4))}
    scipy.io.savemat(tmp_path / "chardata.mat", arrays)
    packed = (tmp_path / "chardata.mat").read_bytes()
    files = {"chardata": ("chardata.mat", packed)}
    register(monkeypatch, "chars", files, event_shape=(28, 28))
    assert load_data("chars", data_dir=tmp_path).test.shape == (4, 28, 28)


def test_split_of_the_wrong_size_is_refused(tiny, folder, monkeypatch):
    wrong = make_source("tiny", *tiny.source.forms, num_train=7)
    monkeypatch.setitem(registry.SOURCES, "tiny", wrong)
    with pytest.raises(DataError, match=r"train of tiny with shape \[7, 2, 3\]; got \[6, 2, 3\]"):
        load_data("tiny", data_dir=folder)


def test_fixed_is_the_evaluation_split(folder):
    grey = load_data("tiny", data_dir=folder)
    fixed = load_data("tiny", data_dir=folder, binarise="fixed", seed=3)
    assert (fixed.train.dtype, fixed.levels, fixed.binarise) == (np.uint8, 1.0, "fixed")
    assert fixed.is_binary
    np.testing.assert_array_equal(fixed.evaluation_split(), grey.evaluation_split("test", seed=3))
    other = load_data("tiny", data_dir=folder, binarise="fixed", seed=4)
    assert fixed.fingerprint() != other.fingerprint()


def test_threshold(tiny, folder):
    data = load_data("tiny", data_dir=folder, binarise="threshold")
    np.testing.assert_array_equal(data.train, tiny.arrays["train_images"] / 255 > 0.5)
    assert (data.levels, data.is_binary) == (1.0, True)


def test_none_leaves_grey_and_says_so(folder):
    data = load_data("tiny", data_dir=folder, binarise="none")
    assert not data.is_binary
    np.testing.assert_array_equal(data.evaluation_split(), data.intensities("test"))


def test_num_valid_takes_the_last_rows(tiny, folder):
    data = load_data("tiny", data_dir=folder, num_valid=2)
    np.testing.assert_array_equal(data.train, tiny.arrays["train_images"][:4])
    np.testing.assert_array_equal(data.valid, tiny.arrays["train_images"][4:])
    assert len(load_data("digits", num_valid=37).train_labels) == 1400


def test_path_in_each_form(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((10, 4)))
    assert load_data(tmp_path / "x.npy").num_features == 4
    assert load_data(str(tmp_path / "x.npy")).num_features == 4


def test_the_request_gives_the_data_set_again(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(60, dtype=np.uint8).reshape(20, 3))
    data = load_data(tmp_path / "x.npy", levels=60, seed=2, num_valid=3)
    assert (data.request["levels"], data.binarise, data.usual) == (60.0, "dynamic", True)
    assert load_data(**data.request).fingerprint() == data.fingerprint()
    assert not load_data(**data.request).usual


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnits", {}, "unknown data set 'mnits'; did you mean 'mnist'"),
        ("nothing.npy", {}, "'nothing.npy' does not exist"),
        ("./mnist", {}, "'mnist' does not exist"),
        ("digits", {"binarise": "static"}, "binarise to be one of dynamic, .*; got 'static'"),
        ("digits", {"seed": -1}, "a seed of at least 0; got -1"),
        ("digits", {"levels": 255}, "no levels for digits, in which 16 means intensity 1; got 255"),
        ("nothing.npy", {"levels": 0}, "levels > 0, the value that means intensity 1; got 0"),
        ("digits", {"num_valid": -1}, "num_valid from 0 to 1436, .* got -1"),
        ("digits", {"num_valid": 1437}, "less than the 1437 training rows of digits; got 1437"),
        ("tiny", {"data_dir": "nowhere"}, "got 'nowhere', which is no folder"),
    ],
)
def test_wrong_calls_are_refused(tiny, tmp_path, monkeypatch, name, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        load_data(name, **options)


@pytest.mark.parametrize("mode", ["dynamic", "fixed", "threshold"])
def test_real_data_cannot_be_binarised(tmp_path, mode):
    np.save(tmp_path / "x.npy", np.array([[2.0], [-1.0], [0.5]]))
    with pytest.raises(DataError, match=r"of x, to binarise, in \[0, 1\] .* got values from"):
        load_data(tmp_path / "x.npy", binarise=mode)


REAL_SIZES = {
    "mnist": (60000, 10000, None),
    "mnist-static": (50000, 10000, 10000),
    "omniglot": (24345, 8070, None),
    "fashion-mnist": (60000, 10000, None),
}


@pytest.mark.data
@pytest.mark.parametrize("name", REAL_SIZES)
def test_real_files(real_data, name):
    data = load_data(name)
    num_train, num_test, num_valid = REAL_SIZES[name]
    assert data.train.shape == (num_train, 28, 28)
    assert data.test.shape == (num_test, 28, 28)
    assert (None if data.valid is None else len(data.valid)) == num_valid
    assert data.is_binary == (name == "mnist-static")
    assert (data.train_labels is None) == (name == "mnist-static")
    # Background is dark: no published mean intensity of these sets is above one third.
    assert 0.05 < data.mean_intensity().mean() < 0.33


@pytest.mark.data
def test_real_mnist_labels(real_data):
    data = load_data("mnist")
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.test_labels[:5].tolist() == [7, 2, 1, 0, 4]


@pytest.mark.data
def test_real_static_mnist_is_larochelle_s(real_data):
    data = load_data("mnist-static")
    for file in registry.get("mnist-static").download:
        assert sha256(amat_text(data.split(file.role).reshape(-1, 784))) == file.contents


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "source", "folder", "pattern"),
    [
        ("mnist", "mnist", "MNIST/raw", "{part}-{kind}-idx{axes}-ubyte"),
        ("mnist", "mnist", "", "{part}-{kind}.idx{axes}-ubyte"),
        ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "{part}-{kind}-idx{axes}-ubyte.gz"),
    ],
)
def test_real_files_are_found_where_other_libraries_put_them(
    real_data, tmp_path, name, source, folder, pattern
):
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for kind, axes in (("images", 3), ("labels", 1)):
            packed = (real_data / source / f"{part}-{kind}-idx{axes}-ubyte.gz").read_bytes()
            file = pattern.format(part=part, kind=kind, axes=axes)
            content = packed if file.endswith(".gz") else gzip.decompress(packed)
            (place / file).write_bytes(content)
    assert load_data(name, data_dir=tmp_path).train.shape == (60000, 28, 28)
