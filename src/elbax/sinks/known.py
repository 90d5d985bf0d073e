"""The tools that are known by name; free of them, and of JAX, so that a typo is told at once."""

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

from elbax._errors import InputError, unknown

KNOWN = ("tensorboard", "wandb", "mlflow", "trackio")  # also the extras, and what they import


def names_in(text: str) -> tuple[str, ...]:
    """The tools that a text names, each of them known and installed.

    Raises:
        InputError: one is unknown, named twice, or not installed; nothing has been imported.

    >>> names_in("")
    Traceback (most recent call last):
      ...
    elbax._errors.InputError: unknown sink ''. Known: tensorboard, wandb, mlflow, trackio.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in KNOWN:
            raise InputError(unknown("sink", name, KNOWN))
        if not is_installed(name):
            raise InputError(_absent(name))
    check_once(names)
    return names


def is_installed(name: str) -> bool:
    """Whether there is such a library, without importing it."""
    return importlib.util.find_spec(name) is not None


def check_once(names: Sequence[str]) -> None:
    """Refuse a tool that is named twice."""
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"expected each sink once; got {twice[0]} {names.count(twice[0])} times.")


def library(name: str) -> Any:
    """A tool's library, imported now that it was asked for.

    Raises:
        InputError: it is not there, or not in order; the message says what to install.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(_absent(name.partition(".")[0])) from error
    except Exception as error:
        why = str(error).partition("\n")[0]
        raise InputError(
            f"expected {name} in order, to log there; importing it failed ({type(error).__name__}: "
            f"{why}). Install it anew, or log elsewhere."
        ) from error


def _absent(name: str) -> str:
    return (
        f"expected {name} to be installed, to log there; it is not. "
        f'Run `pip install "elbax[{name}]"`.'
    )
