"""`elbax snr`: the signal-to-noise study of the toy, or of a trained run."""

from pathlib import Path
from typing import Any

from elbax._errors import InputError
from elbax.cli import options as o
from elbax.cli.named import data_of, load_own
from elbax.cli.outcome import Outcome
from elbax.cli.progress import Reporter


def measure_snr(options: o.Snr) -> Outcome:
    """SNR of the toy or of trained runs, with figures."""
    from elbax.report import tables
    from elbax.report.page import write_report, write_snr
    from elbax.runs.snr_exhibits import slopes

    toy = options.what == "toy"
    if not toy and not Path(options.what).is_dir():
        raise InputError(
            f"expected toy, or a folder that `elbax train` wrote; there is no folder "
            f"'{options.what}'."
        )
    out = Path(options.out or ("runs/snr-toy" if toy else options.what))
    with Reporter() as reporter:
        content = _toy_snr(options, reporter) if toy else _runs_snr(options, reporter)
        with reporter.during("drawing the report"):
            files = write_snr(content, out)
            if (out / "results.json").exists():
                files.append(write_report(out))
    table = tables.to_text(slopes(content))
    return Outcome(content | {"files": [str(file) for file in files]}, f"{table}\n\nIn {out}")


def _toy_snr(options: o.Snr, reporter: Reporter) -> dict[str, Any]:
    from elbax.runs.snr_study import toy_study

    return toy_study(
        num_dimensions=options.num_dimensions,
        batch=16 if options.num_data is None else options.num_data,
        offset=options.offset,
        sizes=options.sizes,
        num_draws=8000 if options.num_draws is None else options.num_draws,
        seed=options.seed,
        progress=lambda done: reporter.update("gradients", done, "toy"),
    )


def _runs_snr(options: o.Snr, reporter: Reporter) -> dict[str, Any]:
    from elbax.runs.snr import runs_study

    runs = load_own(options.what, options.own)
    return runs_study(
        runs,
        data_of(runs, options),
        index=runs.index_of(options.run),
        num_data=10 if options.num_data is None else options.num_data,
        sizes=options.sizes,
        num_draws=512 if options.num_draws is None else options.num_draws,
        ess_samples=options.ess_samples,
        seed=options.seed,
        progress=lambda what, done: reporter.update(what, done, options.what),
    )
