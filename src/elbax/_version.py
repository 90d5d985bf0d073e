"""The version, read by the build and by `elbax --version`."""

__version__ = "0.1.0"
