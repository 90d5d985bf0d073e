"""Every command's options, one sentence each. Free of JAX, so that `--help` is instant."""

from elbax.cli.options.data import DataFetch, DataInfo, DataList
from elbax.cli.options.launch import LaunchOptions, Status
from elbax.cli.options.looking import Evaluate, Export, Plot, Report, Sample, Snr
from elbax.cli.options.reproduce import Reproduce
from elbax.cli.options.shared import (
    Checked,
    CheckOptions,
    DataOptions,
    EvaluateOptions,
    ModelOptions,
    RunOptions,
    said_yes,
)
from elbax.cli.options.tables import DataDescribe, Impute, Score
from elbax.cli.options.training import Compare, Train
from elbax.cli.options.tune import Tune

__all__ = [
    "COMMANDS",
    "DATA_COMMANDS",
    "CheckOptions",
    "Checked",
    "Compare",
    "DataDescribe",
    "DataFetch",
    "DataInfo",
    "DataList",
    "DataOptions",
    "Evaluate",
    "EvaluateOptions",
    "Export",
    "Impute",
    "LaunchOptions",
    "ModelOptions",
    "Plot",
    "Report",
    "Reproduce",
    "RunOptions",
    "Sample",
    "Score",
    "Snr",
    "Status",
    "Train",
    "Tune",
    "said_yes",
]

# The commands in the order of `elbax --help`; those of `elbax data` have a level of their own.
COMMANDS: dict[str, type[Checked]] = {
    "train": Train,
    "compare": Compare,
    "tune": Tune,
    "evaluate": Evaluate,
    "sample": Sample,
    "snr": Snr,
    "reproduce": Reproduce,
    "status": Status,
    "report": Report,
    "plot": Plot,
    "export": Export,
    "score": Score,
    "impute": Impute,
}
DATA_COMMANDS: dict[str, type[Checked]] = {
    "list": DataList,
    "info": DataInfo,
    "fetch": DataFetch,
    "describe": DataDescribe,
}
