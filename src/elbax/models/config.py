"""A model's configuration, free of JAX so that the command line starts fast."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and distributions of a model with one stochastic layer.

    The default is the network of Burda et al. 2015: 425 284 parameters on 28 x 28 data.

    >>> LARGER.latents
    20
    """

    hidden: tuple[int, ...] = (200, 200)
    """Sizes of the encoder's hidden layers; the decoder mirrors them."""
    latents: int = 50
    """Number of latent variables."""
    likelihood: str = "bernoulli"
    """Distribution of the data given the latents: bernoulli or gaussian."""
    scale: str = "exp"
    """How a standard deviation is made positive: exp or softplus."""
    scale_floor: float = 1e-6
    """Smallest standard deviation, added to the above."""
    output_bias: bool = True
    """Start the decoder's output at the mean of the training data."""


REFERENCE = ModelConfig()
LARGER = ModelConfig(hidden=(400, 400), latents=20)
PRESETS = {"reference": REFERENCE, "larger": LARGER}
