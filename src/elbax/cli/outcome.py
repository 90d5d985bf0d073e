"""What a command found, for machines and for people."""

from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What a command found, for machines and for people."""

    content: dict[str, Any]
    text: str
