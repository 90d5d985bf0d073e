"""What each command does: options in, a JSON object and a text out."""

import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from elbax._errors import InputError
from elbax._files import write_atomically
from elbax._keys import key_of
from elbax.cli import options as o
from elbax.cli.outcome import Outcome
from elbax.cli.own import load_own, own_of
from elbax.cli.progress import Reporter
from elbax.cli.training import check_trained, run_folder, train_in, trained_text
from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.evaluation.likelihood import evaluate, sample_counts
from elbax.evaluation.snr import NETWORKS, SNR, snr
from elbax.experiments.looks import look
from elbax.experiments.run_data import as_begun, refuse_overlap
from elbax.experiments.runs import (
    Runs,
    are_own,
    evaluate_runs,
    load_data_of,
    model_config_of,
    origin_of,
)
from elbax.methods import parse
from elbax.models.config import PRESETS, ModelConfig
from elbax.training.fit import FitResult, Look, Monitor
from elbax.training.folder import read_config
from elbax.training.origin import Origin

_NUMBERS = ("m", "k", "beta", "alpha", "knots")  # which a method's text may give by position
_ARGUMENTS = (*_NUMBERS, "learn", "gradient", "warmup", "alpha_warmup")


def train(options: o.Train) -> Outcome:
    """Train one method."""
    method = _method(options)
    folder = run_folder(options, method)
    with Reporter() as reporter:
        result = _fit([method], options, folder, reporter)
    check_trained(result, folder)
    text = f"{trained_text(result, folder)}\nNext: elbax evaluate {folder}"
    return Outcome(_trained(result, folder), text)


def _method(options: o.Train) -> str:
    """The method as a text with its numbers: those of --method itself, or of options of their own.

    >>> _method(o.Train(method="piwae(4, 4)", gradient="dreg"))
    'piwae(4, 4, gradient=dreg)'
    """
    given = {name: getattr(options, name) for name in _ARGUMENTS}
    given = {name: value for name, value in given.items() if value is not None}
    name, bracket, inside = options.method.strip().partition("(")
    numbers = [inside.removesuffix(")")] if bracket and inside.strip() != ")" else []
    said = [f"--{argument.replace('_', '-')} {value}" for argument, value in given.items()]
    if numbers and any(argument in _NUMBERS or f"{argument}=" in inside for argument in given):
        raise InputError(
            "expected a method's numbers in --method or in options of their own, not in both; got "
            f"--method '{options.method}' with {' '.join(said)}. Leave out one of the two."
        )
    texts = [f"{argument}={value}" for argument, value in given.items()]
    if bracket and not inside.endswith(")"):
        return options.method  # not closed: `parse` says so
    return f"{name}({', '.join(numbers + texts)})"


def compare(options: o.Compare) -> Outcome:
    """Train a fleet, evaluate it, write the report."""
    sample_counts(options.evaluate.ks)
    folder = run_folder(options, "compare")
    with Reporter() as reporter:
        result = _fit(list(options.methods), options, folder, reporter)
        check_trained(result, folder)
        runs = load_own(folder, own_of(options.model))
        # By the path given, as the one in config.json may be that of before a move.
        dataset = load_data_of(runs, data=options.data.data, data_dir=options.data.data_dir)
        outcome = _evaluate(runs, dataset, options.evaluate, reporter)
    lost = [line for line in trained_text(result, folder).splitlines() if "diverged" in line]
    return Outcome(_trained(result, folder) | outcome.content, "\n".join([outcome.text, *lost]))


def evaluate_folder(options: o.Evaluate) -> Outcome:
    """Evaluate the runs of a folder, perhaps against another's."""
    runs = load_own(options.folder, options.own, or_ours=options.against is not None)
    with Reporter() as reporter:
        if options.against is not None:
            against = load_own(options.against, options.own, or_ours=True)
            return _evaluate_pair(runs, against, options, reporter)
        # Before the evaluation, which writes the page that shows them.
        dataset = _data_of(runs, options)
        units = _units(runs, dataset, options, reporter) if options.active_units else None
        outcome = _evaluate(runs, dataset, options.evaluate, reporter)
    if units is None:
        return outcome
    text = f"{outcome.text}\n\n{_units_text(units)}"
    return Outcome(outcome.content | {"units": units}, text)


