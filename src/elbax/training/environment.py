"""What the bits of a result depend on beside its configuration: versions, flags, processor."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import jax

from elbax._checks import num_cores
from elbax._version import __version__

_PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy")
_FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")  # and all that begin with JAX_
_NOT_FLAGS = ("CACHE", "LOG", "TRACEBACK", "COORDINATOR", "PROCESS")  # which change no number


def environment() -> dict[str, Any]:
    """The environment of this process, for training.json, results.json and study.json.

    >>> sorted(environment())
    ['device', 'flags', 'processor', 'threads', 'versions']
    """
    return {
        "device": jax.devices()[0].device_kind,
        "processor": _processor(),
        "threads": num_cores(),
        "flags": _flags(),
        "versions": {
            "elbax": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
    }


def changes(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What differs between a recorded environment and another: "jax 0.10.1 there, 0.12.0 here".

    What was not recorded is not known to differ. Threads do not count: they change no bit.

    >>> changes({"versions": {"jax": "0.10.1"}}, {"versions": {"jax": "0.12.0", "numpy": "2.4"}})
    ['jax 0.10.1 there, 0.12.0 here']
    """
    found = []
    for name in ("device", "processor"):
        before, now = there.get(name), here.get(name)
        if before is not None and now is not None and before != now:
            found.append(f"{name} {before} there, {now} here")
    for group in ("versions", "flags"):
        before, now = there.get(group), here.get(group)
        if before is None or now is None:
            continue
        names = [*before] if group == "versions" else [*dict.fromkeys([*before, *now])]
        found += [
            f"{name} {before.get(name, 'unset')} there, {now.get(name, 'unset')} here"
            for name in names
            if before.get(name) != now.get(name)
        ]
    return found


def _flags() -> dict[str, str]:
    """Settings of JAX and XLA that may change numbers."""
    found = {name: os.environ[name] for name in _FLAGS if os.environ.get(name)}
    found |= {
        name: value
        for name, value in os.environ.items()
        if name.startswith("JAX_") and not any(part in name for part in _NOT_FLAGS)
    }
    if jax.config.read("jax_enable_x64"):  # however it was turned on
        found["JAX_ENABLE_X64"] = "1"
    return dict(sorted(found.items()))


def _processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
