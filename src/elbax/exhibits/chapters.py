"""Exhibits under titles: the sections and chapters of a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from elbax.exhibits.kinds import Exhibit


@dataclass(frozen=True)
class Section:
    """Exhibits under one title, side by side where there is room.

    Attributes:
        name: of its anchor.
        title: a headline.
        exhibits: in order.
        missing: why there are none.
        folded: whether one has to open it.
    """

    name: str
    title: str
    exhibits: Sequence[Exhibit]
    missing: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Chapter:
    """What a page says of one folder.

    Attributes:
        name: of its anchor.
        title: a headline.
        answer: what was found, in a sentence.
        lead: what it is about, in paragraphs.
        summary: the main facts, as pairs.
        sections: in order.
        tally: what the contents say beside the title, where there is something to count.
    """

    name: str
    title: str
    answer: str
    lead: Sequence[str]
    summary: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    tally: str = ""

    @property
    def exhibits(self) -> list[Exhibit]:
        """Those of all sections."""
        return [exhibit for section in self.sections for exhibit in section.exhibits]
