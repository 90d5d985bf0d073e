"""What a command found, for machines and for people."""

import textwrap
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What a command found, for machines and for people."""

    content: dict[str, Any]
    text: str


_WIDTH = 80


def hanging(head: str, text: str) -> str:
    """A head and a text that goes on below itself, within 80 columns.

    >>> print(hanging("iwae  ", "word " * 16))
    iwae  word word word word word word word word word word word word word word word
          word
    """
    indent = " " * len(head)
    return textwrap.fill(head + text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
