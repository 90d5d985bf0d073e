"""`elbax score` and `elbax impute`: tables in, tables out."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from elbax._door import schema_of
from elbax._errors import ElbaxWarning, InputError
from elbax.cli import options as o
from elbax.cli.named import load_own
from elbax.cli.outcome import Outcome, filled
from elbax.cli.progress import Reporter
from elbax.cli.signals import SIGNALS
from elbax.cli.training import fit_heeding_signals
from elbax.evaluation.imputation import Imputations, impute, multiple_imputations
from elbax.evaluation.scores import Scores, score
from elbax.models.config import PRESETS
from elbax.models.interface import Model
from elbax.runs.epochs import MOST, chosen_epochs
from elbax.runs.load import Runs
from elbax.spelling import parse
from elbax.tables.files import arrow, read_table, write_columns
from elbax.tables.schema import described_lines
from elbax.tables.table import Table
from elbax.training.config import TrainConfig
from elbax.training.fit import FitResult
from elbax.training.loop import Progress

_ENDINGS = (".csv", ".tsv", ".parquet")
_MANY = 0.05  # of the rows unreliable: a warning
_NUMBER = "imputation"


def score_file(options: o.Score) -> Outcome:
    """Score the rows of a table with a trained run."""
    path = _out(options.out, options.overwrite)
    runs = load_own(options.model, None)
    model = runs.models[runs.index_of(options.run)]
    table = _read(options, runs)
    with Reporter() as reporter:
        found = score(
            model,
            table,
            num_samples=options.k,
            most_samples=options.most_k,
            largest_error=options.largest_error,
            p_draws=options.p_draws,
            p_samples=options.p_samples,
            seed=options.seed,
            progress=lambda done: reporter.update("scoring", done),
        )
    write_columns(path, _columns(found))
    unreliable = int((~found.reliable).sum())
    _warn_of(unreliable, len(table), "scores")
    content = {
        "file": str(path),
        "rows": len(table),
        "mean_score": float(found.log_p_hat.mean()),
        "unreliable": unreliable,
        "most_samples": int(found.num_samples.max()),
    }
    text = (
        f"{len(table)} rows scored in '{path}': log p-hat {content['mean_score']:.2f} nats in the "
        f"mean, {unreliable} of them unreliable; up to {content['most_samples']} samples each."
    )
    return Outcome(content, filled(text))


def _columns(found: Scores) -> dict[str, np.ndarray]:
    assert found.p_value is not None
    return {
        "score": found.log_p_hat,
        "se": found.error,
        "khat": found.khat,
        "ess": found.ess,
        "reliable": found.reliable,
        "p_value": found.p_value,
    }


def impute_file(options: o.Impute) -> Outcome:
    """Fill the holes of a table, with a trained run or one that is trained for it."""
    path = _out(options.out, options.overwrite)
    statistic = _statistic(options.statistic)
    with Reporter() as reporter:
        models, table = _models(options, reporter)
        for line in described_lines(table.schema):
            reporter.say(line)
        if options.multiple is not None and _NUMBER in table.raw.names:
            raise InputError(
                f"expected a table without a column '{_NUMBER}', which numbers the imputations; "
                "rename it."
            )
        limits = {"min_value": options.min_value, "max_value": options.max_value}
        settings: dict[str, Any] = {"num_samples": options.k, "seed": options.seed, **limits}
        with reporter.during("filling holes"):
            if options.multiple is None:
                once = impute(models[0], table, statistic=statistic, **settings)
                columns, reliable = once.columns(), once.reliable
            else:
                proper = _are_proper(options, models)
                several = multiple_imputations(
                    models if proper else models[0], table, options.multiple, **settings
                )
                columns, reliable = _long(several), several.reliable
    unreliable = int((~reliable).sum())
    _warn_of(unreliable, len(table), "imputations")
    # What came whole stays so, but for reals that were filled.
    whole = {cells.name for cells in table.raw.columns if cells.values == "int"} | {_NUMBER}
    write_columns(path, columns, whole)
    holes = int((~table.mask).sum())
    content = {
        "file": str(path),
        "rows": len(table),
        "holes": holes,
        "multiple": options.multiple,
        "proper": _are_proper(options, models),
        "unreliable": unreliable,
    }
    return Outcome(content, filled(_said(content)))


def _are_proper(options: o.Impute, models: list[Model]) -> bool:
    """Whether each imputation has a model of its own, all of them trained on resamples."""
    own = options.multiple == len(models)
    return own and (options.model is None or len(models) > 1)


def _said(content: dict[str, Any]) -> str:
    text = f"{content['holes']} holes in {content['rows']} rows filled"
    if content["multiple"] is None:
        return f"{text} once, in '{content['file']}'; {content['unreliable']} rows unreliable."
    kind = (
        "proper imputations, each of a model of its own"
        if content["proper"]
        else "improper imputations, of one model, which leave out what is unknown of its parameters"
    )
    trust = f"{content['unreliable']} rows unreliable"
    return f"{text} {content['multiple']} times, in '{content['file']}'; {kind}; {trust}."


def _long(several: Imputations) -> dict[str, np.ndarray]:
    """All imputations below each other, numbered."""
    tables = [several.columns(index) for index in range(len(several))]
    rows = len(several.table)
    long = {_NUMBER: np.repeat(np.arange(1.0, len(several) + 1), rows)}
    return long | {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}


def _models(options: o.Impute, reporter: Reporter) -> tuple[list[Model], Table]:
    """Models to fill with, and the table as they see it."""
    if options.model is not None:
        if options.types is not None:
            raise InputError("expected --types or --model, whose kinds are its own; got both.")
        runs = load_own(options.model, None)
        table = _read(options, runs)
        resampled = bool(runs.config["train"].get("bootstrap"))
        several = resampled and 1 < (options.multiple or 1) <= len(runs.models)
        return list(runs.models[: options.multiple] if several else runs.models[:1]), table
    table = read_table(options.data, header=o.said_yes(options.header), types=options.types)
    return _trained(options, table, reporter), table


def _trained(options: o.Impute, table: Table, reporter: Reporter) -> list[Model]:
    """A model of the table, or one for each imputation."""
    count = options.multiple or 1
    method, model = parse(options.method), replace(PRESETS["table"], missing=options.missing)
    config = TrainConfig(
        epochs=MOST if options.epochs is None else options.epochs,
        batch_size=min(64, len(table)),
        bootstrap=options.multiple is not None,
    )
    if options.epochs is None:
        epochs = chosen_epochs(
            method,
            table,
            model=model,
            config=config,
            seed=options.seed,
            train=_train_heeding,
            progress=_told(reporter, "choosing epochs"),
        )
        reporter.say(f"Epochs: {epochs}, by rows left out of a first training; --epochs overrides.")
        config = replace(config, epochs=epochs)
    result = fit_heeding_signals(
        method,
        table,
        model=model,
        config=config,
        seeds=tuple(range(options.seed, options.seed + count)),
        progress=_told(reporter, f"training {count} model{'s' * (count > 1)}"),
    )
    if not result.finished:
        raise KeyboardInterrupt
    if "ok" not in result.status or (count > 1 and set(result.status) != {"ok"}):
        raise InputError(
            "a model of the table diverged; look at it with `elbax train --data` and a lower "
            "--learning-rate, then give that folder as --model."
        )
    return list(result.models)


def _train_heeding(*arguments: Any, stop: Callable[[], bool], **options: Any) -> FitResult:
    """`fit`, which its own `stop` ends early and a signal for good."""
    result = fit_heeding_signals(*arguments, stop=lambda: stop() or SIGNALS.stop(), **options)
    if SIGNALS.stop():
        raise KeyboardInterrupt
    return result


def _told(reporter: Reporter, what: str) -> Callable[[Progress], None]:
    def told(now: Progress) -> None:
        where = f"epoch {now.epoch + 1} of {now.epochs}"
        reporter.update(what, now.step / now.num_steps, where, now.epochs)

    return told


def _read(options: o.Score | o.Impute, runs: Runs) -> Table:
    """The table as the model of some runs sees it."""
    schema = schema_of(runs.models[0])
    if schema is None:
        raise InputError(
            f"expected runs trained on a table; those in '{runs.path}' model other data. Train "
            "with `elbax train --data data.csv`."
        )
    header = o.said_yes(options.header)
    return read_table(options.data, header=header, schema=schema, unseen=options.unseen)


def _statistic(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _out(given: str, overwrite: bool) -> Path:
    """Where to write; looked at before anything is done."""
    arrow()
    path = Path(given)
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(f"expected --out to end in {', '.join(_ENDINGS)}; got '{given}'.")
    if path.exists() and not overwrite:
        raise InputError(
            f"expected --out as a new file; '{given}' is there. Choose another name, or lose it "
            "(--overwrite)."
        )
    return path


def _warn_of(unreliable: int, rows: int, what: str) -> None:
    if unreliable > _MANY * rows:
        warnings.warn(
            f"the {what} of {unreliable} of {rows} rows are unreliable (Pareto k-hat above its "
            "threshold); more samples (--k) or a longer training may help.",
            ElbaxWarning,
            stacklevel=2,
        )
