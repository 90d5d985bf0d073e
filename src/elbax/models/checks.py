"""Refuse configurations that make no model."""

import math

import numpy as np

from elbax._checks import check_count, check_real
from elbax._errors import InputError, unknown
from elbax.models.config import (
    ACTIVATIONS,
    IN_UNIT,
    INITIALIZATIONS,
    LATENTS,
    LIKELIHOODS,
    MISSING,
    ModelConfig,
)
from elbax.nn.convolutions import check_images

_TOO_MANY = 2**16  # levels: 16 bits hold fewer

_NAMES = {
    "scale": ("exp", "softplus"),
    "missing": MISSING,
    "likelihood": LIKELIHOODS,
    "latent": LATENTS,
    "activation": ACTIVATIONS,
    "initialization": INITIALIZATIONS,
}


def check_config(
    config: ModelConfig,
    data_mean: np.ndarray | None,
    event_shape: tuple[int, ...],
    data_sd: np.ndarray | None = None,
) -> None:
    """Refuse sizes, names, floors or data statistics that make no model."""
    size = math.prod(event_shape)
    for name, known in _NAMES.items():
        value = config.positive if name == "scale" else getattr(config, name)
        if value not in known:
            raise InputError(unknown(name, value, known))
    _check_table(config, event_shape)
    if config.channels:
        _check_convolutions(config, event_shape)
    sizes = (*config.hidden, *config.hidden_above, *config.layers, *config.channels)
    if not config.layers or min(sizes) < 1:
        raise InputError(
            "expected one or more layers with sizes >= 1; got hidden "
            f"{config.hidden} and {config.hidden_above}, latents {config.latents}, channels "
            f"{config.channels}."
        )
    if config.categories < 2:
        raise InputError(f"expected categories >= 2; got {config.categories}.")
    if not config.scale_floor >= 0:
        raise InputError(f"expected scale_floor >= 0; got {config.scale_floor}.")
    check_real("scale_floor", config.scale_floor)
    check_count("levels", config.levels, 1, _TOO_MANY)
    if data_sd is not None and not (np.size(data_sd) == size and np.all(data_sd >= 0)):
        raise InputError(
            f"expected data_sd with {size} values >= 0; got shape {np.shape(data_sd)}, from "
            f"{np.min(data_sd):g}."
        )
    if data_mean is None:
        return
    low, high = (0, 1) if config.likelihood in IN_UNIT else (-np.inf, np.inf)
    # NaN fails the comparison too.
    if np.size(data_mean) != size or not np.all((data_mean >= low) & (data_mean <= high)):
        raise InputError(
            f"expected data_mean with {size} values, in [0, 1] unless gaussian; got shape "
            f"{np.shape(data_mean)}, from {np.min(data_mean):g} to {np.max(data_mean):g}."
        )


def _check_convolutions(config: ModelConfig, event_shape: tuple[int, ...]) -> None:
    check_images(event_shape, config.channels)
    if config.initialization != "glorot":
        raise InputError(
            "expected initialization='glorot' with convolutions; got "
            f"{config.initialization!r}, which is there for fully connected layers alone."
        )


def _check_table(config: ModelConfig, event_shape: tuple[int, ...]) -> None:
    """Refuse a table without columns, other columns than the data's, or a table of images."""
    if (config.table is None) != (config.likelihood != "table"):
        raise InputError(
            "expected likelihood='table' with the columns of a table, and only there; take "
            "`config.of_table(schema)`."
        )
    if config.table is None:
        if config.missing != "random" or config.homoscedastic:
            option = "homoscedastic" if config.homoscedastic else f"missing={config.missing!r}"
            raise InputError(f"expected {option} for a table alone; these data are none.")
        return
    if config.channels:
        raise InputError("expected no channels for a table; convolutions are for images.")
    if event_shape != (len(config.table.columns),):
        raise InputError(
            f"expected data of {len(config.table.columns)} columns, which the table has; got shape "
            f"{list(event_shape)}."
        )
