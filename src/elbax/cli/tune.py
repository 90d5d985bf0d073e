"""`elbax tune`: search for a good setting, and say the command that trains it."""

import contextlib
from pathlib import Path

from elbax.cli import options as o
from elbax.cli.launching import View, opened
from elbax.cli.outcome import Outcome, filled
from elbax.cli.progress import Reporter
from elbax.cli.train import chosen_model
from elbax.cli.training import fit_heeding_signals
from elbax.data.load import load_data
from elbax.models.config import ModelConfig
from elbax.report import tables
from elbax.report.page import write_report
from elbax.search.chapter import answer, best_table, read_tuned
from elbax.search.space import parse_space
from elbax.search.tune import tune as search_for
from elbax.training.loop import Progress


def tune(options: o.Tune) -> Outcome:
    """Search, write the page, and show the best trials."""
    data, model = options.data, chosen_model(options.model)
    space = parse_space(options.search) if options.search else None
    dataset = load_data(
        data.data,
        data_dir=data.data_dir,
        binarise=data.binarise,
        seed=data.data_seed,
        levels=data.levels,
        colour=o.said_yes(data.colour),
    )
    if isinstance(model, ModelConfig):
        dataset = dataset.under(model.likelihood)
    out = Path(options.run.out)
    launched = options.launch.launch is not None
    engine = opened(options.launch, out) if launched else contextlib.nullcontext()
    with Reporter() as reporter, engine as executor:

        def told(what: str, now: Progress | None) -> None:
            if now is None:
                reporter.update(f"compiling {what}", 0.0)
                return
            reporter.finish(f"compiling {what}")
            where = f"epoch {now.epoch + 1} of {now.epochs}"
            reporter.update(what, now.step / now.num_steps, where, now.epochs)

        search_for(
            options.method,
            dataset,
            search=space,
            model=model,
            config=options.train,
            trials=options.trials,
            at_once=options.at_once,
            seeds=options.seeds,
            sampler_seed=options.sampler_seed,
            k=options.judge.k,
            num_valid=data.num_valid,
            look_every=options.judge.look_every,
            pruner=options.judge.pruner,
            directory=options.run.out,
            data_dir=data.data_dir,
            checkpoint_seconds=options.run.checkpoint_seconds,
            fleet_map=options.run.fleet_map,
            executor=executor,
            progress=told,
            watch=View(reporter),
            train=fit_heeding_signals,
        )
        with reporter.during("drawing the report"):
            page = write_report(options.run.out)
    return _outcome(out, page)


def _outcome(folder: Path, page: Path) -> Outcome:
    """The best trials, what was found, and the command that trains the best in full."""
    content = read_tuned(folder)
    parts = [tables.to_text(best_table(content))] if content["best"] is not None else []
    parts.append(filled(answer(content)))
    if content["command"] is not None:
        parts.append(f"Train it in full, on all training data:\n\n{content['command']}")
    parts.append(f"Report: {page}")
    return Outcome({"page": str(page)} | dict(content), "\n\n".join(parts))
