"""Which function performs a command; its module, and JAX with it, is imported when asked for."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from elbax.cli import options as o
from elbax.cli.outcome import Outcome

# Options -> module of elbax.cli and function.
ACTIONS: dict[type, tuple[str, str]] = {
    o.Train: ("train", "train"),
    o.Compare: ("train", "compare"),
    o.Tune: ("tune", "tune"),
    o.Evaluate: ("evaluate", "evaluate_folder"),
    o.Sample: ("sample", "sample"),
    o.Snr: ("snr", "measure_snr"),
    o.Reproduce: ("studies", "reproduce"),
    o.Status: ("status", "status"),
    o.Report: ("report", "report"),
    o.Plot: ("report", "plot"),
    o.Export: ("export", "export"),
    o.DataList: ("data", "data_list"),
    o.DataInfo: ("data", "data_info"),
    o.DataFetch: ("data", "data_fetch"),
    o.DataDescribe: ("data", "data_describe"),
    o.Score: ("tables", "score_file"),
    o.Impute: ("tables", "impute_file"),
}


def action_of(options: Any) -> Callable[[Any], Outcome]:
    """The function that performs a command."""
    return load(*ACTIONS[type(options)])


def load(module: str, name: str) -> Callable[[Any], Outcome]:
    """A function of a module of elbax.cli; where that brings JAX, JAX is made ready too."""
    action = getattr(importlib.import_module(f"elbax.cli.{module}"), name)
    if "jax" in sys.modules:  # what needs no JAX compiles nothing
        from elbax._runtime import prepare

        prepare()
    return action
