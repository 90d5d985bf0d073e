"""From what is asked for to study.json: the preset, what it would cost, and the work itself."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import InputError, RunFailedError, unknown
from elbax._files import finite, json_bytes, write_atomically
from elbax._version import __version__
from elbax.exhibits import ImagesExhibit
from elbax.runs.results import write_arrays
from elbax.spelling import describe, parse
from elbax.studies import plan
from elbax.studies.found import FoundRun
from elbax.studies.plan import PlannedRun
from elbax.studies.store import Store, Told
from elbax.studies.study import Findings, Found, Preset, Study
from elbax.studies.verdicts import violations
from elbax.training.environment import environment

_LOOKED_AT = ("epoch", "iwae_64", "log_p_hat", "log_p_hat_error", "ais", "ais_error")


def chosen(
    study: Study,
    preset: str,
    *,
    data: Sequence[str] = (),
    epochs: int | None = None,
    until: int | None = None,
    methods: Sequence[str] = (),
    seeds: Sequence[int] = (),
    size: str | None = None,
    num_data: int | None = None,
    as_trained: bool = False,
) -> Preset:
    """A study's preset with what the user wants otherwise.

    Raises:
        InputError: an unknown preset, or numbers that do not fit.
    """
    if preset not in study.presets:
        raise InputError(unknown("preset", preset, study.presets))
    for name, count in (("epochs", epochs), ("until", until), ("num-data", num_data)):
        if count is not None and count < 1:
            raise InputError(f"expected --{name} >= 1; got {count}.")
    if (methods or as_trained) and not study.is_divisible:
        option = "--methods" if methods else "--as-trained"
        raise InputError(
            f"expected {option} with a study that compares each method with a paper; got "
            f"{study.name}, which compares them with each other."
        )
    if len(set(seeds)) < len(seeds):
        raise InputError(f"expected different seeds; got {tuple(seeds)}.")
    base = study.presets[preset]
    first = next(iter(base.epochs.values()))
    names = tuple(data) or base.data
    changed = replace(
        base,
        epochs={name: epochs or base.epochs.get(name, first) for name in names},
        seeds=tuple(seeds) or base.seeds,
        size=size or base.size,
        num_data=num_data or base.num_data,
        methods=tuple(describe(parse(method)) for method in methods),
    )
    if until is not None:
        ends = {name: min(until, count) for name, count in changed.epochs.items()}
        changed = replace(changed, until=ends)
    # What the user shortens or moves to other data is not the paper's protocol any more.
    same = all(changed.epochs.get(name) == count for name, count in base.epochs.items())
    altered = ", altered" if not same and preset == "paper" else ""
    prefix = "" if until is None else f", until epoch {until}"
    stand = ", as far as trained" if as_trained else ""
    return replace(changed, name=f"{preset}{altered}{prefix}{stand}", as_trained=as_trained)


def outline(study: Study, preset: Preset, store: Store) -> dict[str, Any]:
    """What would be done: fleets, steps and about how long, on this machine.

    Returns:
        `{"study", "preset", "fleets": [{"folder", "runs", "steps", "seconds"}], "evaluation",
        "seconds"}`; fleets that are trained already are not among them.
    """
    rate = plan.measure_products_per_second()
    runs = study.planned(preset)
    rows = []
    for members in plan.fleets(store.missing(runs)):
        dataset = store.dataset(members[0].data)
        train = members[0].train
        rows.append(
            {
                "folder": plan.folder_name(members),
                "runs": len(members),
                "epochs": members[0].epochs,
                "steps": members[0].epochs * (len(dataset.train) // train.batch_size),
                "seconds": plan.seconds_of_training(members, dataset, rate),
            }
        )
    evaluation = sum(
        plan.seconds_of_evaluation(
            members, store.dataset(members[0].data), max(preset.ks), preset.num_data, rate
        )
        for members in plan.fleets(runs)
    )
    total = evaluation + sum(row["seconds"] for row in rows)
    return {
        "study": study.name,
        "preset": preset.name,
        "num_runs": len(runs),
        "fleets": rows,
        "evaluation": evaluation,
        "seconds": total,
    }


def perform(study: Study, preset: Preset, store: Store, out: Path, told: Told) -> dict[str, Any]:
    """Train what is missing, evaluate, conclude, and write study.json and its arrays into `out`.

    Returns:
        The content of study.json.

    Raises:
        RunFailedError: bounds contradict each other, so that nothing can be concluded.
        InputError: what is trained was asked for, and nothing is.
    """
    begun = time.perf_counter()
    planned = study.planned(preset)
    if preset.as_trained:
        planned = _trained(study, planned, store)
    else:
        store.train(planned, told)
    found = Found(store, store.evaluate(planned, preset.budget, told))
    if broken := violations(found.runs):
        raise RunFailedError(
            f"{study.name} failed: {broken[0]}, and so for {len(broken) - 1} more; bounds must "
            "rise with the number of samples. The evaluation is wrong; please report this."
        )
    findings = study.conclude(preset, found, told)
    content = {
        "format": 1,
        "elbax": __version__,
        "study": study.name,
        "title": study.title,
        "source": study.source,
        "claim": study.claim,
        "preset": {**asdict(preset), "epochs": dict(preset.epochs), "until": dict(preset.until)},
        "exhibits": [exhibit.content() for exhibit in findings.exhibits],
        "verdicts": [asdict(verdict) for verdict in findings.verdicts],
        "runs": [_run(run) for run in found.runs],
        "seconds": time.perf_counter() - begun,
        **environment(),
    }
    content = finite(content)
    _write(out, content, findings)
    return content


def _trained(study: Study, planned: list[PlannedRun], store: Store) -> list[PlannedRun]:
    """Those that have been begun, which may be few and not far."""
    if found := store.begun(planned):
        return found
    raise InputError(
        f"expected runs of {study.name} in '{store.root}' that are trained for an epoch and not in "
        "training now; got none. Train some without --as-trained first."
    )


def _run(run: FoundRun) -> dict[str, Any]:
    training = run.results["training"]
    looks = [record for record in run.curve if record["epoch"] in run.plan.looks]
    return {
        "name": run.plan.name,
        "label": run.plan.label,
        "data": run.plan.data,
        "folder": run.folder.name,
        "seed": run.plan.seed,
        "status": run.entry["status"],
        "epochs": training["epochs"],
        "steps": training["steps"],
        "fleet_seconds": training.get("seconds"),
        "model": asdict(run.plan.model.explicit),
        "train": asdict(run.plan.train),
        "metrics": run.entry["metrics"],
        "active_units": run.entry.get("active_units"),
        "looks": [{name: look[name] for name in _LOOKED_AT if name in look} for look in looks],
    }


def _write(out: Path, content: dict[str, Any], findings: Findings) -> None:
    arrays: dict[str, np.ndarray] = {}
    for exhibit in findings.exhibits:
        if isinstance(exhibit, ImagesExhibit):
            arrays |= exhibit.arrays()
    if arrays:
        write_arrays(out / "images.npz", **arrays)
    if findings.snr is not None:
        write_atomically(out / "snr.json", json_bytes(findings.snr))
    write_atomically(out / "study.json", json_bytes(content))
