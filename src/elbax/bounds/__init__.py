"""Multi-sample bounds: functions of the log-weights `log_w [K, B]`, and their derivatives."""

from elbax.bounds.abstract import AbstractBound, Custom
from elbax.bounds.first import First
from elbax.bounds.importance import CIWAE, IWAE, MIWAE, VAE
from elbax.bounds.jackknife import JVI
from elbax.bounds.overlapping import UIWAE
from elbax.bounds.renyi import Renyi, Tempered
from elbax.bounds.thermodynamic import TVO

__all__ = [
    "CIWAE",
    "IWAE",
    "JVI",
    "MIWAE",
    "TVO",
    "UIWAE",
    "VAE",
    "AbstractBound",
    "Custom",
    "First",
    "Renyi",
    "Tempered",
]
