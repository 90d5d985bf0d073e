"""The data sets that elbax knows by name: files, hashes, split, licence."""

from dataclasses import dataclass
from itertools import chain

from elbax._errors import DataError, unknown


@dataclass(frozen=True)
class SourceFile:
    """One file of a data set.

    Attributes:
        role: what the reader calls it, for example "train_images".
        names: the local names it may have; the first is that of the download.
        hashes: of the whole file, as "sha256:..." or "md5:..."; the first is that of the download.
        urls: mirrors, in the order in which they are tried; empty if it cannot be downloaded.
        num_bytes: size of the download, if known.
        contents: sha256 of what is inside, however it is packed: the decompressed idx file, the
            0/1 text of an .amat file. A local file with other hashes is taken if this agrees.
    """

    role: str
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    urls: tuple[str, ...] = ()
    num_bytes: int | None = None
    contents: str | None = None


@dataclass(frozen=True)
class DataSource:
    """A data set that elbax knows.

    Attributes:
        name: by which it is asked for.
        description: one sentence.
        folder: the sub-folder of a data folder, and of the cache, that holds its files.
        forms: alternative sets of files, each complete, in the order in which they are looked for;
            empty if no file is needed.
        num_train: size of the training split.
        num_test: size of the test split.
        num_valid: size of the validation split that the set itself brings.
        event_shape: shape of one datum.
        levels: the stored value that means intensity 1.
        binarise: the default mode.
        licence: of the data.
        citation: whom to cite.
        nested: other sub-folders in which the files may lie, as other libraries put them.
    """

    name: str
    description: str
    folder: str
    forms: tuple[tuple[SourceFile, ...], ...]
    num_train: int
    num_test: int
    num_valid: int
    event_shape: tuple[int, ...]
    levels: float
    binarise: str
    licence: str
    citation: str
    nested: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """All files of all forms."""
        return tuple(chain.from_iterable(self.forms))

    @property
    def download(self) -> tuple[SourceFile, ...]:
        """The files of the form that can be downloaded; empty if no file is needed."""
        return next((form for form in self.forms if all(file.urls for file in form)), ())


def names() -> tuple[str, ...]:
    """Return the names of all known data sets.

    >>> names()
    ('digits', 'mnist', 'mnist-static', 'omniglot', 'fashion-mnist')
    """
    return tuple(SOURCES)


def get(name: str) -> DataSource:
    """Return the data set of this name; DataError with the nearest name if there is none.

    >>> get("digits").num_train
    1437
    """
    if name not in SOURCES:
        raise DataError(unknown("data set", name, SOURCES))
    return SOURCES[name]


def _idx(
    role: str, stem: str, mirrors: tuple[str, ...], num_bytes: int, hashes: str, contents: str
) -> SourceFile:
    """One gzipped idx file; `hashes` are sha256, of the official gzip and of `gzip -n`'s."""
    dotted = stem.replace("-idx", ".idx")  # as some archives have it
    return SourceFile(
        role=role,
        names=(f"{stem}.gz", stem, f"{dotted}.gz", dotted),
        hashes=tuple(f"sha256:{digest}" for digest in hashes.split()),
        urls=tuple(f"{mirror}/{stem}.gz" for mirror in mirrors),
        num_bytes=num_bytes,
        contents=contents,
    )


def _amat(split: str, num_bytes: int, sha256: str) -> SourceFile:
    """One of Larochelle's text files; its own hash is the hash of its contents."""
    name = f"binarized_mnist_{split}.amat"
    return SourceFile(
        role=split,
        names=(name,),
        hashes=(f"sha256:{sha256}",),
        urls=(
            f"https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/{name}",
            f"https://raw.githubusercontent.com/riannevdberg/sylvester-flows/master/data/MNIST_static/{name}",
        ),
        num_bytes=num_bytes,
        contents=sha256,
    )


_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_FASHION_MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
)

_DIGITS = DataSource(
    name="digits",
    description="8 x 8 handwritten digits inside scikit-learn; nothing to download.",
    folder="digits",
    forms=(),
    num_train=1437,
    num_test=360,
    num_valid=0,
    event_shape=(8, 8),
    levels=16.0,
    binarise="dynamic",
    licence="CC BY 4.0 (UCI), as bundled with scikit-learn",
    citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998",
)

