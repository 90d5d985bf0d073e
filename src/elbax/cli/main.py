"""The `elbax` command: parse, call, print, and the exit code."""

import json
import os
import sys
import traceback
from collections.abc import Sequence

from elbax._errors import ElbaxError, InputError
from elbax.cli.parse import parse


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 2 for a wrong argument or input, 1 for a failure while running, 130 when
        interrupted. A failure is one line on stderr; ELBAX_TRACEBACK=1 shows where it arose.
    """
    words = sys.argv[1:] if words is None else words
    try:
        options = parse(words)
        # JAX and all that needs it are imported only now: --help and a typo need none of it.
        from elbax.cli.actions import ACTIONS
        from elbax.cli.runtime import prepare

        prepare()
        outcome = ACTIONS[type(options)](options)
    except InputError as error:
        return _fail(error, 2)
    except KeyboardInterrupt:
        sys.stderr.write(
            "elbax: interrupted; the last checkpoint is whole: --resume goes on with it, "
            "reproduce by itself.\n"
        )
        return 130
    except ElbaxError as error:
        return _fail(error, 1)
    except Exception as error:  # noqa: BLE001 (whatever it is, a user sees one line, not a trace)
        return _fail(error, 1)
    wants = options.run if hasattr(options, "run") and hasattr(options.run, "json") else options
    sys.stdout.write((json.dumps(outcome.content) if wants.json else outcome.text) + "\n")
    return 0


def _fail(error: Exception, code: int) -> int:
    if os.environ.get("ELBAX_TRACEBACK"):
        traceback.print_exc()
    message = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, ElbaxError) else f"{type(error).__name__}: "
    sys.stderr.write(f"elbax: {kind}{message}\n")
    return code
