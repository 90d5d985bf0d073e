from ._names import ACTIVATIONS
from ._product import product
from .convolutions import ConvDecoder, ConvEncoder, ConvOutput
from .linear import MLP, Activation, Linear, Standard, Standardized

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Activation",
    "ConvDecoder",
    "ConvEncoder",
    "ConvOutput",
    "Linear",
    "Standard",
    "Standardized",
    "product",
]
