"""From a configuration to a model."""

import numpy as np
from jaxtyping import Float

from elbax._types import PRNGKey
from elbax.models._hierarchical import hierarchical
from elbax.models._one_layer import one_layer
from elbax.models.config import ModelConfig
from elbax.models.interface import Model


def build(
    event_shape: tuple[int, ...],
    config: ModelConfig,
    *,
    key: PRNGKey,
    data_mean: Float[np.ndarray, " d"] | None = None,
    data_sd: Float[np.ndarray, " d"] | None = None,
) -> Model:
    """`one_layer` for one layer of normal latents given as a number, else `hierarchical`."""
    plain = config.latent == "normal" and isinstance(config.latents, int)
    builder = one_layer if plain else hierarchical
    return builder(event_shape, config, key=key, data_mean=data_mean, data_sd=data_sd)
