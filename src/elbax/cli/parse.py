"""From words to options: tyro does the work, and its complaint becomes one sentence."""

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import Any

import tyro

from elbax._errors import InputError, unknown
from elbax._version import __version__
from elbax.cli.options import COMMANDS, DATA_COMMANDS

_DESCRIPTION = """Latent-variable models under multi-sample variational bounds: train, evaluate and
compare VAE, IWAE, MIWAE, PIWAE and CIWAE. Bounds are in nats per datum.

Start with `elbax compare --epochs 20` (embedded digits, no download).

Data sets: `elbax data list`, `elbax data info NAME`, `elbax data fetch NAME`.

Version: `elbax --version`.
"""
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
        known = [*commands, "data"] if program == "elbax" else commands
        raise InputError(unknown("command", words[0], known))
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
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
            raise
        raise InputError(_sentence(complaint.getvalue(), f"{program} {words[0]}")) from None


def _sentence(complaint: str, command: str) -> str:
    """The first paragraph inside the box that tyro draws around a complaint, and its suggestion."""
    lines = [line.strip("│| ") for line in complaint.splitlines()]
    # Lines with a run of dashes are the box's border and the rules between its paragraphs.
    text = "\n".join("" if re.search("[─-]{3}", line) else line for line in lines)
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n{2,}", f"\n{text}\n")]
    paragraphs = [paragraph for paragraph in paragraphs if paragraph]
    if "╭" not in complaint:  # drawn in ASCII, where the title is a paragraph too
        paragraphs = paragraphs[1:]
    problem = re.sub(r"\s+", " ", paragraphs[0]) if paragraphs else "it was not understood"
    # What the options' own checks say is a sentence already.
    problem = re.sub(r"^Error parsing __tyro[^:]*: ", "", problem)
    near = re.search(r"Perhaps you meant:\s+(--[\w-]+)", text)
    hint = f" did you mean {near[1]}?" if near else ""
    return f"{problem.rstrip('.')};{hint} see `{command} --help`."
