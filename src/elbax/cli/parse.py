"""From words to options: tyro does the work, and its complaint becomes one sentence."""

import contextlib
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import tyro

from elbax._errors import InputError, unknown
from elbax._version import __version__
from elbax.cli.described import options_of
from elbax.cli.help import page_of, page_of_commands, page_of_data
from elbax.cli.options import COMMANDS, DATA_COMMANDS, Checked

# What tyro says of a choice that is none.
_CHOICE = r"invalid choice '(.*)' for argument '(--\S+)'\. Expected one of (.*)"
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
    if command is None:
        raise InputError(unknown("command", words[0], commands))
    program = f"{program} {words[0]}"
    if set(words[1:]) & set(_HELP):
        _leave(page_of(program, command))
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                command, prog=program, args=words[1:], config=_CONFIG, use_underscores=False
            )
    except SystemExit:
        flags = [option.flag for option in options_of(command) if option.flag]
        raise InputError(_sentence(complaint.getvalue(), program, flags)) from None


def _leave(page: str) -> NoReturn:
    sys.stdout.write(page)
    raise SystemExit(0)


def _nearest(wrong: str, suggested: str | None, flags: Sequence[str]) -> str | None:
    """The option that a wrong one stands for: by its initials, else as tyro suggests.

    >>> _nearest("--lr", None, ["--learning-rates", "--learning-rate"])
    '--learning-rate'
    """
    initials = {f"--{''.join(w[0] for w in flag[2:].split('-'))}": flag for flag in flags}
    near = initials.get(wrong, suggested)
    return None if near == wrong else near


def _sentence(complaint: str, command: str, flags: Sequence[str] = ()) -> str:
    """The first paragraph inside the box that tyro draws around a complaint, and its suggestion."""
    lines = [line.strip("│| ") for line in complaint.splitlines()]
    # Lines with a run of dashes are the box's border and the rules between its paragraphs.
    text = "\n".join("" if re.search("[─-]{3}", line) else line for line in lines)
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n{2,}", f"\n{text}\n")]
    paragraphs = [paragraph for paragraph in paragraphs if paragraph]
    if "╭" not in complaint:  # drawn in ASCII, where the title is a paragraph too
        paragraphs = paragraphs[1:]
    problem = re.sub(r"\s+", " ", paragraphs[0]) if paragraphs else "it was not understood"
    if choice := re.match(_CHOICE, problem):
        known = sorted(set(re.findall(r"'([^']*)'", choice[3])) - {"None"})
        return unknown(f"choice for {choice[2]}", choice[1], known)
    # What the options' own checks say is a sentence already.
    problem = re.sub(r"^Error parsing \w+(?:[^:]*): (?=expected|unknown)", "", problem)
    wrong = re.search(r"^Unrecognized[\w ]*: (--[\w-]+)", problem)
    suggested = re.search(r"Perhaps you meant:\s+(--[\w-]+)", text)
    near = suggested and suggested[1]
    near = _nearest(wrong[1], near, flags) if wrong else near
    hint = f" did you mean {near}?" if near else ""
    return f"{problem.rstrip('.')};{hint} see `{command} --help`."
