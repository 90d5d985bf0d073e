"""A piece of work as it travels: a function's name with its arguments, and what came of it."""

import importlib
import os
import socket
import threading
import traceback
from typing import Any

from elbax import _errors
from elbax._errors import ElbaxError, InputError, RunFailedError, StoppedError
from elbax._version import __version__

STOPPING = threading.Event()  # set where this process is asked to save and end

Task = dict[str, Any]
Envelope = dict[str, Any]


def task(call: str, **arguments: Any) -> Task:
    """A piece of work, in JSON values.

    Args:
        call: a function of elbax, as "module:function"; it takes and gives JSON values.
        arguments: by name.

    >>> task("elbax.launch.work:echo", text="a")["call"]
    'elbax.launch.work:echo'
    """
    return {"elbax": __version__, "call": call, "with": arguments, "directory": os.getcwd()}


def perform(task: Task) -> Envelope:
    """Perform a piece of work, wherever this is.

    Returns:
        `{"result": ..}`; or, of what elbax raises on purpose, `{"error": message, "kind": class}`,
        or `{"stopped": message}`; other exceptions as `{"error": message, "kind": ""}`. Nothing is
        raised: an exception that a caller sees came from the engine, and says that the worker died.

    >>> perform(task("elbax.launch.work:echo", text="a"))
    {'result': 'a'}
    """
    try:
        return {"result": _called(task)}
    except StoppedError as error:
        return {"stopped": str(error)}
    except ElbaxError as error:
        return {"error": str(error), "kind": _kind(error)}
    except Exception as error:  # noqa: BLE001 (it is the caller's to say)
        trace = "" if not os.environ.get("ELBAX_TRACEBACK") else f" ({traceback.format_exc()})"
        return {"error": f"{type(error).__name__}: {error}{trace}", "kind": ""}


def opened(envelope: Envelope) -> Any:
    """What a piece of work gave; its error is raised here as it was there.

    Raises:
        ElbaxError: of the kind that was raised there.

    >>> opened({"result": 3})
    3
    """
    if "result" in envelope:
        return envelope["result"]
    if "stopped" in envelope:
        raise StoppedError(envelope["stopped"])
    kind = getattr(_errors, envelope["kind"], RunFailedError)
    raise kind(envelope["error"])


def echo(text: str) -> str:
    """What it was given: a worker that gives it back is one.

    >>> echo("here")
    'here'
    """
    return text


def _called(task: Task) -> Any:
    if task["elbax"] != __version__:
        raise InputError(
            f"expected elbax {task['elbax']} on every machine, as here; a worker on {_here()} has "
            f"{__version__}. Install the same version there."
        )
    module, _, name = task["call"].partition(":")
    if module.partition(".")[0] != "elbax":
        raise InputError(f"expected a function of elbax as work; got '{task['call']}'.")
    if os.path.isdir(task["directory"]) and os.getcwd() != task["directory"]:
        os.chdir(task["directory"])  # where relative paths were meant
    from elbax._runtime import prepare

    prepare()
    return getattr(importlib.import_module(module), name)(**task["with"])


def _kind(error: ElbaxError) -> str:
    """The nearest class that every elbax knows."""
    known = (one.__name__ for one in type(error).__mro__)
    return next(name for name in known if hasattr(_errors, name))


def _here() -> str:
    return socket.gethostname()
