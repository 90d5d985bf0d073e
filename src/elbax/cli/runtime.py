"""How JAX is set up for a command: compiled programs are kept on disk between invocations."""

import os
from pathlib import Path

import jax
import pooch


def prepare() -> None:
    """Turn on the compilation cache, in ELBAX_CACHE or the user's cache folder.

    A folder that cannot be written only costs the compilation again.
    """
    folder = Path(os.environ.get("ELBAX_CACHE", pooch.os_cache("elbax"))) / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
