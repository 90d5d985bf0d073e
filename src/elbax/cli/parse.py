"""From words to options: tyro does the work, and its complaint becomes one sentence."""

import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from elbax._errors import InputError, unknown
from elbax._version import __version__
from elbax.cli.options import COMMANDS, DATA_COMMANDS

# tyro does not wrap it: every paragraph is a line.
_DESCRIPTION = """Latent-variable models under multi-sample bounds, in nats per datum.

Start with `elbax compare --epochs 20` (embedded digits, no download).

Version: `elbax --version`.
"""
# What tyro says of a choice that is none.
_CHOICE = r"invalid choice '(.*)' for argument '(--\S+)'\. Expected one of (.*)"
_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)


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
        sys.stdout.write(f"elbax {__version__}\n")
        raise SystemExit(0)
    if words[0] == "data":
        return _parse("elbax data", "Data sets: list, info, fetch.", DATA_COMMANDS, words[1:])
    return _parse("elbax", _DESCRIPTION, COMMANDS, words)


def _parse(program: str, description: str, commands: dict[str, type], words: list[str]) -> Any:
    words = words or ["--help"]
    if not words[0].startswith("-") and words[0] not in commands:
        raise InputError(unknown("command", words[0], commands))
    complaint, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(said):
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog=program,
                description=description,
                args=words,
                config=_CONFIG,
                use_underscores=False,
            )
    except SystemExit as leaving:
        if leaving.code in (0, None):
            # The usage names every command, and is wider than a terminal.
            usage = re.compile(r"^(usage: .*)\{\w+(,\w+)+\}", re.MULTILINE)
            sys.stdout.write(usage.sub(r"\1COMMAND", said.getvalue()))
            raise
        flags = _flags(commands[words[0]]) if words[0] in commands else []
        sentence = _sentence(complaint.getvalue(), f"{program} {words[0]}", flags)
        raise InputError(sentence) from None


def _flags(options: type) -> list[str]:
    """The options of a command, as they are typed; those of nested groups too."""
    found = []
    for option in dataclasses.fields(options):
        if dataclasses.is_dataclass(option.default_factory):
            found += _flags(option.default_factory)
        else:
            found.append(f"--{option.name.replace('_', '-')}")
    return found


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
