"""The `elbax` command: parse, call, print, and the exit code."""

import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from elbax._errors import ElbaxError, ElbaxWarning, InputError, StoppedError
from elbax.cli import streams
from elbax.cli.greeting import GREETING
from elbax.cli.signals import SIGNALS, continued

_UNUSABLE = "cannot use '{}' ({}). Check that it is what was meant, and its permissions."


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 2 for a wrong argument or input, 1 for a failure while running, 130 or 143
        when SIGINT or SIGTERM ended it, 141 where the reader of stdout has gone. A failure is one
        line on stderr; ELBAX_TRACEBACK=1 shows where it arose.
    """
    with streams.prepared(), SIGNALS.heard():
        return _main(sys.argv[1:] if words is None else words)


def _main(words: Sequence[str]) -> int:
    if not words:
        return streams.deliver(GREETING)
    try:
        from elbax.cli.parse import parse

        options = parse(words)
    except InputError as error:
        return _fail(error, 2)
    except SystemExit:  # --help and --version have printed
        return streams.deliver()
    except OSError as error:  # or could not
        return streams.lost(error)
    try:
        outcome = _performed(options)
    except BaseException as error:  # noqa: BLE001 (whatever it is, a user sees one line, no trace)
        return _ended(error, words)
    if not outcome.is_told:
        return streams.deliver()
    wants = options.run if hasattr(options, "run") and hasattr(options.run, "json") else options
    return streams.deliver((json.dumps(outcome.content) if wants.json else outcome.text) + "\n")


def _performed(options: Any) -> Any:
    # XLA prints a page for every program that it reads from the cache, of instructions that are
    # only preferences; its errors arrive as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # JAX and all that needs it are imported only now: --help and a typo need none of it.
    from elbax.cli.dispatch import action_of
    from elbax.cli.machine import machine
    from elbax.cli.network import network

    with warnings.catch_warnings(), network(options), machine(options):
        warnings.simplefilter("always", ElbaxWarning)
        warnings.showwarning = _note
        return action_of(options)(options)


def _ended(error: BaseException, words: Sequence[str]) -> int:
    """Say how a command ended that did not end well; the exit code."""
    if isinstance(error, StoppedError):
        sys.stderr.write(f"elbax: {error} {continued(words, error.folder)}\n")
        return SIGNALS.exit_code
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write(
            "elbax: interrupted; what was saved before is whole: --resume goes on with it, "
            "reproduce and tune by themselves.\n"
        )
        return SIGNALS.exit_code
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, OSError) and error.filename is not None:
        error = InputError(_UNUSABLE.format(error.filename, error.strerror))
    return _fail(error, 2 if isinstance(error, InputError) else 1)


def _note(message: Warning | str, category: type[Warning], *place: Any) -> None:
    """A warning as a line on stderr, without where in the source it arose."""
    kind = "" if issubclass(category, ElbaxWarning) else f"{category.__name__}: "
    sys.stderr.write(f"note: {kind}{' '.join(str(message).split())}\n")


def _fail(error: Exception, code: int) -> int:
    if os.environ.get("ELBAX_TRACEBACK"):
        traceback.print_exc()
    message = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, ElbaxError) else f"{type(error).__name__}: "
    sys.stderr.write(f"elbax: {kind}{message}\n")
    return code
