"""The options of `elbax data list`, `elbax data info` and `elbax data fetch`."""

from dataclasses import dataclass
from typing import Literal

import tyro

from elbax.cli.options.shared import DataDirOptions, OutputOptions


@dataclass(frozen=True)
class DataList(OutputOptions):
    """List the data sets that elbax knows by name.

    Example: elbax data list
    """


@dataclass(frozen=True)
class DataInfo(DataDirOptions, OutputOptions):
    """Load a data set and say what is in it: splits, shapes, licence, source.

    Example: elbax data info mnist
    """

    FIRST = ("name", "levels", "data_dir")

    name: tyro.conf.Positional[str]
    """A name that `elbax data list` shows, or the path of an .npy, .npz or folder of images."""
    levels: float | None = None
    """Value of your own data that means intensity 1."""
    colour: Literal["yes", "no"] | None = None
    """Whether the images of a folder are read in colour; none given takes colour where any of them
    has some."""


@dataclass(frozen=True)
class DataFetch(OutputOptions):
    """Download a data set into the cache, its hashes checked.

    Example: elbax data fetch mnist
    """

    FIRST = ("name",)

    name: tyro.conf.Positional[str]
    """A name that `elbax data list` shows."""
