"""Is this local file the one that the registry means?"""

import hashlib
import zlib
from pathlib import Path

from elbax._errors import DataError
from elbax._reading import UnreadableError, opened
from elbax.data.readers import amat_text, open_maybe_gzip, read_amat
from elbax.data.registry import SourceFile


def verify(path: Path, file: SourceFile) -> None:
    """Refuse a local file that is not the one meant.

    Raises:
        DataError: neither the file's hash nor that of its contents is known.
    """
    if not matches(path, file):
        algorithm = file.hashes[0].partition(":")[0]
        raise DataError(
            f"{path}: expected {file.names[0]} with {file.hashes[0]}; got "
            f"{file_digest(path, algorithm)} ({path.stat().st_size} bytes). "
            "The file is truncated or changed; remove it or get it again."
        )


def matches(path: Path, file: SourceFile) -> bool:
    """Whether the file, or else what is packed in it, has a known hash."""
    algorithms = {known.partition(":")[0] for known in file.hashes}
    if any(file_digest(path, algorithm) in file.hashes for algorithm in algorithms):
        return True
    return file.contents is not None and _contents_sha256(path) == file.contents


def file_digest(path: Path, algorithm: str) -> str:
    """The hash of a whole regular file, as "sha256:..."; OSError where it cannot be read."""
    try:
        with opened(path) as file:
            return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
    except UnreadableError as error:
        raise OSError(str(error)) from None


def _contents_sha256(path: Path) -> str | None:
    """Hash what is inside: decompressed bytes, or 0/1 text; None if it cannot be unpacked."""
    try:
        if path.suffix == ".amat":
            return hashlib.sha256(amat_text(read_amat(path))).hexdigest()
        digest = hashlib.sha256()
        with open_maybe_gzip(path) as opened:
            while block := opened.read(2**20):
                digest.update(block)
        return digest.hexdigest()
    except (DataError, OSError, EOFError, zlib.error):
        return None
