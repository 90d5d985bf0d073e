"""From words to options: tyro does the work, and its complaint becomes one sentence."""

import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import tyro

from elbax._errors import InputError, unknown
from elbax._version import __version__
from elbax.cli.complaints import sentence
from elbax.cli.help import page_of, page_of_commands, page_of_data
from elbax.cli.options import COMMANDS, DATA_COMMANDS, Checked

_CONFIG = (tyro.conf.OmitArgPrefixes,)
_HELP = ("-h", "--help")


def parse(words: Sequence[str]) -> Any:
    """The options dataclass that the words of a command line ask for.

    `--help` and `--version` print and leave with exit code 0 (SystemExit).

    Raises:
        InputError: an unknown command or option, or a value that does not fit.

    >>> parse(["train", "--epochs", "3"]).train.epochs
    3
    """
    words = list(words) or ["--help"]
    if words[0] == "help":
        words = [*words[1:], "--help"]
    if words[0] == "--version":
        _leave(f"elbax {__version__}\n")
    if words[0] == "data":
        return _parse("elbax data", page_of_data, DATA_COMMANDS, words[1:])
    return _parse("elbax", page_of_commands, {**COMMANDS, "data": None}, words)


def _parse(
    program: str,
    page: Callable[[], str],
    commands: Mapping[str, type[Checked] | None],
    words: list[str],
) -> Any:
    if not words or words[0] in _HELP:
        _leave(page())
    command = commands.get(words[0])
    if words[0].startswith("-"):
        known = ", ".join(commands)
        raise InputError(f"expected a command before {words[0]}, one of: {known}.")
    if command is None:
        raise InputError(unknown("command", words[0], commands))
    program = f"{program} {words[0]}"
    if set(words[1:]) & set(_HELP):
        _leave(page_of(program, command))
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                command, prog="elbax", args=words[1:], config=_CONFIG, use_underscores=False
            )
    except SystemExit:
        raise InputError(sentence(complaint.getvalue(), program, command, words[1:])) from None


def _leave(page: str) -> NoReturn:
    sys.stdout.write(page)
    raise SystemExit(0)