def sample(options: o.Sample) -> Outcome:
    """Show what a run has learned."""
    from elbax.report import figures

    path = Path(options.out)
    if path.suffix not in (".png", ".npy"):
        raise InputError(f"expected --out to end in .png or .npy; got '{options.out}'.")
    runs = load_own(options.folder, options.own)
    name = runs.specs[runs.index_of(options.run)].name
    shape = runs.config["data"]["event_shape"]
    if path.suffix == ".png" and len(shape) != 2:
        raise InputError(
            f"expected images of two axes for a .png; these data have shape {shape}. Write an .npy "
            "instead."
        )
    panels = look(
        runs,
        options.what,
        run=options.run,
        num=options.num,
        k=options.k,
        seed=options.seed,
        data_dir=options.data_dir,
        data=options.data,
        split=options.split,
    )
    if path.suffix == ".png":
        figures.save(figures.sheets(panels), path)
    else:
        _save_array(path, *[panel.images for panel in panels])
    shapes = {panel.title: list(panel.images.shape) for panel in panels}
    content = {"file": str(path), "run": name, "what": options.what, "shapes": shapes}
    return Outcome(content, f"{', '.join(shapes)} of {name} in {path}")


def measure_snr(options: o.Snr) -> Outcome:
    """SNR of the toy or of trained runs, with figures."""
    from elbax.report import snr as snr_report
    from elbax.report import tables
    from elbax.report.page import write_report

    toy = options.what == "toy"
    out = Path(options.out or ("runs/snr-toy" if toy else options.what))
    with Reporter() as reporter:
        content = _toy_snr(options, reporter) if toy else _runs_snr(options, reporter)
    files = snr_report.write(content, out)
    if (out / "results.json").exists():
        files.append(write_report(out))
    table = tables.to_text(snr_report.slopes(content))
    return Outcome(content | {"files": [str(file) for file in files]}, f"{table}\n\nIn {out}")


def _toy_snr(options: o.Snr, reporter: Reporter) -> dict[str, Any]:
    from elbax.experiments.snr_study import toy_study

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
    from elbax.experiments.snr_runs import runs_study

    runs = load_own(options.what, options.own)
    return runs_study(
        runs,
        _data_of(runs, options),
        index=runs.index_of(options.run),
        num_data=10 if options.num_data is None else options.num_data,
        sizes=options.sizes,
        num_draws=512 if options.num_draws is None else options.num_draws,
        ess_samples=options.ess_samples,
        seed=options.seed,
        progress=lambda what, done: reporter.update(what, done, options.what),
    )


def report(options: o.Report) -> Outcome:
    """Write the page again."""
    from elbax.report.page import write_report

    page = write_report(*options.folders, out=options.out)
    return Outcome({"page": str(page)}, f"Report: {page}")


def _fit(
    methods: list[str], options: o.Train | o.Compare, folder: Path, reporter: Reporter
) -> FitResult:
    objectives = [parse(method) for method in methods]
    model, dataset, origin = _setting(options, folder)
    _say_if_grey(dataset, model, reporter)
    rates = getattr(options, "learning_rates", ()) or (None,)
    num_runs = len(objectives) * len(rates) * len(options.seeds)
    stage = f"training {num_runs} run{'s' if num_runs > 1 else ''}"
    reporter.update(stage, 0.0, "compiling")
    return train_in(
        folder,
        objectives,
        dataset,
        model=model,
        config=options.train,
        seeds=options.seeds,
        learning_rates=rates,
        origin=origin,
        resume=options.run.resume,
        overwrite=options.run.overwrite,
        monitor=_monitor(dataset, options.run.snr_every),
        monitor_every=options.run.monitor_every,
        progress=lambda p: reporter.update(
            stage, p.step / p.num_steps, f"epoch {p.epoch + 1} of {p.epochs}"
        ),
        fleet_map=options.run.fleet_map,
    )


