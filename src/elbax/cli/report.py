"""`elbax report` and `elbax plot`: the page of folders, and one metric of theirs as a figure."""

from pathlib import Path

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax.cli import options as o
from elbax.cli.outcome import Outcome, filled
from elbax.cli.progress import Reporter
from elbax.report.figures import figure_of
from elbax.report.page import numbers_of, write_report
from elbax.report.style import save
from elbax.runs.curves import overlay
from elbax.runs.read import folder_names, read_training


def report(options: o.Report) -> Outcome:
    """Write the page again."""
    if not options.folders:
        raise InputError("expected one folder or more after `elbax report`; got none.")
    with Reporter() as reporter, reporter.during("drawing the report"):
        page = write_report(*options.folders, out=options.out)
    return Outcome({"page": str(page)}, f"Report: {page}")


def plot(options: o.Plot) -> Outcome:
    """Draw one metric of the runs of several folders against epoch."""
    if not options.folders:
        raise InputError("expected one folder or more after `elbax plot`; got none.")
    out = Path(options.out)
    if out.suffix not in (".png", ".svg"):
        raise InputError(f"expected --out to end in .png or .svg; got '{options.out}'.")
    paths = [Path(folder) for folder in options.folders]
    named = {
        name: read_training(path) for name, path in zip(folder_names(paths), paths, strict=True)
    }
    exhibit = overlay(named, options.metric)
    files = [save(figure_of(exhibit), out), out.with_suffix(".json")]
    write_atomically(files[1], f"{numbers_of(exhibit)}\n".encode())
    ends = [f"{line['label']} {line['y'][-1]:.5g}" for line in exhibit.lines]
    content = {"files": [str(file) for file in files], "metric": options.metric}
    text = filled(f"{exhibit.y} at the last epoch: {'; '.join(ends)}.")
    return Outcome(content, f"{text}\nWritten: {', '.join(map(str, files))}")
