"""Convolutional features of images and back: the same heads sit on them as on an `MLP`."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from elbax._errors import InputError
from elbax._types import PRNGKey
from elbax.nn.linear import MLP

Activation = Callable[[Array], Array]


class ConvEncoder(eqx.Module):
    """A raveled image through convolutions of stride 2, then through an `MLP`.

    A vector `[H W]`, or `[H W C]` with the C colors of a pixel beside each other, becomes features
    `[num_features]`. Kernels are 3 x 3.

    Args:
        event_shape: `(H, W)` or `(H, W, C)`, sides multiples of 2 to the number of convolutions.
        channels: of each convolution, nearest to the data first.
        hidden: sizes of the fully connected layers after them; none leaves the feature maps.
        key: a random key, consumed here.
        activation: a function by element, after every layer.

    Raises:
        InputError: no channels, or images that cannot be halved so often.

    >>> network = ConvEncoder((8, 8), (4,), (16,), key=jax.random.key(0), activation=jnp.tanh)
    >>> network(jnp.ones(64)).shape
    (16,)
    """

    convolutions: tuple[eqx.nn.Conv2d, ...]
    dense: MLP
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        channels: Sequence[int],
        hidden: Sequence[int],
        *,
        key: PRNGKey,
        activation: Activation,
    ):
        check_images(event_shape, channels)
        conv_key, dense_key = jax.random.split(key)
        keys = jax.random.split(conv_key, len(channels))
        pairs = zip([num_colors(event_shape), *channels[:-1]], channels, keys, strict=True)
        self.convolutions = tuple(
            eqx.nn.Conv2d(i, o, kernel_size=3, stride=2, padding=1, key=k) for i, o, k in pairs
        )
        sizes = [math.prod(_small_shape(event_shape, channels)), *hidden]
        self.dense = MLP(sizes, key=dense_key, activation=activation)
        self.event_shape = event_shape

    @property
    def num_features(self) -> int:
        """How many features an image has."""
        if self.dense.layers:
            return self.dense.layers[-1].bias.size
        return math.prod(
            _small_shape(self.event_shape, [c.out_channels for c in self.convolutions])
        )

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " h"]:
        """Features of the image."""
        height, width = self.event_shape[:2]
        x = jnp.moveaxis(x.reshape(height, width, -1), -1, 0)  # [C, H, W]
        for convolution in self.convolutions:
            x = self.dense.activation(convolution(x))
        return self.dense(x.reshape(-1))


class ConvDecoder(eqx.Module):
    """A vector through an `MLP`, then through all transposed convolutions but the last.

    A vector `[sizes[0]]` becomes feature maps `[channels[0], H / 2, W / 2]`. The last convolution
    is a `ConvOutput`, one for each parameter of the distribution over the image.

    Args:
        event_shape: `(H, W)` or `(H, W, C)`, sides multiples of 2 to the number of convolutions.
        channels: of each convolution, nearest to the data first, as in the encoder.
        sizes: of the latent vector and of the fully connected layers on it.
        key: a random key, consumed here.
        activation: a function by element, after every layer.

    Raises:
        InputError: no channels, or images that cannot be halved so often.

    >>> network = ConvDecoder((8, 8), (4, 8), (2, 16), key=jax.random.key(0), activation=jnp.tanh)
    >>> network(jnp.ones(2)).shape
    (4, 4, 4)
    """

    dense: MLP
    convolutions: tuple[eqx.nn.ConvTranspose2d, ...]
    small_shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        channels: Sequence[int],
        sizes: Sequence[int],
        *,
        key: PRNGKey,
        activation: Activation,
    ):
        check_images(event_shape, channels)
        conv_key, dense_key = jax.random.split(key)
        keys = jax.random.split(conv_key, len(channels))
        self.small_shape = _small_shape(event_shape, channels)
        wide = [*sizes, math.prod(self.small_shape)]
        self.dense = MLP(wide, key=dense_key, activation=activation)
        pairs = zip(channels[::-1], channels[-2::-1], keys, strict=False)
        self.convolutions = tuple(_twice_as_large(i, o, k) for i, o, k in pairs)

    def __call__(self, z: Float[Array, " z"]) -> Float[Array, "c h w"]:
        """Feature maps of half the image's size."""
        maps = self.dense(z).reshape(self.small_shape)
        for convolution in self.convolutions:
            maps = self.dense.activation(convolution(maps))
        return maps


class ConvOutput(eqx.Module):
    """Feature maps to one raveled image of twice their size, with a bias for each value.

    Maps `[num_maps, H / 2, W / 2]` become a vector `[H W]`, or `[H W C]` in color. The kernel is
    4 x 4.

    Args:
        event_shape: `(H, W)` or `(H, W, C)`, both sides even.
        num_maps: the first of the decoder's `channels`.
        key: a random key, consumed here.

    Raises:
        InputError: images that cannot be halved.

    >>> ConvOutput((8, 8), 4, key=jax.random.key(0))(jnp.ones((4, 4, 4))).shape
    (64,)
    """

    convolution: eqx.nn.ConvTranspose2d
    bias: Float[Array, " d"]

    def __init__(self, event_shape: tuple[int, ...], num_maps: int, *, key: PRNGKey):
        check_images(event_shape, (num_maps,))
        colors = num_colors(event_shape)
        self.convolution = _twice_as_large(num_maps, colors, key, use_bias=False)
        self.bias = jnp.zeros(math.prod(event_shape))

    def __call__(self, maps: Float[Array, "c h w"]) -> Float[Array, " d"]:
        """One number per pixel and color."""
        return jnp.moveaxis(self.convolution(maps), 0, -1).reshape(-1) + self.bias


def check_images(event_shape: tuple[int, ...], channels: Sequence[int]) -> None:
    """Refuse no channels, and data that convolutions of stride 2 cannot halve that often."""
    if not channels or min(channels) < 1:
        raise InputError(
            f"expected one or more convolutions, each of at least one channel; got {channels}."
        )
    factor = 2 ** len(channels)
    if len(event_shape) not in (2, 3) or any(side % factor for side in event_shape[:2]):
        raise InputError(
            "expected images [H, W], or [H, W, 3] in color, whose sides are multiples of "
            f"{factor} for {len(channels)} convolutions; got data of shape {event_shape}. Take "
            "fewer channels, or a fully connected model; colors come last."
        )


def num_colors(event_shape: tuple[int, ...]) -> int:
    """How many values a pixel has.

    >>> num_colors((28, 28)), num_colors((32, 32, 3))
    (1, 3)
    """
    return math.prod(event_shape[2:])


def _small_shape(event_shape: tuple[int, ...], channels: Sequence[int]) -> tuple[int, int, int]:
    height, width = (side // 2 ** len(channels) for side in event_shape[:2])
    return channels[-1], height, width


def _twice_as_large(num_in: int, num_out: int, key: PRNGKey, *, use_bias: bool = True):
    return eqx.nn.ConvTranspose2d(
        num_in, num_out, kernel_size=4, stride=2, padding=1, use_bias=use_bias, key=key
    )
