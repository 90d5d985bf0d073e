"""What a fleet takes at least, by arithmetic: sizes nothing can hold are refused unallocated."""

import itertools
import math

from elbax._checks import check_count, check_fits
from elbax.models.config import ModelConfig

_FLOAT = 4
SAMPLE = 24  # a sample's key, log-weight and weights; what the networks make of it is cut in chunks
_COPIES = 3  # the parameters and Adam's two moments
_KERNEL = 9  # weights of a convolution, at least, between two channels


def check_sizes(
    event_shape: tuple[int, ...],
    model: object,
    *,
    num_samples: int,
    batch_size: int,
    num_steps: int,
    num_runs: int,
) -> None:
    """Refuse a fleet whose weights or whose samples cannot be held, or with too many steps.

    Args:
        event_shape: of one datum.
        model: a `ModelConfig`; of any other only the samples are counted.
        num_samples: per datum.
        batch_size: data per step.
        num_steps: of a whole run.
        num_runs: runs of the fleet.
    """
    check_count("epochs times steps per epoch", num_steps, 0)
    size = math.prod(event_shape)
    check_fits(
        f"{num_samples} samples of each of {batch_size} data of size {size}",
        batch_size * (num_samples * SAMPLE + size * _FLOAT),
    )
    if isinstance(model, ModelConfig) and model.layers:  # none is refused where it is built
        weights = num_weights(event_shape, model)
        check_fits(
            f"{num_runs} model(s) of {weights:,} weights or more",
            num_runs * weights * _COPIES * _FLOAT,
        )


def num_weights(event_shape: tuple[int, ...], model: ModelConfig) -> int:
    """A lower bound of the weights of both networks: the matrices without their biases.

    >>> num_weights((28, 28), ModelConfig())  # 784-200-200-50 and back
    413600
    """
    scale = model.categories if model.latent == "categorical" else 1
    layers = [scale * latents for latents in model.layers]
    # Every convolution halves both sides; without any these are the data themselves.
    colors = math.prod(event_shape[2:]) if model.channels else 1
    pixels = math.prod(event_shape) // colors
    first = pixels // 4 ** len(model.channels) * [1, *model.channels][-1]
    below = [first, *model.hidden, layers[0]]
    chains = [below, *([a, *model.hidden_above, b] for a, b in itertools.pairwise(layers))]
    weights = sum(a * b for chain in chains for a, b in itertools.pairwise(chain))
    weights += sum(a * b * _KERNEL for a, b in itertools.pairwise([colors, *model.channels]))
    return 2 * weights