def _setting(
    options: o.Train | o.Compare, folder: Path
) -> tuple[ModelConfig | str, Dataset, Origin | None]:
    """Model, data and origin; what options leave out is taken from the runs to start from."""
    model, data = _model(options.model), options.data
    origin = start = None
    if isinstance(options, o.Train) and options.start is not None:
        start = load_own(options.start, own_of(options.model), or_ours=True)
        origin = origin_of(start, options.seeds, name=options.start_run)
        if options.model == o.ModelOptions():
            model = model_config_of(start.config)
    if start is not None and replace(data, data_dir=None) == o.DataOptions():
        return model, load_data_of(start, data_dir=data.data_dir), origin
    dataset = _dataset(options, folder)
    if isinstance(model, ModelConfig):
        dataset = dataset.under(model.likelihood)
    if start is not None:
        refuse_overlap(start.config, start.path, dataset, data_dir=data.data_dir)
    return model, dataset, origin


def _dataset(options: o.Train | o.Compare, folder: Path) -> Dataset:
    """The data asked for; of runs that go on, as they were begun with."""
    data = options.data
    asked: dict[str, Any] = {
        "binarise": data.binarise,
        "seed": data.data_seed,
        "num_valid": data.num_valid,
        "levels": data.levels,
    }
    if options.run.resume and (folder / "config.json").is_file():
        begun = as_begun(read_config(folder), data.data, data_dir=data.data_dir, **asked)
        if begun is not None:
            return begun
    return load_data(data.data, data_dir=data.data_dir, **asked)


def _data_of(runs: Runs, options: o.Evaluate | o.Snr) -> Dataset:
    """The runs' own data, or those that the options name."""
    return load_data_of(runs, data_dir=options.data_dir, data=options.data, split=options.split)


def _model(options: o.ModelOptions) -> ModelConfig | str:
    """A configuration, or the import path of a model of the user's own."""
    if own_of(options) is not None:
        if options != o.ModelOptions(model=options.model):
            raise InputError(
                f"expected a preset with options of the model; got --model {options.model}, whose "
                "function decides them all."
            )
        return options.model
    preset = PRESETS[options.model]
    return ModelConfig(
        hidden=preset.hidden if options.hidden is None else options.hidden,
        channels=preset.channels if options.channels is None else options.channels,
        activation=preset.activation if options.activation is None else options.activation,
        latents=preset.latents if options.latents is None else _latents(options.latents),
        latent=preset.latent if options.latent is None else options.latent,
        categories=options.categories,
        hidden_above=(
            preset.hidden_above if options.hidden_above is None else options.hidden_above
        ),
        likelihood=options.likelihood,
        scale=options.scale,
        scale_floor=options.scale_floor,
        output_bias=options.output_bias,
        standardize=options.standardize,
    )


