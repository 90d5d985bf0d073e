"""`elbax report`: the page of one folder, or of several."""

from elbax._errors import InputError
from elbax.cli import options as o
from elbax.cli.outcome import Outcome
from elbax.cli.progress import Reporter
from elbax.report.page import write_report


def report(options: o.Report) -> Outcome:
    """Write the page again."""
    if not options.folders:
        raise InputError("expected one folder or more after `elbax report`; got none.")
    with Reporter() as reporter, reporter.during("drawing the report"):
        page = write_report(*options.folders, out=options.out)
    return Outcome({"page": str(page)}, f"Report: {page}")
