"""`elbax evaluate`: the runs of a folder on held-out data, or two folders beside each other."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from elbax._errors import InputError
from elbax._keys import key_of
from elbax.cli import options as o
from elbax.cli.machine import is_first
from elbax.cli.named import data_of, load_own
from elbax.cli.outcome import Outcome, cut, filled
from elbax.cli.progress import Reporter
from elbax.data.dataset import Dataset
from elbax.evaluation.likelihood import PairedDifference, compare, evaluate
from elbax.exhibits import TableExhibit
from elbax.runs.calibration import calibration_study, calibration_table
from elbax.runs.comparison import PerDatum, answer, comparison
from elbax.runs.evaluate import evaluate_runs
from elbax.runs.held_out_exhibits import held_out_of
from elbax.runs.load import Runs, are_own
from elbax.runs.read import per_datum_or_none, read
from elbax.runs.trust import Checks, trust_table

_NAME = 44  # columns of a run's name beside its numbers


def evaluate_folder(options: o.Evaluate) -> Outcome:
    """Evaluate the runs of a folder, perhaps against another's."""
    outcome = _evaluated_folder(options)
    return outcome if is_first() else outcome._replace(is_told=False)


def _evaluated_folder(options: o.Evaluate) -> Outcome:
    runs = load_own(options.folder, options.own, or_ours=options.against is not None)
    with Reporter(quiet=not is_first()) as reporter:
        if options.against is not None:
            _refuse_checks(options)
            against = load_own(options.against, options.own, or_ours=True)
            return _evaluate_pair(runs, against, options, reporter)
        # Before the evaluation, which writes the page that shows them.
        dataset = data_of(runs, options)
        units = _units(runs, dataset, options, reporter) if options.active_units else None
        ranks = _calibration(runs, options, reporter) if options.check.calibration else None
        outcome = evaluated(runs, dataset, options.evaluate, reporter, _checks(options.check))
    if units is not None:
        text = f"{outcome.text}\n\n{_units_text(units)}"
        outcome = Outcome(outcome.content | {"units": units}, text)
    if ranks is not None:
        from elbax.report import tables

        text = f"{outcome.text}\n\n{tables.to_text(calibration_table(ranks))}"
        outcome = Outcome(outcome.content | {"calibration": ranks}, text)
    return outcome


def _refuse_checks(options: o.Evaluate) -> None:
    """What is found of one folder is not found of a pair."""
    asked = [name for name in ("active_units",) if getattr(options, name)]
    asked += [name for name in ("ais", "sumo", "calibration") if getattr(options.check, name)]
    if asked:
        flags = " or ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise InputError(f"expected no {flags} with --against; evaluate each folder by itself.")


def _checks(options: o.CheckOptions) -> Checks | None:
    """What is asked for beside log p-hat, if anything."""
    if not (options.ais or options.sumo):
        return None
    return Checks(options.ais, options.ais_steps, options.ais_chains, options.sumo)


def evaluated(
    runs: Runs,
    dataset: Dataset,
    options: o.EvaluateOptions,
    reporter: Reporter,
    checks: Checks | None = None,
) -> Outcome:
    """Evaluate and write the page; other data than the runs' own leave the folder as it is."""
    from elbax.report.page import write_report

    total = len(runs.specs)

    def progress(index: int, done: float) -> None:
        detail = f"run {index + 1} of {total}, {runs.specs[index].name}"
        reporter.update("evaluating", (index + done) / total, detail)

    results = evaluate_runs(
        runs,
        dataset,
        ks=options.ks,
        num_data=options.num_data,
        seed=options.seed,
        checks=checks,
        progress=progress,
        write=are_own(runs, dataset) and is_first(),
        over_processes=jax.process_count() > 1,
    )
    if not is_first():
        return Outcome({}, "", is_told=False)
    words = f"A datum is one image or row. {_words(options.ks)}"
    if not are_own(runs, dataset):
        reporter.say(f"note: not the test data of {runs.path}, where nothing is written.")
        return Outcome({"results": results}, f"{found_text(results, None)}\n\n{words}")
    with reporter.during("drawing the report"):
        page = write_report(runs.path)
    per_datum = per_datum_or_none(runs.path, results)
    text = f"{found_text(results, per_datum)}{_cells_text(runs)}\n\n{words}\n\nReport: {page}"
    return Outcome({"page": str(page), "results": results}, text)


