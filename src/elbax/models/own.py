"""Models of the user's own: a function that builds them, given as itself or by its import path."""

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from elbax._errors import InputError, unknown
from elbax._types import PRNGKey
from elbax.models.config import PRESETS
from elbax.models.interface import Model

# A function of a random key; where it has an argument `event_shape`, of a datum's shape too.
ModelBuilder = Callable[..., Model]

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_path(text: str) -> bool:
    """Whether a text is an import path, "module:function".

    >>> is_path("models.mine:build"), is_path("small")
    (True, False)
    """
    return _PATH.fullmatch(text) is not None


def check_named(text: str) -> None:
    """Refuse a text that is neither a preset's name nor an import path.

    Raises:
        InputError: as said.
    """
    if text not in PRESETS and not is_path(text):
        raise InputError(
            unknown("model", text, PRESETS)
            + " A model of your own is given as module:function, such as mymodule:build."
        )


def own_builder(
    model: ModelBuilder | str, event_shape: tuple[int, ...]
) -> Callable[[PRNGKey], Model]:
    """A function of a random key alone, which checks that what comes out is a model.

    Args:
        model: the function, or its import path, which is imported now.
        event_shape: the shape of a datum, handed over where the function has an argument of that
            name.

    Raises:
        InputError: it cannot be imported.
    """
    function = imported(model) if isinstance(model, str) else model
    names = _arguments(function)

    def build(key: PRNGKey) -> Model:
        if "event_shape" not in names:
            built = function(key)
        elif "key" in names:
            built = function(event_shape=event_shape, key=key)
        else:
            built = function(key, event_shape=event_shape)
        if not isinstance(built, Model):
            raise InputError(
                f"expected the function that builds the model to return an elbax.Model; got "
                f"{type(built).__name__}."
            )
        return built

    return build


def imported(path: str) -> ModelBuilder:
    """The function at an import path, modules of the current directory first.

    This runs the module's code: only a path that the user has named may come here, never one that
    a file holds.

    Raises:
        InputError: no such module or function, or the module fails while it is imported.
    """
    if not is_path(path):
        raise InputError(
            f"expected a model of your own as module:function, such as mymodule:build; got "
            f"'{path}'."
        )
    name, _, place = path.partition(":")
    found: Any = _module(name, path)
    for attribute in place.split("."):
        found = getattr(found, attribute, None)
    if not callable(found):
        raise InputError(
            f"module '{name}' has no function '{place}'; define it as a function of a random key "
            "to an elbax.Model."
        )
    return cast(ModelBuilder, found)


def _module(name: str, path: str) -> Any:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        importlib.invalidate_caches()
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and name.startswith(str(error.name)):
            raise InputError(
                f"found no module '{name}' for '{path}' in '{here}' or among the installed ones; "
                "run elbax where it lies, or set PYTHONPATH."
            ) from None
        raise InputError(
            f"module '{name}' failed while it was imported ({type(error).__name__}: {error})."
        ) from error
    finally:
        sys.path.remove(here)


def _arguments(function: Callable) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # not every callable tells
        return set()
