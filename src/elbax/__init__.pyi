from . import bounds
from ._errors import CheckpointError, DataError, ElbaxError, InputError, OutputError, RunFailedError
from ._log_weights import log_weights
from ._version import __version__
from .data.dataset import Dataset
from .data.load import load_data
from .evaluation.likelihood import Evaluation, compare, evaluate
from .gradients import value_and_grad
from .models.config import ModelConfig
from .models.interface import AbstractGenerative, AbstractInference, Model
from .models.linear_gaussian import linear_gaussian
from .models.one_layer import one_layer
from .objectives import Objective, ciwae, iwae, miwae, piwae, vae
from .training.config import TrainConfig
from .training.fit import fit

__all__ = [
    "AbstractGenerative",
    "AbstractInference",
    "CheckpointError",
    "DataError",
    "Dataset",
    "ElbaxError",
    "Evaluation",
    "InputError",
    "Model",
    "ModelConfig",
    "Objective",
    "OutputError",
    "RunFailedError",
    "TrainConfig",
    "__version__",
    "bounds",
    "ciwae",
    "compare",
    "evaluate",
    "fit",
    "iwae",
    "linear_gaussian",
    "load_data",
    "log_weights",
    "miwae",
    "one_layer",
    "piwae",
    "vae",
    "value_and_grad",
]
