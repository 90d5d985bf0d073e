"""How JAX is set up for a command: compiled programs are kept on disk between invocations."""

import hashlib
import os
import platform
from pathlib import Path

import jax
import platformdirs


def prepare() -> None:
    """Turn on the compilation cache, in ELBAX_CACHE or the user's cache folder.

    A folder that cannot be written only costs the compilation again. What is compiled for one
    kind of processor is never loaded on another, which may lack an instruction.
    """
    cache = Path(os.environ.get("ELBAX_CACHE", platformdirs.user_cache_dir("elbax")))
    folder = cache / "compiled" / _processor()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _processor() -> str:
    """A name for this kind of processor: what it calls itself and the instructions it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        said = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    except OSError:  # not Linux
        said = {platform.machine(), platform.processor()}
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()[:16]