def found_text(results: dict[str, Any], per_datum: PerDatum | None) -> str:
    """The comparison as a table, and what it says in a sentence."""
    from elbax.report import tables

    parts = [tables.to_text(comparison(results, per_datum)), filled(answer(results, per_datum))]
    if (trust := trust_table(results)) is not None:
        parts.append(tables.to_text(trust))
    return "\n\n".join(parts)


def _cells_text(runs: Runs) -> str:
    """What was found of held-out cells of a table, as a table."""
    from elbax.report import tables

    found = held_out_of({runs.path.name: read(runs.path)})
    shown = [one for one in found if isinstance(one, TableExhibit)]
    return "".join(f"\n\n{tables.to_text(one)}" for one in shown)


def _units(runs: Runs, dataset: Dataset, options: o.Evaluate, reporter: Reporter) -> dict[str, Any]:
    from elbax.runs.units import units_study

    total = len(runs.specs)
    settings = options.evaluate
    return units_study(
        runs,
        dataset,
        ks=sorted(settings.ks),
        num_data=settings.num_data,
        seed=settings.seed,
        progress=lambda index, done: reporter.update(
            "pruning", (index + done) / total, runs.specs[index].name
        ),
        write=are_own(runs, dataset) and is_first(),
    )


def _calibration(runs: Runs, options: o.Evaluate, reporter: Reporter) -> dict[str, Any]:
    total = len(runs.specs)
    return calibration_study(
        runs,
        seed=options.evaluate.seed,
        progress=lambda index, done: reporter.update(
            "calibrating", (index + done) / total, runs.specs[index].name
        ),
    )


def _units_text(units: dict[str, Any]) -> str:
    names = [cut(run["name"], _NAME, ending=_NAME // 2) for run in units["runs"]]
    width = max(map(len, names))
    rows = [
        f"{name:{width}}  {'+'.join(map(str, run['active'])):>7} of "
        f"{'+'.join(str(len(layer)) for layer in run['variances']):<7}  "
        f"{run['change']:+.3f} ± {run['standard_error']:.3f}"
        for name, run in zip(names, units["runs"], strict=True)
    ]
    heading = "Active units by layer, and log p-hat without the others minus with them, paired:"
    return "\n".join([heading, *rows])


def _evaluate_pair(first: Runs, second: Runs, options: o.Evaluate, reporter: Reporter) -> Outcome:
    if first.config["data"]["fingerprint"] != second.config["data"]["fingerprint"]:
        raise InputError(
            f"expected two folders trained on the same data; got {first.config['data']['name']} "
            f"and {second.config['data']['name']} with different fingerprints."
        )
    settings = options.evaluate
    x = data_of(first, options).evaluation_split("test", settings.seed, settings.num_data)
    evaluations = []
    for index, runs in enumerate((first, second)):

        def progress(done: float, index: int = index, where: Path = runs.path) -> None:
            reporter.update("evaluating", (index + done) / 2, f"run {index + 1} of 2, {where}")

        key = key_of(settings.seed)
        found = evaluate(
            runs.models[0],
            x,
            key=key,
            ks=settings.ks,
            progress=progress,
            over_processes=jax.process_count() > 1,
        )
        evaluations.append(found)
    metrics = [name for name in evaluations[0].metrics() if name != "ess"]
    pairs = [compare(evaluations[0], evaluations[1], metric) for metric in metrics]
    content = {
        "first": first.specs[0].name,
        "second": second.specs[0].name,
        "differences": [asdict(pair) | {"z": pair.z} for pair in pairs],
    }
    rows = [
        f"{pair.metric:12} {pair.difference:+8.3f} ± {pair.standard_error:.3f}  z {_z(pair)}"
        for pair in pairs
    ]
    names = f"{content['second']} minus {content['first']}"
    bits = "; bits_per_dim in bits per dimension" if "bits_per_dim" in metrics else ""
    heading = filled(f"{names}, nats per datum (one image or row){bits}, paired over {len(x)}")
    notes = filled("z is the difference in standard errors. " + _words(settings.ks))
    return Outcome(content, "\n".join([heading, *rows, "", notes]))


def _z(pair: PairedDifference) -> str:
    return "-" if math.isnan(pair.z) else f"{pair.z:+.1f}"


def _words(ks: Sequence[int]) -> str:
    """What the tables' columns are."""
    return f"log p-hat, the estimate of log p(x), is IWAE-{max(ks)}."
