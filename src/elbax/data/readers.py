"""Read each file format into arrays, or say in one sentence what is wrong with the file."""

import gzip
import io
import math
import struct
import subprocess
import sys
import tempfile
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from elbax import _reading as reading
from elbax._checks import memory_bytes
from elbax._errors import DataError
from elbax._reading import UnreadableError, read_bytes

MAX_IDX_BYTES = 2**31  # a header that claims more is wrong: MNIST has 47 million


def open_maybe_gzip(path: Path) -> BufferedIOBase:
    """Open a file for reading bytes, decompressing it if it begins as gzip does."""
    try:
        content = read_bytes(path)
    except UnreadableError as error:
        raise OSError(str(error)) from None
    raw = io.BytesIO(content)
    return gzip.GzipFile(fileobj=raw) if content.startswith(b"\x1f\x8b") else raw


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes, gzipped or not.

    Returns:
        uint8 array of the shape that the header states: `[N, H, W]` images or `[N]` labels.

    Raises:
        DataError: wrong magic number, a size that disagrees with the header, or broken gzip.
    """
    try:
        with open_maybe_gzip(path) as file:
            shape = _read_idx_header(file, path)
            expected = math.prod(shape)
            values = file.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, "an idx file", error) from error
    if len(values) != expected:
        got = f"{len(values)}" if len(values) < expected else "more"
        raise DataError(
            f"{path}: expected {expected} bytes of data for the shape {list(shape)} in its "
            f"header; got {got}. The file is truncated or damaged; get it again."
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_idx_header(file: BufferedIOBase, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    # Two zero bytes, the type (8 is unsigned byte), the number of axes.
    if len(magic) < 4 or magic[:3] != b"\x00\x00\x08" or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{path}: expected an idx file of unsigned bytes, which begins 00 00 08 and the number "
            f"of axes, 1 to 4; got {magic.hex(' ') or 'an empty file'}. Give another file."
        )
    dims = file.read(4 * magic[3])
    if len(dims) < 4 * magic[3]:
        raise DataError(f"{path}: expected {magic[3]} sizes in the idx header; the file ends.")
    shape = struct.unpack(f">{magic[3]}I", dims)
    if math.prod(shape) > MAX_IDX_BYTES:
        raise DataError(
            f"{path}: expected at most {MAX_IDX_BYTES} bytes of data; the header claims shape "
            f"{list(shape)}. The file is damaged; get it again."
        )
    return shape


def read_amat(path: Path) -> np.ndarray:
    """Read a binarised .amat file: text rows of 0 and 1, or a MATLAB v5 file under that name.

    Returns:
        `[N, D]` uint8 of 0 and 1.

    Raises:
        DataError: something else than 0 and 1, or rows of different lengths.
    """
    data = _bytes(path, "a binarised .amat file")
    if data.startswith(b"MATLAB 5.0"):
        values = _first_matrix(read_mat(path), path)
    else:
        values = _parse_amat_text(data, path)
    if values.size == 0 or not ((values == 0) | (values == 1)).all():
        raise DataError(f"{path}: expected values 0 and 1 only; got others or none.")
    return values.astype(np.uint8)


def _first_matrix(variables: dict[str, np.ndarray], path: Path) -> np.ndarray:
    matrix = variables.get("X", next(iter(variables.values()), None))
    if matrix is None or matrix.ndim != 2 or matrix.dtype.kind not in "buif":
        raise DataError(f"{path}: expected a matrix X of numbers in the MATLAB file; got none.")
    return matrix


def _parse_amat_text(data: bytes, path: Path) -> np.ndarray:
    """Parse without making a Python object per pixel: the training file has 39 million."""
    codes = np.frombuffer(data, np.uint8)
    is_digit = (codes == ord("0")) | (codes == ord("1"))
    is_space = (codes == ord(" ")) | (codes == ord("\n")) | (codes == ord("\r"))
    if not (is_digit | is_space).all() or (is_digit[1:] & is_digit[:-1]).any():
        raise DataError(f"{path}: expected text rows of 0 and 1 with a space between; got others.")
    if not is_digit.any():
        raise DataError(f"{path}: expected text rows of 0 and 1; got none. Get the file again.")
    line_starts = np.concatenate([[0], np.flatnonzero(codes[:-1] == ord("\n")) + 1])
    widths = np.add.reduceat(is_digit, line_starts, dtype=np.int64)
    widths = widths[widths > 0]  # blank lines do not count
    if (widths != widths[0]).any():
        raise DataError(
            f"{path}: expected rows of equal length, {widths[0]} values as in the first row; got "
            f"one of {widths[widths != widths[0]][0]}. The file is truncated or damaged; "
            "get it again."
        )
    return (codes[is_digit] - ord("0")).reshape(len(widths), -1)


def amat_text(values: np.ndarray) -> bytes:
    r"""Write `[N, D]` zeros and ones as Larochelle's text, to compare hashes.

    >>> amat_text(np.array([[0, 1], [1, 1]], dtype=np.uint8))
    b'0 1\n1 1\n'
    """
    text = np.full((len(values), 2 * values.shape[1]), ord(" "), np.uint8)
    text[:, ::2] = values + ord("0")
    text[:, -1] = ord("\n")
    return text.tobytes()


# What SciPy makes of a MATLAB file, in a process of its own: its reader is C without checks, and a
# damaged file can crash it. Only numbers come back.
_MAT_CHILD = """
import sys, warnings
import numpy, scipy.io
warnings.simplefilter("ignore")
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
except (ImportError, ValueError, OSError):
    pass  # a system without limits