def _latents(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    """One size is that of a plain one-layer model."""
    return sizes[0] if len(sizes) == 1 else sizes


def _say_if_grey(dataset: Dataset, model: ModelConfig | str, reporter: Reporter) -> None:
    if isinstance(model, str):
        return
    if model.likelihood == "bernoulli" and dataset.binarise == "none" and not dataset.is_binary:
        reporter.say(
            f"note: {dataset.name} holds grey levels and binarise is none: the Bernoulli "
            "log-likelihood of grey levels is a cross-entropy, not comparable with published nats."
        )


_NUM_MONITORED = 500
_MONITORED_K = 64
_SNR_DRAWS, _SNR_DATA = 64, 20


def _monitor(dataset: Dataset, snr_every: int | None) -> Monitor:
    """Held-out IWAE-64 for the learning curves, and SNR now and then.

    On the validation data, else on test data.
    """
    split = "valid" if dataset.valid is not None else "test"
    x = dataset.evaluation_split(split)[:_NUM_MONITORED]

    def monitor(seen: Look) -> dict[str, float]:
        key = jax.random.key(0)
        found = evaluate(seen.model, x, key=key, ks=(_MONITORED_K,)).log_p_hat
        record = {f"iwae_{_MONITORED_K}": found.mean}
        if snr_every is not None and seen.epoch % snr_every == 0:
            few = x[:_SNR_DATA]
            ratios = snr(seen.objective, seen.model, few, key=key, num_draws=_SNR_DRAWS)
            assert isinstance(ratios, SNR)
            record |= {f"snr_{network}": ratios.snr[network].value for network in NETWORKS}
        return record

    return monitor


def _evaluate(
    runs: Runs, dataset: Dataset, options: o.EvaluateOptions, reporter: Reporter
) -> Outcome:
    """Evaluate and write the page; other data than the runs' own leave the folder as it is."""
    from elbax.report import tables
    from elbax.report.page import write_report

    total = len(runs.specs)

    def progress(index: int, done: float) -> None:
        detail = f"{runs.specs[index].name}, {index + 1} of {total}"
        reporter.update("evaluating", (index + done) / total, detail)

    results = evaluate_runs(
        runs,
        dataset,
        ks=options.ks,
        num_data=options.num_data,
        seed=options.seed,
        progress=progress,
        write=are_own(runs, dataset),
    )
    table = tables.to_text(tables.comparison(results))
    if not are_own(runs, dataset):
        reporter.say(f"note: not the test data of {runs.path}, where nothing is written.")
        return Outcome({"results": results}, table)
    page = write_report(runs.path)
    text = f"{table}\n\nReport: {page}"
    return Outcome({"page": str(page), "results": results}, text)


def _units(runs: Runs, dataset: Dataset, options: o.Evaluate, reporter: Reporter) -> dict[str, Any]:
    from elbax.experiments.units import units_study

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
        write=are_own(runs, dataset),
    )


def _units_text(units: dict[str, Any]) -> str:
    width = max(len(run["name"]) for run in units["runs"])
    rows = [
        f"{run['name']:{width}}  {'+'.join(map(str, run['active'])):>7} of "
        f"{'+'.join(str(len(layer)) for layer in run['variances']):<7}  "
        f"{run['change']:+.3f} ± {run['standard_error']:.3f}"
        for run in units["runs"]
    ]
    heading = "Active units by layer, and log p-hat without the others minus with them, paired:"
    return "\n".join([heading, *rows])


def _evaluate_pair(first: Runs, second: Runs, options: o.Evaluate, reporter: Reporter) -> Outcome:
    from elbax.evaluation.likelihood import compare as compare_paired

    if first.config["data"]["fingerprint"] != second.config["data"]["fingerprint"]:
        raise InputError(
            f"expected two folders trained on the same data; got {first.config['data']['name']} "
            f"and {second.config['data']['name']} with different fingerprints."
        )
    settings = options.evaluate
    x = _data_of(first, options).evaluation_split("test", settings.seed, settings.num_data)
    evaluations = []
    for index, runs in enumerate((first, second)):

        def progress(done: float, index: int = index) -> None:
            reporter.update("evaluating", (index + done) / 2, f"{index + 1} of 2")

        key = key_of(settings.seed)
        found = evaluate(runs.models[0], x, key=key, ks=settings.ks, progress=progress)
        evaluations.append(found)
    metrics = [name for name in evaluations[0].metrics() if name != "ess"]
    pairs = [compare_paired(evaluations[0], evaluations[1], metric) for metric in metrics]
    content = {
        "first": first.specs[0].name,
        "second": second.specs[0].name,
        "differences": [asdict(pair) | {"z": pair.z} for pair in pairs],
    }
    rows = [
        f"{pair.metric:12} {pair.difference:+8.3f} ± {pair.standard_error:.3f}  z {pair.z:+.1f}"
        for pair in pairs
    ]
    heading = f"{content['second']} minus {content['first']}, nats per datum, paired over {len(x)}"
    return Outcome(content, "\n".join([heading, *rows]))


def _trained(result: FitResult, folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "seconds": result.seconds,
        "compilations": result.num_compilations,
        "status": {
            run.name: status for run, status in zip(result.runs, result.status, strict=True)
        },
    }


def _save_array(path: Path, *arrays: np.ndarray) -> None:
    """One array, or several one after the other."""
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(arrays))
    write_atomically(path, buffer.getvalue())
