"""Loading a picture: from a file, bytes, a Pillow image or an array to upright pixels.

A large picture is reduced while it is decoded, where its format can, or else right after: digits
that a person can read survive it, and all later stages take time by the pixel.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from chiffres.data.image import MAX_PIXELS, eight_bits, on_paper, open_image
from chiffres.errors import ImageError
from chiffres.reading.blocks import without_blocks

Pixels = npt.NDArray[np.uint8]
AnyPicture: TypeAlias = "str | Path | bytes | Image.Image | npt.NDArray[np.generic]"

EXIF_ORIENTATION = 0x0112
TURNED: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(pixels[::-1, ::-1], 0, 1),
    8: np.rot90,
}
"""How to turn a picture upright, for each EXIF orientation but 1."""
CHANNELS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
MOST_PIXELS = 3_200_000
"""A larger picture is reduced to this many pixels, about 2,000 × 1,500."""


@dataclass(frozen=True)
class Picture:
    """A picture, upright.

    Attributes:
        pixels: ``(height, width)`` or ``(height, width, 3)`` RGB uint8, maybe reduced; where it was
            enlarged without smoothing, as it was before.
        width: of the whole picture, upright, in pixels before it was reduced.
        height: likewise.
    """

    pixels: Pixels
    width: int
    height: int

    @property
    def scale(self) -> tuple[float, float]:
        """How many pixels of the whole picture one of ``pixels`` stands for, in x and y."""
        return self.width / self.pixels.shape[1], self.height / self.pixels.shape[0]


def load(picture: AnyPicture) -> Picture:
    """Load a picture.

    Args:
        picture: a path, the bytes of an image file, a Pillow image, or an array: uint8, uint16,
            bool or float (0 to 1, or to 255), ``(height, width)`` or ``(height, width, channels)``
            with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels.

    Returns:
        The first frame, turned as its EXIF data say, transparent pixels as paper.

    Raises:
        ImageError: missing, over 64 MiB or 100 megapixels (checked before decoding), no image, of
            a format without a decoder, damaged, or an array that is no picture.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        _check_pixels(picture.width, picture.height)
        return _from_pillow(picture)
    source = bytes(picture) if isinstance(picture, bytes | bytearray) else Path(picture)
    with open_image(source) as image:
        return _from_pillow(image)


def _from_pillow(image: Image.Image) -> Picture:
    width, height = image.size
    across, down = reduced_size(width, height)
    # a JPEG is decoded at 1/2, 1/4 or 1/8, but not below this size; others ignore it
    image.draft(image.mode, (max(1, 3 * across // 4), max(1, 3 * down // 4)))
    picture = _reduced(_grey_or_rgb(image), width, height)
    # asked once the pixels are there: Pillow itself turns a TIFF then, and forgets that it had to
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    if orientation not in TURNED:
        return picture
    pixels = np.ascontiguousarray(TURNED[orientation](picture.pixels))
    return Picture(pixels, *((height, width) if orientation > 4 else (width, height)))


def _grey_or_rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith(("I", "F")):
        return eight_bits(np.asarray(image))
    opaque = on_paper(image)
    mode = "L" if opaque.mode in ("1", "L", "LA") else "RGB"
    return np.asarray(opaque if opaque.mode == mode else opaque.convert(mode))


def _from_array(array: npt.NDArray[np.generic]) -> Picture:
    """Return the array as a picture, by way of Pillow where it has transparent pixels."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in CHANNELS or array.dtype.kind not in "buf":
        raise ImageError(
            f"an array {array.shape} of {array.dtype} is no picture; expected (height, width) or "
            "(height, width, 1 to 4) of uint8, uint16, bool or float"
        )
    height, width = array.shape[:2]
    _check_pixels(width, height)
    pixels = np.ascontiguousarray(eight_bits(array))
    if channels in (2, 4):
        return _from_pillow(Image.fromarray(pixels, CHANNELS[channels]))
    return _reduced(
        pixels.reshape(array.shape[:2] if channels == 1 else array.shape), width, height
    )


def _check_pixels(width: int, height: int) -> None:
    if width * height == 0:
        raise ImageError(f"the picture is empty: {width}×{height} pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"the picture has {width}×{height} pixels, over the limit of {MAX_PIXELS:,}"
        )


def reduced_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height, in pixels, that a picture is reduced to where it is larger."""
    factor = min(1.0, math.sqrt(MOST_PIXELS / (width * height)))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _reduced(pixels: Pixels, width: int, height: int) -> Picture:
    pixels = without_blocks(pixels)
    size = reduced_size(pixels.shape[1], pixels.shape[0])
    if pixels.shape[0] * pixels.shape[1] > MOST_PIXELS:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Picture(pixels, width, height)


def hush_pillow() -> None:
    """Keep Pillow from telling what is odd in a file, whether it can be read or not."""
    warnings.filterwarnings("ignore", module="PIL")
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    logging.getLogger("PIL").propagate = False
