"""Releases of jaxlib that are known to compute wrong numbers, or to crash, on a CPU.

pyproject.toml excludes them; who installs one all the same is told when elbax is imported. Free of
JAX, so that the command line starts fast. What they get wrong: `tests/unit/test_compiler.py`.
"""

import importlib.metadata
import warnings

KNOWN_BAD = {
    "0.10.2": "sums the squares of a batched product wrongly (jax-ml/jax#39103) and crashes in "
    "reductions over many axes (#39257, #40412)",
    "0.11.0": "crashes or hangs in reductions over many axes (jax-ml/jax#39257)",
}


class CompilerWarning(UserWarning):
    """The installed jaxlib is known to compute wrong numbers."""


def warn_if_known_bad(version: str | None = None) -> None:
    """Warn if jaxlib (the installed one, or `version`) is a release known to be broken.

    >>> warn_if_known_bad("0.10.1")
    """
    if version is None:
        try:
            version = importlib.metadata.version("jaxlib")
        except importlib.metadata.PackageNotFoundError:
            return  # JAX says itself that it is not there
    if version in KNOWN_BAD:
        warnings.warn(
            f"jaxlib {version} {KNOWN_BAD[version]}: its results on a CPU cannot be trusted. "
            "Install another release: pip install 'jax!=0.10.2,!=0.11.0'.",
            CompilerWarning,
            stacklevel=3,
        )
