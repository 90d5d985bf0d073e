"""What a command found, for machines and for people."""

import textwrap
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What a command found, for machines and for people.

    Attributes:
        content: for machines.
        text: for people.
        is_told: False for a process that only helped another one.
    """

    content: dict[str, Any]
    text: str
    is_told: bool = True


WIDTH = 80


def hanging(head: str, text: str) -> str:
    """A head and a text that goes on below itself, within 80 columns.

    >>> print(hanging("iwae  ", "word " * 16))
    iwae  word word word word word word word word word word word word word word word
          word
    """
    indent = " " * len(head)
    return textwrap.fill(head + text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def filled(text: str) -> str:
    """A sentence within 80 columns; a path stays in one piece."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def cut(line: str, width: int = WIDTH, ending: int = 0) -> str:
    """A line that is no wider than a terminal.

    Args:
        line: any text.
        width: columns.
        ending: characters of its end to keep, where they tell lines apart.

    >>> cut("training a run of a long name", 12), cut("iwae-k64-dreg-seed0", 12, ending=5)
    ('training a …', 'iwae-k…seed0')
    """
    if len(line) <= width:
        return line
    end = line[len(line) - ending :]
    return line[: width - 1 - ending] + "\N{HORIZONTAL ELLIPSIS}" + end


def duration(seconds: float) -> str:
    """A time in the unit one would say it in.

    >>> duration(80.0), duration(600.0), duration(9000.0)
    ('80 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