found = scipy.io.loadmat(sys.argv[1], appendmat=False)
arrays = {n: numpy.asarray(v) for n, v in found.items() if not n.startswith("__")}
names = [n for n, v in arrays.items() if v.dtype.kind in "biufU"]
numpy.savez(sys.argv[2], names=numpy.array(names, "U"), *(arrays[n] for n in names))
"""
_MAT_SECONDS = 600


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """Read the variables of a MATLAB file, version 7 or older, that hold numbers or text."""
    _bytes(path, "a MATLAB file")  # a regular file, and not too large
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "variables.npz"
        command = [sys.executable, "-I", "-c", _MAT_CHILD, str(path.resolve()), str(target)]
        command.append(str(memory_bytes() // 2))
        try:
            done = subprocess.run(command, capture_output=True, timeout=_MAT_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise unreadable(path, "a MATLAB file", error) from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            reason = said[-1] if done.returncode > 0 and said else "it crashes its reader"
            raise unreadable(path, "a MATLAB file", UnreadableError(reason))
        found = read_npz(target)
    names = found["names"].tolist()
    return {name: found[f"arr_{place}"] for place, name in enumerate(names)}


def read_chardata(path: Path) -> dict[str, np.ndarray]:
    """Read Burda et al.'s chardata.mat of 28 x 28 OMNIGLOT characters.

    Returns:
        `train` and `test`, `[N, 28, 28]` uint8, upright; and, where the file has the targets,
        `train_labels` and `test_labels`, the alphabet of each, `[N]`.

    Raises:
        DataError: no MATLAB file, variables missing, or values outside [0, 1].

    References:
        Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
    """
    variables = read_mat(path)
    arrays = {}
    for split, key in (("train", "data"), ("test", "testdata")):
        values = variables.get(key)
        if values is None or values.ndim != 2 or len(values) != 784 or values.dtype.kind != "f":
            got = "none" if values is None else f"{values.dtype} of shape {list(values.shape)}"
            raise DataError(f"{path}: expected '{key}' as floats of shape [784, N]; got {got}.")
        if not ((values >= 0) & (values <= 1)).all():
            raise DataError(f"{path}: expected '{key}' in [0, 1]; got values outside.")
        # A column is an image stored column by column, as MATLAB does.
        upright = values.T.reshape(-1, 28, 28).transpose(0, 2, 1)
        arrays[split] = np.ascontiguousarray(np.round(255 * upright).astype(np.uint8))
    for split, key in (("train", "target"), ("test", "testtarget")):
        if key in variables:
            arrays[f"{split}_labels"] = variables[key].argmax(axis=0)
    return arrays


def read_npy(path: Path) -> np.ndarray:
    """Read one array; pickled objects are refused."""
    try:
        return reading.read_npy(path)
    except UnreadableError as error:
        raise unreadable(path, "an .npy file of numbers", error) from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an archive, by key; pickled objects are refused."""
    try:
        return reading.read_npz(path)
    except UnreadableError as error:
        raise unreadable(path, "an .npz archive of numbers", error) from error


def _bytes(path: Path, expected: str) -> bytes:
    try:
        return read_bytes(path)
    except (OSError, UnreadableError) as error:
        raise unreadable(path, expected, error) from error


def unreadable(path: Path, expected: str, error: Exception) -> DataError:
    """The sentence on a file that is not what it should be, in the words of whoever read it."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"{path}: expected {expected}; it cannot be read as one ({reason}). "
        "Give another file, or get this one again."
    )
