"""`elbax report`: the page of one folder, or of several."""

from elbax.cli import options as o
from elbax.cli.outcome import Outcome
from elbax.report.page import write_report


def report(options: o.Report) -> Outcome:
    """Write the page again."""
    page = write_report(*options.folders, out=options.out)
    return Outcome({"page": str(page)}, f"Report: {page}")
