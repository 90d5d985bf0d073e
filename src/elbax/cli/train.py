"""`elbax train` and `elbax compare`: one method, or a fleet with its evaluation and page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from elbax._errors import InputError
from elbax.cli import options as o
from elbax.cli.evaluate import evaluated, found_text
from elbax.cli.named import load_own, own_of
from elbax.cli.outcome import Outcome, filled
from elbax.cli.progress import Reporter
from elbax.cli.training import check_trained, logging_to, run_folder, train_in, trained_lines
from elbax.data.dataset import Dataset
from elbax.data.load import load_data
from elbax.evaluation.likelihood import evaluate, sample_counts
from elbax.evaluation.snr import NETWORKS, SNR, snr
from elbax.models.config import PRESETS, ModelConfig
from elbax.runs.chapter import joined
from elbax.runs.data import as_begun, refuse_overlap
from elbax.runs.load import load_data_of, model_config_of, origin_of
from elbax.runs.read import read
from elbax.sinks.sinks import Sinks
from elbax.spelling import parse
from elbax.tables.schema import described_lines, parse_types
from elbax.training.fit import FitResult
from elbax.training.loop import Progress
from elbax.training.origin import Origin
from elbax.training.recorded import read_config
from elbax.training.records import Look, Monitor
from elbax.training.setup import new_fleet
from elbax.training.suited import refused_likelihood

_NUMBERS = (
    "m",
    "k",
    "permutations",
    "beta",
    "alpha",
    "knots",
)  # which a method's text may give by position
_ARGUMENTS = (*_NUMBERS, "learn", "gradient", "warmup", "alpha_warmup")
_BOUND = "A datum is one image or row; the bound is that of the last epoch's training."
_FLEET = "a fleet: {} runs in one compiled program"
_NUM_MONITORED = 500
_MONITORED_K = 64
_SNR_DRAWS, _SNR_DATA = 64, 20


def train(options: o.Train) -> Outcome:
    """Train one method."""
    method = _method(options)
    folder = run_folder(options, method)
    with Reporter() as reporter, logging_to(options.run.log) as sinks:
        result = _fit([method], options, folder, reporter, sinks)
    check_trained(result, folder)
    model = options.model.model
    own = f" --model {model}" if ":" in model else ""  # a folder does not say what code to run
    lines = [*map(filled, trained_lines(result, folder)), _BOUND]
    if result.epochs < options.train.epochs:
        lines.append(
            f"Stopped after epoch {result.epochs} of {options.train.epochs}, as asked; the same "
            "command with\n--resume and a later --until, or none, goes on."
        )
    lines.append(f"Next: elbax evaluate {folder}{own}")
    return Outcome(_trained(result, folder), "\n".join(lines))


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


def compare(options: o.Compare, reporter: Reporter | None = None) -> Outcome:
    """Train a fleet, evaluate it, write the report."""
    sample_counts(options.evaluate.ks)
    folder = run_folder(options, "compare")
    if options.launch.launch is not None:
        with reporter or Reporter() as reporter:
            return _compare_launched(options, folder, reporter)
    with reporter or Reporter() as reporter, logging_to(options.run.log) as sinks:
        result = _fit(list(options.methods), options, folder, reporter, sinks)
        check_trained(result, folder)
        runs = load_own(folder, own_of(options.model))
        # By the path given, as the one in config.json may be that of before a move.
        dataset = load_data_of(runs, data=options.data.data, data_dir=options.data.data_dir)
        outcome = evaluated(runs, dataset, options.evaluate, reporter)
        sinks.artifact(folder / "results.json")
    lost = [filled(line) for line in trained_lines(result, folder) if "diverged" in line]
    return Outcome(_trained(result, folder) | outcome.content, "\n".join([outcome.text, *lost]))


def _compare_launched(options: o.Compare, folder: Path, reporter: Reporter) -> Outcome:
    """The same on an engine: a folder for each part, and the page of all in the one asked for."""
    from elbax.cli.launching import compare_parts
    from elbax.report.page import write_report

    if options.run.overwrite:
        raise InputError("expected --overwrite without --launch; got both. Choose another --out.")
    _check_before_launch(options, folder, reporter)
    folders = compare_parts(options, folder, reporter)
    with reporter.during("drawing the report"):
        page = write_report(*folders, out=folder)
    found = joined({one.name: read(one) for one in folders}, prefixed=False)
    assert found is not None, "all parts are evaluated alike"
    text = f"{found_text(*found)}\n\nReport: {page}"
    content = {"page": str(page), "folders": [str(one) for one in folders], "results": found[0]}
    return Outcome(content, text)


def _check_before_launch(options: o.Compare, folder: Path, reporter: Reporter) -> None:
    """Refuse and note here what every worker would: nobody reads what they say."""
    objectives = [parse(method) for method in options.methods]
    model, dataset, _ = _setting(options, folder)
    _say_if_grey(dataset, model, reporter)
    new_fleet(
        objectives,
        dataset,
        model=model,
        config=options.train,
        seeds=options.seeds,
        learning_rates=options.learning_rates or (None,),
    )


def _fit(
    methods: list[str],
    options: o.Train | o.Compare,
    folder: Path,
    reporter: Reporter,
    sinks: Sinks,
) -> FitResult:
    objectives = [parse(method) for method in methods]
    model, dataset, origin = _setting(options, folder)
    _say_if_grey(dataset, model, reporter)
    rates = getattr(options, "learning_rates", ()) or (None,)
    num_runs = len(objectives) * len(rates) * len(options.seeds)
    stage = f"training {num_runs} run{'s' if num_runs > 1 else ''}"
    fleet = _FLEET.format(num_runs) if num_runs > 1 else ""

    def told(p: Progress) -> None:
        reporter.finish("compiling")
        where = f"epoch {p.epoch + 1} of {p.epochs}"
        where += f", until {options.run.until}" if options.run.until else ""
        epochs = options.run.until or p.epochs
        reporter.update(stage, p.step / p.end, where, epochs)

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
        until=options.run.until,
        monitor=_monitor(dataset, options.run.snr_every),
        monitor_every=options.run.monitor_every,
        log=sinks,
        progress=told,
        compiling=lambda: reporter.update("compiling", 0.0, fleet),
        checkpoint_seconds=options.run.checkpoint_seconds,
        fleet_map=options.run.fleet_map,
        sample_chunk=options.run.sample_chunk,
    )


def _setting(
    options: o.Train | o.Compare, folder: Path
) -> tuple[ModelConfig | str, Dataset, Origin | None]:
    """Model, data and origin; what options leave out is taken from the runs to start from."""
    model, data = chosen_model(options.model), options.data
    origin = start = None
    if isinstance(options, o.Train) and options.start is not None:
        start = load_own(options.start, own_of(options.model), or_ours=True)
        origin = origin_of(start, options.seeds, name=options.start_run)
        if options.model == o.ModelOptions():
            model = model_config_of(start.config)
    if start is not None and replace(data, data_dir=None, offline=False) == o.DataOptions():
        return model, load_data_of(start, data_dir=data.data_dir), origin
    dataset = _dataset(options, folder)
    if dataset.schema is not None and options.model.likelihood is not None:
        raise refused_likelihood(options.model.likelihood)
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
        "types": None if data.types is None else parse_types(data.types),
        "header": o.said_yes(data.header),
        "colour": o.said_yes(data.colour),
    }
    if options.run.resume and (folder / "config.json").is_file():
        begun = as_begun(read_config(folder), data.data, data_dir=data.data_dir, **asked)
        if begun is not None:
            return begun
    return load_data(data.data, data_dir=data.data_dir, **asked)


def chosen_model(options: o.ModelOptions) -> ModelConfig | str:
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
        likelihood=preset.likelihood if options.likelihood is None else options.likelihood,
        scale=options.scale,
        scale_floor=options.scale_floor,
        missing=options.missing,
        homoscedastic=options.homoscedastic,
        initialization=options.initialization,
        output_bias=options.output_bias,
        standardize=options.standardize,
    )


def _latents(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    """One size is that of a plain one-layer model."""
    return sizes[0] if len(sizes) == 1 else sizes


def _say_if_grey(dataset: Dataset, model: ModelConfig | str, reporter: Reporter) -> None:
    if isinstance(model, str):
        return
    if dataset.schema is not None:
        for line in described_lines(dataset.schema):
            reporter.say(line)
        return
    if model.likelihood == "bernoulli" and dataset.binarise == "none" and not dataset.is_binary:
        kind = "images in colour" if dataset.in_colour else "grey levels"
        reporter.say(
            f"note: {dataset.name} holds {kind} and binarise is none: the Bernoulli "
            "log-likelihood of levels is a cross-entropy, not comparable with published nats. "
            "--likelihood discretised-logistic gives levels their probabilities."
        )


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


def _trained(result: FitResult, folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "seconds": result.seconds,
        "compilations": result.num_compilations,
        "status": {
            run.name: status for run, status in zip(result.runs, result.status, strict=True)
        },
    }
