"""Read a folder of images, in colour or as grey levels."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from elbax._errors import DataError
from elbax._reading import DAMAGED, UnreadableError, check_size, read_bytes
from elbax.data.checks import warn
from elbax.data.readers import unreadable

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".tif", ".tiff", ".webp")
MAX_PIXELS = 2**26  # of an image

# What PIL may decode: a file that is named so and is PostScript would start a program.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")


def read_image_folder(folder: Path, colour: bool | None = None) -> np.ndarray:
    """Read all images of a folder, sorted by name; of a stack or animation, every frame.

    They are in colour if any of them is: an image whose channels are equal everywhere is grey,
    however it is stored. Transparent pixels are taken for white paper, in every kind of image. A
    note says how many images have some, and how many are grey among others in colour.

    Args:
        folder: where they are.
        colour: take all of them in colour, or all as grey levels; by what they are if omitted.

    Returns:
        `[N, H, W]` uint8, or `[N, H, W, 3]` in colour.

    Raises:
        DataError: no image, a broken one, or two sizes.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DataError(
            f"{folder}: expected images ({', '.join(IMAGE_SUFFIXES)}) directly in the folder; "
            "got none."
        )
    frames = [(path, *frame) for path in paths for frame in _read_frames(path, colour is False)]
    first_path, first, _ = frames[0]
    for path, image, _ in frames:
        if image.shape[:2] != first.shape[:2]:
            raise DataError(
                f"{path}: expected height and width {list(first.shape[:2])}, as {first_path.name} "
                f"has; got {list(image.shape[:2])}. Bring all images to one size."
            )
    if clear := sum(is_clear for _, _, is_clear in frames):
        warn(
            f"{folder}: {clear} of {len(frames)} images have transparent pixels, which are taken "
            "for white paper. Flatten the images first if another color lies behind them."
        )
    return _stacked(folder, [(path, image) for path, image, _ in frames], colour)


def _stacked(
    folder: Path, frames: list[tuple[Path, np.ndarray]], colour: bool | None
) -> np.ndarray:
    """All images as grey or, where one is in colour or all are to be, in colour."""
    coloured = [path for path, image in frames if image.ndim == 3]
    num_grey = len(frames) - len(coloured)
    if not (coloured or colour):
        return np.stack([image for _, image in frames])
    if coloured and num_grey and colour is None:
        warn(
            f"{folder}: {num_grey} of {len(frames)} images are grey and are read in colour too, as "
            f"{coloured[0].name} is. Say colour=False (--colour no) to read all as grey levels."
        )
    stack = np.empty((len(frames), *frames[0][1].shape[:2], 3), np.uint8)
    for place, (_, image) in enumerate(frames):
        stack[place] = image if image.ndim == 3 else image[..., None]
    return stack


def _read_frames(path: Path, as_grey: bool) -> list[tuple[np.ndarray, bool]]:
    """Every frame of an image, with whether it has transparent pixels."""
    from PIL import Image, ImageSequence

    try:
        with Image.open(io.BytesIO(read_bytes(path)), formats=_FORMATS) as image:
            check_size("a frame", image.width * image.height, MAX_PIXELS)
            if image.format == "MPO":  # a camera's JPEG, with previews of itself behind it
                return [_flatten(image, as_grey)]
            return [_flatten(frame, as_grey) for frame in ImageSequence.Iterator(image)]
    except (*DAMAGED, UnreadableError, Image.DecompressionBombError) as error:
        raise unreadable(path, "an image", error) from error


def _flatten(image: Any, as_grey: bool) -> tuple[np.ndarray, bool]:
    """One frame on white paper, `[H, W]` if it is grey, and whether any paper shows through."""
    from PIL import Image

    if image.mode[0] in "IF":  # 16 or 32 bits per pixel: PIL would clip, not scale
        raise ValueError(f"its pixel mode is {image.mode}; save it with 8 bits per channel")
    is_clear = False
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        is_clear = layered.getextrema()[3][0] < 255
        paper = Image.new("RGBA", layered.size, "white")
        image = Image.alpha_composite(paper, layered)
    if as_grey or image.mode in ("1", "L"):
        return np.asarray(image.convert("L")), is_clear
    pixels = np.asarray(image.convert("RGB"))
    is_grey = (pixels == pixels[..., :1]).all()
    return (pixels[..., 0] if is_grey else pixels), is_clear
