"""`elbax reproduce`: plan or perform the studies."""

from pathlib import Path
from typing import Any

from elbax.cli import options as o
from elbax.cli.outcome import Outcome, duration, filled
from elbax.cli.progress import Reporter
from elbax.cli.training import fit_heeding_signals
from elbax.studies.papers.catalogue import STUDIES
from elbax.studies.store import Store
from elbax.studies.study import Preset, Study, chosen, outline, perform


def reproduce(options: o.Reproduce) -> Outcome:
    """Reproduce one study, or all of them."""
    names = list(STUDIES) if options.study == "all" else [options.study]
    store = Store(Path(options.out) / "runs", data_dir=options.data_dir, train=fit_heeding_signals)
    chosen_presets = {
        name: chosen(
            STUDIES[name],
            options.preset,
            data=options.data,
            epochs=options.epochs,
            seeds=options.seeds,
            size=options.size,
            num_data=options.num_data,
        )
        for name in names
    }
    if options.dry_run:
        return _outline([outline(STUDIES[n], chosen_presets[n], store) for n in names])
    return _reproduce([STUDIES[name] for name in names], chosen_presets, store, Path(options.out))


def _reproduce(
    studies: list[Study], chosen_presets: dict[str, Preset], store: Store, out: Path
) -> Outcome:
    from elbax.report.page import write_report
    from elbax.studies.chapter import counts

    texts, contents, folders, pages = [], [], [], []
    with Reporter() as reporter:
        for study in studies:

            def told(what: str, done: float, name: str = study.name) -> None:
                reporter.update(f"{name}: {what}", done, f"{done:.0%}")

            folder = out / study.name
            content = perform(study, chosen_presets[study.name], store, folder, told)
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
