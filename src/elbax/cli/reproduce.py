"""`elbax reproduce`: plan or perform the studies."""

from pathlib import Path
from typing import Any

from elbax._errors import InputError
from elbax.cli import options as o
from elbax.cli.outcome import Outcome, duration, filled
from elbax.cli.progress import Reporter
from elbax.cli.training import fit_heeding_signals
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.perform import chosen, outline, perform
from elbax.studies.plan import PlannedRun
from elbax.studies.store import Budget, Store
from elbax.studies.study import Preset, Study

Planned = list[tuple[Study, Preset]]


def reproduce(options: o.Reproduce) -> Outcome:
    """Reproduce one study, or all of them."""
    if options.as_trained and (options.dry_run or options.launch.launch is not None):
        other = "--dry-run" if options.dry_run else "--launch"
        raise InputError(
            f"expected --as-trained, which trains nothing, or {other}; got both. Leave one out."
        )
    names = list(STUDIES) if options.study == "all" else [options.study]
    store = Store(Path(options.out) / "runs", data_dir=options.data_dir, train=fit_heeding_signals)
    chosen_presets = {
        name: chosen(
            STUDIES[name],
            options.preset,
            data=options.data,
            epochs=options.epochs,
            until=options.until,
            methods=options.methods,
            seeds=options.seeds,
            size=options.size,
            num_data=options.num_data,
            as_trained=options.as_trained,
        )
        for name in names
    }
    if options.dry_run:
        return _outline([outline(STUDIES[n], chosen_presets[n], store) for n in names])
    studies = [(STUDIES[name], preset) for name, preset in chosen_presets.items()]
    out = Path(options.out)
    with Reporter() as reporter:
        if options.launch.launch is not None:
            _train_launched(studies, store, out, options.launch, reporter)
        return _reproduce(studies, store, out, reporter)


def _train_launched(
    studies: Planned,
    store: Store,
    out: Path,
    options: o.LaunchOptions,
    reporter: Reporter,
) -> None:
    """Train and evaluate on an engine what the studies need; what they conclude is left to them."""
    from elbax.cli.launching import View, most_runs, opened
    from elbax.studies.launched import train_on

    wanted: dict[Budget, list[PlannedRun]] = {}
    for study, preset in studies:
        wanted.setdefault(preset.budget, []).extend(study.planned(preset))
    with opened(options, out) as executor:
        for budget, runs in wanted.items():
            most = most_runs(options, len(store.missing(runs)) or len(runs))
            train_on(executor, runs, store, budget, most=most, watch=View(reporter))


def _reproduce(studies: Planned, store: Store, out: Path, reporter: Reporter) -> Outcome:
    from elbax.report.page import write_report
    from elbax.studies.chapter import counts

    texts, contents, folders, pages = [], [], [], []
    for study, preset in studies:

        def told(what: str, done: float, name: str = study.name) -> None:
            reporter.update(f"{name}: {what}", done, f"{done:.0%}")

        folder = out / study.name
        content = perform(study, preset, store, folder, told)
        with reporter.during(f"{study.name}: drawing the report"):
            pages.append(write_report(folder))
        contents.append(content)
        folders.append(folder)
        texts.append(_study_text(content) + f"\n\nReport: {pages[-1]}")
        if len(studies) > 1:
            tally = ", ".join(f"{count} {name}" for name, count in counts(content).items())
            reporter.say(f"{study.name}: {tally}; {content['seconds']:.0f} s")
    if len(studies) > 1:
        with reporter.during("drawing the report of all"):
            pages.append(write_report(*folders, out=out))
    if len(studies) > 1:
        texts.append(f"All of them: {pages[-1]}")
    return Outcome({"studies": contents, "page": str(pages[-1])}, "\n\n".join(texts))


def _study_text(content: dict[str, Any]) -> str:
    """Its tables, then its verdicts."""
    from elbax.exhibits import TableExhibit, exhibit_of
    from elbax.report import tables
    from elbax.studies.chapter import answer, verdict_lines

    shown = [exhibit_of(one, {}) for one in content["exhibits"] if one["kind"] == "table"]
    parts = [tables.to_text(table) for table in shown if isinstance(table, TableExhibit)]
    claims = tables.in_pairs(verdict_lines(content["verdicts"]))
    return "\n\n".join([content["title"], *parts, claims, filled(answer(content))])


def _outline(outlines: list[dict[str, Any]]) -> Outcome:
    lines = []
    for one in outlines:
        lines.append(
            f"{one['study']} ({one['preset']}): {one['num_runs']} runs, about "
            f"{duration(one['seconds'])} on this machine"
        )
        lines += [
            f"  {row['folder']}: {row['runs']} runs of {row['steps']} steps ({row['epochs']} "
            f"epochs), {duration(row['seconds'])}"
            for row in one["fleets"]
        ]
        trained = "" if one["fleets"] or not one["num_runs"] else "; every run is trained already"
        lines.append(f"  evaluation: {duration(one['evaluation'])}{trained}")
    lines.append("Runs that several studies share are counted for each of them.")
    return Outcome({"plans": outlines}, "\n".join(lines[: None if len(outlines) > 1 else -1]))
