from ._gaussian_toy import ToyGenerative, ToyInference, gaussian_toy
from ._hierarchical import (
    HierarchicalGenerative,
    HierarchicalInference,
    LearnedPrior,
    StandardNormal,
    hierarchical,
)
from ._linear_gaussian import LinearGaussian, LinearInference, linear_gaussian
from ._one_layer import Generative, Inference, one_layer
from .cells import Row
from .config import PRESETS, ModelConfig
from .describe import config_of
from .heads import BernoulliHead, CategoricalHead, NormalHead
from .interface import AbstractGenerative, AbstractInference, Model
from .pixels import ContinuousBernoulliHead, DiscretisedLogisticHead
from .pruning import pruned
from .saved import load, save
from .tables import Observed, TableHead
from .weights import arrays_of, with_arrays

__all__ = [
    "PRESETS",
    "AbstractGenerative",
    "AbstractInference",
    "BernoulliHead",
    "CategoricalHead",
    "ContinuousBernoulliHead",
    "DiscretisedLogisticHead",
    "Generative",
    "HierarchicalGenerative",
    "HierarchicalInference",
    "Inference",
    "LearnedPrior",
    "LinearGaussian",
    "LinearInference",
    "Model",
    "ModelConfig",
    "NormalHead",
    "Observed",
    "Row",
    "StandardNormal",
    "TableHead",
    "ToyGenerative",
    "ToyInference",
    "arrays_of",
    "config_of",
    "gaussian_toy",
    "hierarchical",
    "linear_gaussian",
    "load",
    "one_layer",
    "pruned",
    "save",
    "with_arrays",
]
