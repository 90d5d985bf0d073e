from . import bounds, distributions, models, nn, rules
from ._devices import limit_devices
from ._door import schema_of
from ._errors import (
    CheckpointError,
    DataError,
    ElbaxError,
    ElbaxWarning,
    InputError,
    OutputError,
    RunFailedError,
)
from ._log_weights import log_weights
from ._version import __version__
from .courses import Learned, Ramp
from .data.dataset import Dataset
from .data.load import load_data
from .evaluation.annealing import Annealed, Sandwich, ais, bdmc
from .evaluation.calibration import Calibration, calibration
from .evaluation.held_out import HeldOutCells, held_out_cells
from .evaluation.imputation import Imputations, Imputed, impute, multiple_imputations
from .evaluation.likelihood import Evaluation, compare, evaluate
from .evaluation.pooling import Pooled, pool
from .evaluation.posterior import posterior_means, prior_samples, reconstructions, sample
from .evaluation.scores import Scores, score
from .evaluation.snr import SNR, snr
from .evaluation.truncation import Unbiased, sumo
from .evaluation.units import active_units
from .gradients import value_and_grad
from .methods import ciwae, iwae, jvi, miwae, piwae, renyi, rws, tvo, uiwae, vae
from .models._gaussian_toy import gaussian_toy
from .models._hierarchical import hierarchical
from .models._linear_gaussian import linear_gaussian
from .models._one_layer import one_layer
from .models.config import ModelConfig
from .models.describe import config_of
from .models.interface import AbstractGenerative, AbstractInference, Model
from .models.pruning import pruned
from .models.saved import load, save
from .models.weights import arrays_of, with_arrays
from .objectives import Objective
from .report.page import write_report
from .runs.evaluate import evaluate_runs
from .runs.load import load_runs, origin_of
from .search.tune import tune
from .tables.files import read_table
from .tables.schema import Column, Schema
from .tables.table import Table, table_of
from .training.config import TrainConfig
from .training.fit import fit
from .training.records import Look

__all__ = [
    "SNR",
    "AbstractGenerative",
    "AbstractInference",
    "Annealed",
    "Calibration",
    "CheckpointError",
    "Column",
    "DataError",
    "Dataset",
    "ElbaxError",
    "ElbaxWarning",
    "Evaluation",
    "HeldOutCells",
    "Imputations",
    "Imputed",
    "InputError",
    "Learned",
    "Look",
    "Model",
    "ModelConfig",
    "Objective",
    "OutputError",
    "Pooled",
    "Ramp",
    "RunFailedError",
    "Sandwich",
    "Schema",
    "Scores",
    "Table",
    "TrainConfig",
    "Unbiased",
    "__version__",
    "active_units",
    "ais",
    "arrays_of",
    "bdmc",
    "bounds",
    "calibration",
    "ciwae",
    "compare",
    "config_of",
    "distributions",
    "evaluate",
    "evaluate_runs",
    "fit",
    "gaussian_toy",
    "held_out_cells",
    "hierarchical",
    "impute",
    "iwae",
    "jvi",
    "limit_devices",
    "linear_gaussian",
    "load",
    "load_data",
    "load_runs",
    "log_weights",
    "miwae",
    "models",
    "multiple_imputations",
    "nn",
    "one_layer",
    "origin_of",
    "piwae",
    "pool",
    "posterior_means",
    "prior_samples",
    "pruned",
    "read_table",
    "reconstructions",
    "renyi",
    "rules",
    "rws",
    "sample",
    "save",
    "schema_of",
    "score",
    "snr",
    "sumo",
    "table_of",
    "tune",
    "tvo",
    "uiwae",
    "vae",
    "value_and_grad",
    "with_arrays",
    "write_report",
]
