"""`elbax reproduce`, as far as it needs no JAX: the list of studies, and a name that is none."""

from elbax._errors import InputError, unknown
from elbax.cli import options as o
from elbax.cli.dispatch import load
from elbax.cli.outcome import Outcome, hanging
from elbax.studies.papers.headings import HEADINGS


def reproduce(options: o.Reproduce) -> Outcome:
    """Reproduce one study, or all of them, or list them."""
    if options.study == "list":
        rows = [
            f"{one.name:16} {one.title}\n" + hanging(" " * 17, one.source)
            for one in HEADINGS.values()
        ]
        found = [one._asdict() for one in HEADINGS.values()]
        return Outcome({"studies": found}, "\n".join(rows))
    if options.study not in (*HEADINGS, "all"):
        raise InputError(unknown("study", options.study, [*HEADINGS, "all", "list"]))
    return load("reproduce", "reproduce")(options)
