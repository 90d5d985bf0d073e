"""Measures and helpers for data that are images: SSIM, and contact sheets for figures."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from elbax._errors import InputError

WINDOW = 11  # pixels, of the Gaussian window of Wang et al.
SIGMA = 1.5  # pixels


def are_images(event_shape: Sequence[int]) -> bool:
    """Whether data of this shape are images: `[H, W]`, or `[H, W, 3]` in colour.

    >>> are_images((28, 28)), are_images((28, 28, 3)), are_images((28, 28, 2)), are_images((5,))
    (True, True, False, False)
    """
    return len(event_shape) == 2 or (len(event_shape) == 3 and event_shape[2] == 3)


def ssim(originals: ArrayLike, reconstructions: ArrayLike) -> Float[Array, " n"]:
    """Structural similarity of each image with its reconstruction, 1 where they are equal.

    Averages, over all windows that lie inside the image,

        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))

    with means m and (co)variances s under a Gaussian window of 11 pixels and sigma 1.5,
    c1 = 0.01^2, c2 = 0.03^2. An image with a side below 11 pixels takes the largest odd window
    that fits, with the same sigma: 7 for the 8 x 8 digits. Values under different windows should
    not be compared.

    Of images in colour it is the mean over the channels.

    Args:
        originals: `[N, H, W]` or `[N, H, W, 3]` levels in [0, 1], floating point.
        reconstructions: the same.

    Returns:
        `[N]` one number per pair, at most 1; NaN where an image holds NaN.

    Raises:
        InputError: if the shapes differ or are not those above, or the levels are integers.

    References:
        Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, Image quality assessment: from error
        visibility to structural similarity, 2004, Eq. 13.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((2, 28, 28), dtype=np.float32)
    >>> ssim(x, x).round(3).tolist()
    [1.0, 1.0]
    """
    x, y = jnp.asarray(originals), jnp.asarray(reconstructions)
    if not are_images(x.shape[1:]) or x.shape != y.shape or min(x.shape) < 1:
        raise InputError(
            "expected originals and reconstructions of the same shape [N, H, W] or [N, H, W, 3]; "
            f"got {list(x.shape)} and {list(y.shape)}. Drop a channel axis of size 1 first."
        )
    for name, image in (("originals", x), ("reconstructions", y)):
        if not jnp.issubdtype(image.dtype, jnp.floating):
            raise InputError(
                f"expected {name} as floats in [0, 1]; got {image.dtype}. Divide by 255 first."
            )
    x, y = (image.astype(jnp.float32).reshape(*image.shape[:3], -1) for image in (x, y))
    return _ssim(x, y)


@jax.jit
def _ssim(x: Float[Array, " n h w c"], y: Float[Array, " n h w c"]) -> Float[Array, " n"]:
    import dm_pix  # here, because only this function needs it and it brings chex along

    fits = min(WINDOW, *x.shape[1:3])
    window = fits if fits % 2 else fits - 1
    similarity = dm_pix.ssim(x, y, max_val=1.0, filter_size=window, filter_sigma=SIGMA)
    return jnp.asarray(similarity)


def image_grid(
    images: Shaped[np.ndarray, " n h w *c"], columns: int, *, fill: float = 0.5
) -> Shaped[np.ndarray, " rows cols *c"]:
    """One picture of many, row by row, with 1 pixel between neighbours and none outside.

    Args:
        images: `[N, H, W]` grey levels, or `[N, H, W, 3]` colours.
        columns: how many images stand side by side; the last row may be partly empty.
        fill: the level between images and in empty places; NaN draws as transparent.

    Returns:
        `[rows (H + 1) - 1, columns (W + 1) - 1]`, with a last axis as that of `images` if they
        have colours, of the type of `images`.

    Raises:
        InputError: if there is no image, or `columns` is below 1.

    >>> import numpy as np
    >>> image_grid(np.ones((3, 8, 8), dtype=np.float32), columns=2).shape
    (17, 17)
    """
    num_images, height, width, *channels = images.shape
    if num_images < 1 or columns < 1:
        raise InputError(
            f"expected at least one image and one column; got {num_images} images "
            f"and columns={columns}."
        )
    rows = -(-num_images // columns)
    # [rows, columns, H + 1, W + 1]: each image with its padding below and to the right.
    cells = np.full((rows * columns, height + 1, width + 1, *channels), fill, dtype=images.dtype)
    cells[:num_images, :height, :width] = images
    cells = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    return cells.reshape(rows * (height + 1), columns * (width + 1), *channels)[:-1, :-1]
