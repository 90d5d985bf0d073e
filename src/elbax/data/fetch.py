"""Find the files of a data set: in a folder, in the cache, or on the network."""

import os
from pathlib import Path

from elbax._errors import DataError
from elbax.data import registry
from elbax.data.download import DownloadError, download, is_whole
from elbax.data.registry import DataSource, SourceFile
from elbax.data.verify import matches, verify

DATA_VARIABLE = "ELBAX_DATA"
_SHARED = (".", "raw")  # where files of one name may be of several sets: MNIST and Fashion-MNIST


def locate(source: DataSource, data_dir: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Find the files of a data set: in the data folder, then in the cache, then on the network.

    Args:
        source: an entry of the registry.
        data_dir: a folder with the files in it or in the data set's sub-folder, torchvision's
            (`MNIST/raw`) too; by default the one that the environment variable ELBAX_DATA names, if
            it is set.

    Returns:
        The path of each file by its role, every one checked; empty if no file is needed.

    Raises:
        DataError: the folder is not there, a file in it is truncated or changed, or the files are
            nowhere and cannot be downloaded.
    """
    folder = data_dir or os.environ.get(DATA_VARIABLE)
    if source.forms and folder:
        if found := _search(source, Path(folder).expanduser()):
            return found
    return _download(source)


def fetch(name: str) -> dict[str, Path]:
    """Download a data set into the cache, unless it is there, and return its files by role.

    Raises:
        DataError: the name is unknown, or no mirror has the right file.

    >>> fetch("digits")
    {}
    """
    return _download(registry.get(name))


def cache_dir() -> Path:
    """Return the platform's cache folder for elbax."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("elbax"))


def _search(source: DataSource, folder: Path) -> dict[str, Path]:
    """Return the files of the first form that is complete in the folder, checked; else nothing."""
    if not folder.is_dir():
        raise DataError(
            f"expected a data folder (--data-dir or {DATA_VARIABLE}); got '{folder}', which is no "
            "folder. Give one, or leave it out to download."
        )
    for form in source.forms:
        found = {file.role: path for file in form if (path := _find(file, source, folder))}
        if len(found) == len(form):
            for file in form:
                verify(found[file.role], file)
            return found
    return {}


def _find(file: SourceFile, source: DataSource, folder: Path) -> Path | None:
    for inner in (source.folder, *source.nested):
        for name in file.names:
            if (path := folder / inner / name).is_file():
                return path
    for inner in _SHARED:
        for name in file.names:
            path = folder / inner / name
            if path.is_file() and not _belongs_to_another(path, source):
                return path
    return None


def _belongs_to_another(path: Path, source: DataSource) -> bool:
    """Whether a file outside the sub-folders is of another set: MNIST and Fashion share names."""
    return any(
        matches(path, file)
        for other in registry.SOURCES.values()
        if other is not source
        for file in other.files
        if path.name in file.names
    )


def _download(source: DataSource) -> dict[str, Path]:
    """Return the files from the cache, downloading those that are missing or damaged there."""
    return {file.role: _retrieve(file, source) for file in source.download}


def _retrieve(file: SourceFile, source: DataSource) -> Path:
    target = cache_dir() / source.folder / file.names[0]
    if is_whole(target, file):
        return target
    try:
        download(file, target)
    except DownloadError as error:
        wanted = ", ".join(file.names[0] for file in source.download)
        raise DataError(
            f"cannot download {file.names[0]} of {source.name} ({error}). "
            f"Put the files {wanted} into a folder and name it with --data-dir or {DATA_VARIABLE}."
        ) from error
    return target
