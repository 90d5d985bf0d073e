"""Runs, models and data that a command names: `--model module:function`, `--data` and `--split`."""

from pathlib import Path

from elbax._errors import InputError
from elbax.cli import options as o
from elbax.data.dataset import Dataset
from elbax.models.own import check_named, is_path
from elbax.runs.load import Runs, load_data_of, load_runs
from elbax.training.recorded import read_config


def own_of(options: o.ModelOptions) -> str | None:
    """The import path that `--model` gives, or None for a preset.

    Raises:
        InputError: neither.
    """
    check_named(options.model)
    return options.model if is_path(options.model) else None


def load_own(folder: str | Path, own: str | None, *, or_ours: bool = False) -> Runs:
    """The runs of a folder, with `--model` where they need it.

    What config.json names is never imported unless the user says the same: the folder may be
    someone else's.

    Args:
        folder: the run folder.
        own: what the user gave as `--model`, if anything.
        or_ours: let the folder hold models that elbax builds, whatever was given.

    Raises:
        InputError: a model of the user's own that was not given, or given otherwise.
    """
    described = read_config(Path(folder)).get("model")
    recorded = described.get("custom") if isinstance(described, dict) else None
    if recorded is None:
        if own is not None and not or_ours:
            raise InputError(
                f"the runs in '{folder}' have a model that elbax builds; leave --model out."
            )
        return load_runs(folder)
    if own is None:
        raise InputError(
            f"the runs in '{folder}' have a model of your own ({recorded}); elbax imports no code "
            "that a folder names, so give it again: --model module:function."
        )
    # A run that was trained in Python recorded the function's name alone.
    if is_path(str(recorded)) and recorded != own:
        raise InputError(
            f"the runs in '{folder}' were built by {recorded}; got --model {own}. If it has moved, "
            "load them in Python: `elbax.load_runs(folder, model=...)`."
        )
    return load_runs(folder, model=own)


def data_of(runs: Runs, options: o.Evaluate | o.Snr) -> Dataset:
    """The runs' own data, or those that the options name."""
    return load_data_of(runs, data_dir=options.data_dir, data=options.data, split=options.split)
