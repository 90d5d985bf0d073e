"""The chapter of a run folder: comparison, figures, glossary, every run, configuration, time."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup

from elbax._version import __version__
from elbax.report import exhibits, figures, metrics, results, series, snr, tables
from elbax.report.chapter import Chapter, Plate, Section, duration, flat
from elbax.report.results import RunResults
from elbax.report.series import Series


def run_chapter(folder: Path) -> Chapter:
    """The runs of one folder: comparison, figures, glossary, every run, configuration, time."""
    run_results = results.read(folder)
    content = run_results.results
    plates = list(_plates(run_results))
    if run_results.snr is not None:
        plates += snr_plates(run_results.snr)
    if run_results.units is not None:
        plates.append(_units_plate(run_results.units))
    shown = metrics.every(content["evaluation"]["ks"])
    glossary = [(metric.name, metric.meaning) for metric in shown]
    table = Markup(tables.to_html(tables.comparison(content)))
    runs = Markup(tables.to_html(tables.runs(content)))
    return Chapter(
        name=re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "runs",
        title=content["dataset"].get("name", "the data"),
        lead=[],
        summary=_summary(content),
        sections=[
            Section("comparison", "Comparison", "table", table),
            *(Section(plate.name, plate.title, "plate", plate) for plate in plates),
            Section("metrics", "How to read the metrics", "glossary", glossary),
            Section("runs", "Every run", "table", runs),
            Section("configuration", "Configuration", "settings", list(flat(run_results.config))),
            Section(
                "time", "Time and versions", "facts", [_times(content), _versions(run_results)]
            ),
        ],
    )


def _plates(run_results: RunResults) -> Iterator[Plate]:
    """The figures in the order of the page."""
    no_images = "The run directory holds no images.npz, which only image data have."
    curves = series.learning_curves(run_results)
    yield Plate(
        name="learning-curves",
        title="Learning curves",
        caption=f"The {curves['name']} against epoch: mean over the seeds of each method, with a "
        "band of one standard deviation. The axis is fitted to the last three quarters of "
        "training.",
        alt=f"Line chart of the {curves['name']} against epoch; at the end, {_ends(curves)}.",
        numbers=curves,
        figure=figures.learning_curves(run_results) if curves["methods"] else None,
        missing="No epoch of a finished run was recorded.",
    )
    numbers = series.courses(run_results)
    if numbers["methods"]:
        yield Plate(
            name="courses",
            title=f"Course of {numbers['name']}",
            caption="The numbers of the objectives that change while training, at the end of each "
            "epoch: mean over the seeds, with a band of one standard deviation.",
            alt=f"Line chart of {numbers['name']} against epoch; at the end, {_ends(numbers)}.",
            numbers=numbers,
            figure=figures.courses(run_results),
            missing="",
        )
    logged = series.snr_curves(run_results)
    if logged["methods"]:
        yield Plate(
            name="snr-training",
            title="Signal-to-noise while training",
            caption="Mean over parameters of |mean| / sd of each network's gradient, from 64 draws "
            "on 20 data at the end of an epoch: mean over the seeds, with a band of one standard "
            "deviation.",
            alt=f"Line chart of the gradient's SNR against epoch; at the end, {_ends(logged)}.",
            numbers=logged,
            figure=figures.snr_curves(run_results),
            missing="",
        )
    bounds = series.bounds_by_k(run_results.results)
    yield Plate(
        name="bounds-by-k",
        title="Bounds by number of samples",
        caption="The held-out IWAE-k bound against k. It rises with k towards the log-likelihood; "
        "the faster it does, the better the inference network fits.",
        alt=f"Line chart of held-out IWAE-k against k; at the largest k, {_ends(bounds)}.",
        numbers=bounds,
        figure=figures.bounds_by_k(run_results.results) if bounds["methods"] else None,
        missing="No run finished with a bound.",
    )
    gaps = series.gaps(run_results.results)
    yield Plate(
        name="gaps",
        title="Gap decomposition",
        caption="The bounds of each method on one axis, means over seeds. From the left-most point "
        "to log p-hat is what the inference network costs with that many samples.",
        alt="Points on one axis per method; log p-hat: "
        + ", ".join(f"{row['label']} {row['values'][-1]:.2f}" for row in gaps["rows"]),
        numbers=gaps,
        figure=exhibits.figure_of(gaps, {}) if gaps["rows"] else None,
        missing="No run finished with a bound.",
    )
    originals = series.reconstructions(run_results)
    yield Plate(
        name="reconstructions",
        title="Reconstructions",
        caption="Held-out images in the first row; below, their reconstructions from the posterior "
        "mean by the first finished seed of each method.",
        alt="Rows of images: the originals, then the reconstructions by " + _labels(originals),
        numbers=originals,
        figure=figures.reconstructions(run_results) if originals["methods"] else None,
        missing=no_images,
    )
    samples = series.prior_samples(run_results)
    yield Plate(
        name="prior-samples",
        title="Samples from the prior",
        caption="Images decoded from draws of the prior, by the first finished seed of each "
        "method.",
        alt="Sheets of generated images, one for each of " + _labels(samples),
        numbers=samples,
        figure=figures.prior_samples(run_results) if samples["methods"] else None,
        missing=no_images,
    )


def snr_plates(content: dict[str, Any]) -> Iterator[Plate]:
    """The figures of `elbax snr`, where it measured the runs of this page."""
    of = f"of {content.get('model', {}).get('name', 'a run')}"
    described = {
        "snr": (
            "Signal-to-noise ratio",
            f"Mean over parameters of |mean| / sd of the gradient {of}, against samples; bars are "
            "95 % intervals of the true ratio, and values in the gray band are noise.",
        ),
        "dsnr": (
            "Directed signal-to-noise ratio",
            f"Length of the gradient {of} along its mean over the length across it.",
        ),
        "snr-layers": (
            "Signal-to-noise by layer",
            f"First, middle and last layer of each network {of}.",
        ),
        "gradient-histograms": (
            "Draws of a gradient",
            f"One parameter of each network {of}, by number of samples.",
        ),
        "ess": ("Effective sample size", "Its distribution over held-out data, by method."),
    }
    for name, figure in snr.figures_of(content).items():
        title, caption = described[name]
        yield Plate(
            name=name,
            title=title,
            caption=caption,
            alt=f"Chart: {caption}",
            numbers=content,
            figure=figure,
            missing="",
        )


def _units_plate(units: dict[str, Any]) -> Plate:
    """Which units are active, and what pruning the others changes."""
    changes = ", ".join(
        f"{run['name']} {'+'.join(map(str, run['active']))} active, "
        f"{run['change']:+.3f} ± {run['standard_error']:.3f} nats"
        for run in units["runs"]
    )
    return Plate(
        name="active-units",
        title="Active units",
        caption="Variance over held-out data of each unit's posterior mean, by layer; right of the "
        f"dashed line ({units['threshold']:g}) a unit is active. Without the inactive units "
        f"log p-hat changes by: {changes}.",
        alt=f"Histograms of log-variances by run and layer; {changes}.",
        numbers=units,
        figure=figures.unit_variances(units),
        missing="",
    )


def _ends(numbers: Series) -> str:
    return ", ".join(f"{m['label']} {m['mean'][-1]:.2f}" for m in numbers["methods"])


def _labels(numbers: Series) -> str:
    return ", ".join(method["label"] for method in numbers["methods"]) + "."


def _summary(content: dict[str, Any]) -> list[tuple[str, str]]:
    data, runs = content["dataset"], content["runs"]
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, data.get("event_shape") or []))
    diverged = sum(run["status"] != "ok" for run in runs)
    facts = {
        "training data": data.get("num_train"),
        "test data": data.get("num_test"),
        "shape of a datum": shape or None,
        "binarization": data.get("binarise"),
        "methods": len(results.by_method(content)),
        "runs": f"{len(runs)}, {diverged} diverged" if diverged else len(runs),
    }
    return [(name, str(fact)) for name, fact in facts.items() if fact is not None]


def _versions(run_results: RunResults) -> list[tuple[str, str]]:
    recorded = run_results.results["training"].get("versions")
    return [
        ("elbax, that wrote the results", str(run_results.results.get("elbax", "unknown"))),
        *((f"{k}, at training", str(v)) for k, v in (recorded or {}).items()),
        ("elbax, that wrote this page", __version__),
        ("matplotlib, that drew the figures", mpl.__version__),
    ]


def _times(content: dict[str, Any]) -> list[tuple[str, str]]:
    training, evaluation = content["training"], content["evaluation"]
    facts = {
        "training": duration(training.get("seconds")),
        "evaluation": duration(evaluation.get("seconds")),
        "epochs": training.get("epochs"),
        "optimizer steps": training.get("steps"),
        "compilations of the training program": training.get("compilations"),
        "device": training.get("device"),
        "samples k of the evaluation": ", ".join(map(str, evaluation["ks"])),
    }
    return [(name, str(fact)) for name, fact in facts.items() if fact is not None]
