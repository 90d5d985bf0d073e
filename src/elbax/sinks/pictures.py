"""What a trained model makes of a few images: their reconstructions, and images of its own."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, UInt8

from elbax._log_weights import encode
from elbax.data.dataset import Dataset
from elbax.models.interface import Model

_SHOWN = 8  # images side by side
_LEAST = 32  # pixels of an image's height, so that a digit of 8 x 8 can be seen


def shown(dataset: Dataset, *, binary: bool) -> Float[np.ndarray, "n h w *c"] | None:
    """The first test data, as a model sees them; None where data are no images.

    Args:
        dataset: the data.
        binary: whether the model is trained on 0/1 draws of grey images.
    """
    shape = dataset.event_shape
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
        return None
    if binary:
        return dataset.evaluation_split("test", num_data=_SHOWN)
    return dataset.intensities("test")[:_SHOWN]


def pictures(
    model: Model, x: Float[np.ndarray, "n h w *c"]
) -> dict[str, UInt8[np.ndarray, "rows cols *c"]]:
    """Pictures by name: data above E[x | z] at the posterior mean; E[x | z] for z of the prior.

    >>> from elbax import ModelConfig, one_layer
    >>> model = one_layer((8, 8), ModelConfig(hidden=(3,), latents=2), key=jax.random.key(0))
    >>> found = pictures(model, np.zeros((5, 8, 8), np.float32))
    >>> {name: picture.shape for name, picture in found.items()}
    {'reconstructions': (68, 170), 'samples': (68, 272)}
    """
    params, static = eqx.partition(model, eqx.is_array)
    rebuilt, drawn = _means(params, x, jax.random.split(jax.random.key(0), 2 * _SHOWN), static)
    return {
        "reconstructions": _tiled(np.stack([x, np.asarray(rebuilt)])),
        "samples": _tiled(np.asarray(drawn).reshape(2, _SHOWN, *x.shape[1:])),
    }


@eqx.filter_jit
def _means(params, x, keys, static):
    """E[x | z] at the posterior means of data, and at draws from the prior."""
    model = eqx.combine(params, static)
    mean = jax.vmap(model.generative.mean)
    z = jax.vmap(model.inference.mean)(encode(model.inference, x))
    return mean(z), mean(jax.vmap(model.generative.sample_prior)(keys))


def _tiled(images: Float[np.ndarray, "r n h w *c"]) -> UInt8[np.ndarray, "rows cols *c"]:
    """Rows of images as one, each with a margin of grey, and no smaller than can be seen."""
    levels = np.nan_to_num(np.clip(images, 0, 1) * 255).astype(np.uint8)
    times = -(-_LEAST // levels.shape[2])
    levels = levels.repeat(times, axis=2).repeat(times, axis=3)
    margins = [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)][: levels.ndim]
    cells = np.pad(levels, margins, constant_values=128)  # [R, N, H, W, ..]
    rows = [np.concatenate([*row], axis=1) for row in cells]
    return np.concatenate(rows, axis=0)