_MNIST = DataSource(
    name="mnist",
    description="28 x 28 grey handwritten digits.",
    folder="mnist",
    forms=(
        (
            _idx(
                "train_images",
                "train-images-idx3-ubyte",
                _MNIST_MIRRORS,
                9912422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 "
                "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            _idx(
                "train_labels",
                "train-labels-idx1-ubyte",
                _MNIST_MIRRORS,
                28881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c "
                "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            _idx(
                "test_images",
                "t10k-images-idx3-ubyte",
                _MNIST_MIRRORS,
                1648877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 "
                "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            _idx(
                "test_labels",
                "t10k-labels-idx1-ubyte",
                _MNIST_MIRRORS,
                4542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 "
                "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
    ),
    num_train=60000,
    num_test=10000,
    num_valid=0,
    event_shape=(28, 28),
    levels=255.0,
    binarise="dynamic",
    licence="CC BY-SA 3.0, as Keras states it",
    citation="LeCun, Bottou, Bengio and Haffner, Gradient-based learning, Proc. IEEE, 1998",
    nested=("MNIST/raw", "MNIST"),
)

_MNIST_STATIC = DataSource(
    name="mnist-static",
    description="MNIST binarised once by Larochelle, with a validation split and no labels.",
    folder="binarized_mnist",
    forms=(
        (
            SourceFile(
                role="npz",
                names=("binarized_mnist_larochelle.npz",),
                hashes=("sha256:4c2830802b203335733d2faafe523c442046e7f77d7dbfaafbd8b70fb6d40340",),
            ),
        ),
        (
            _amat(
                "train",
                78400000,
                "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            ),
            _amat(
                "valid",
                15680000,
                "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            ),
            _amat(
                "test",
                15680000,
                "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            ),
        ),
    ),
    num_train=50000,
    num_test=10000,
    num_valid=10000,
    event_shape=(28, 28),
    levels=1.0,
    binarise="none",
    licence="none stated; made from MNIST",
    citation="Larochelle and Murray, The Neural Autoregressive Distribution Estimator, 2011; "
    "Salakhutdinov and Murray, On the Quantitative Analysis of Deep Belief Networks, 2008",
)

_OMNIGLOT = DataSource(
    name="omniglot",
    description="28 x 28 grey characters of 50 alphabets, in the split of Burda et al.; "
    "labels are alphabets.",
    folder="omniglot",
    forms=(
        (
            SourceFile(
                role="chardata",
                names=("chardata.mat",),
                # Only an md5 of this file is published; no sha256 could be found.
                hashes=("md5:21ecaf34373511aa7691cf2e0802aa3d",),
                urls=(
                    "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/chardata.mat",
                    "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",
                ),
            ),
        ),
        (
            # A rebuild from the original drawings: same split, pixels within about a grey level.
            SourceFile(
                role="npz",
                names=("omniglot_28x28_burda_rebuilt.npz",),
                hashes=("sha256:ece5217dbbab9419f369737c652f35da88cbc7076314a105a2c7ebbc8e6ff712",),
            ),
        ),
    ),
    num_train=24345,
    num_test=8070,
    num_valid=0,
    event_shape=(28, 28),
    levels=255.0,
    binarise="dynamic",
    licence="MIT",
    citation="Lake, Salakhutdinov and Tenenbaum, Human-level concept learning, Science, 2015; "
    "Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016",
)

_FASHION_MNIST = DataSource(
    name="fashion-mnist",
    description="28 x 28 grey pictures of ten kinds of clothing.",
    folder="fashion_mnist",
    forms=(
        (
            _idx(
                "train_images",
                "train-images-idx3-ubyte",
                _FASHION_MIRRORS,
                26421880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 "
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            _idx(
                "train_labels",
                "train-labels-idx1-ubyte",
                _FASHION_MIRRORS,
                29515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 "
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            _idx(
                "test_images",
                "t10k-images-idx3-ubyte",
                _FASHION_MIRRORS,
                4422102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 "
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            _idx(
                "test_labels",
                "t10k-labels-idx1-ubyte",
                _FASHION_MIRRORS,
                5148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 "
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
    ),
    num_train=60000,
    num_test=10000,
    num_valid=0,
    event_shape=(28, 28),
    levels=255.0,
    binarise="dynamic",
    licence="MIT",
    citation="Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017",
    nested=("FashionMNIST/raw", "FashionMNIST", "fashion-mnist"),
)

SOURCES = {
    source.name: source for source in (_DIGITS, _MNIST, _MNIST_STATIC, _OMNIGLOT, _FASHION_MNIST)
}
