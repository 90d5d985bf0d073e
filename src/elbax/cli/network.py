"""Whether a command may use the network, and what it says of a download."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from elbax.cli.options import Checked
from elbax.data.download import OFFLINE_VARIABLE


@contextlib.contextmanager
def network(options: Any) -> Iterator[None]:
    """While a command runs: --offline is the environment's word for it; downloads are told."""
    before = os.environ.get(OFFLINE_VARIABLE)
    if _is_offline(options):
        os.environ[OFFLINE_VARIABLE] = "1"
    log, handler = logging.getLogger("elbax"), _Lines()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
        os.environ.pop(OFFLINE_VARIABLE, None)
        if before is not None:
            os.environ[OFFLINE_VARIABLE] = before


class _Lines(logging.Handler):
    """A line on stderr, whatever that is by now."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, if anybody can read it."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{record.getMessage()}\n")


def _is_offline(options: Any) -> bool:
    groups = [options, *(value for value in vars(options).values() if isinstance(value, Checked))]
    return any(getattr(group, "offline", False) for group in groups)
