"""`--help` and the greeting: what one needs first on top, every default once, in 80 columns.

tyro groups options by the class that holds them, and has no group of those one needs first; so it
parses, and the page is set here.
"""

import inspect
import sys
import textwrap

from elbax.cli.described import Option, key_of, options_of
from elbax.cli.options import COMMANDS, DATA_COMMANDS, Checked
from elbax.cli.options.shared import OutputOptions
from elbax.cli.outcome import WIDTH, hanging

_COLUMN = 24  # where sentences begin
_NO_BREAK = "\N{NO-BREAK SPACE}"
_PAGE = """usage: elbax COMMAND [OPTIONS]

Latent-variable models under multi-sample bounds, in nats per datum (one image
or row).

{commands}

`elbax COMMAND --help` explains a command, `elbax --version` says the version.
Start with `elbax compare --model small --epochs 40` (digits, no download).
"""
_DATA_PAGE = """usage: elbax data COMMAND [OPTIONS]

Data sets that elbax knows by name, and your own.

{commands}

`elbax data COMMAND --help` explains a command.
"""


def page_of_commands() -> str:
    """What `elbax --help` shows."""
    shown = {name: _paragraphs(command)[0] for name, command in COMMANDS.items()}
    data = {"data": "Data sets: list, info, fetch, describe."}
    return _PAGE.format(commands=_commands(shown | data))


def page_of_data() -> str:
    """What `elbax data` shows."""
    shown = {name: _paragraphs(command)[0] for name, command in DATA_COMMANDS.items()}
    return _DATA_PAGE.format(commands=_commands(shown))


def page_of(program: str, command: type[Checked]) -> str:
    """What `--help` of a command shows.

    Args:
        program: the command as it is typed.
        command: the class of its options.
    """
    options = options_of(command)
    words = [option.value for option in options if option.flag is None]
    *paragraphs, example = _paragraphs(command)
    parts = [
        f"usage: {' '.join([program, *words])} [OPTIONS]",
        *(textwrap.fill(paragraph, WIDTH) for paragraph in paragraphs),
        example.replace("Example: ", "  "),
    ]
    parts += [_section(heading, members) for heading, members in _groups(command, options)]
    return "\n\n".join(parts) + "\n"


def _groups(command: type[Checked], options: list[Option]) -> list[tuple[list[str], list[Option]]]:
    """Headings and what stands below them: what one needs first, group by group, the output."""
    by_name = {option.name: option for option in options}
    first = [by_name[name] for name in command.FIRST]
    groups: dict[str, tuple[list[str], list[Option]]] = {}
    for option in options:
        if option in first:
            continue
        own = option.group is command
        heading = [command.REST] if own else _paragraphs(option.group)
        key = command.REST if own else key_of(option.group)
        groups.setdefault(key, (heading, []))[1].append(option)
    last = groups.pop(key_of(OutputOptions), None)
    top = [(["What you need first"], first)] if first else []
    return [*top, *groups.values(), *([last] if last else [])]


def _section(heading: list[str], members: list[Option]) -> str:
    """A heading, what is said below it, and its options."""
    title, *more = heading
    about = [textwrap.indent(textwrap.fill(one, WIDTH - 2), "  ") + "\n" for one in more]
    top = _bold(textwrap.fill(title.rstrip("."), WIDTH))
    return "\n".join([top, *about, *map(_entry, members)])


def _entry(option: Option) -> str:
    """An option and its sentence, beside each other where the option is short enough."""
    head = f"  {option.flag} {option.value}" if option.flag else f"  {option.value}"
    default = f"(default: {option.default})" if option.default else ""
    if len(default) < _COLUMN:  # a short one stays on a line
        default = default.replace(" ", _NO_BREAK)
    text = f"{option.sentence} {default}"
    if len(head.rstrip()) > _COLUMN - 2:
        text, head = hanging(" " * _COLUMN, text), head.rstrip() + "\n"
    else:
        text, head = hanging(head.ljust(_COLUMN), text), ""
    return head + text.replace(_NO_BREAK, " ")


def _commands(sentences: dict[str, str]) -> str:
    return "\n".join(hanging(f"  {name:11}", sentence) for name, sentence in sentences.items())


def _paragraphs(described: type) -> list[str]:
    """The paragraphs of a docstring that are for who types commands."""
    found = [" ".join(one.split()) for one in (inspect.getdoc(described) or "").split("\n\n")]
    return [one for one in found if not one.startswith(("Raises:", "Attributes:", ">>>"))]


def _bold(text: str) -> str:
    """Text in bold, where a terminal shows it."""
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text
