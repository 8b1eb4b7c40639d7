"""From an image file of one digit to MNIST's format.

MNIST's digits were made so: the digit scaled, with antialiasing, until its longest side measures
20 pixels, then placed in 28×28 with its centre of mass at the centre (Y. LeCun, C. Cortes and
C. Burges, The MNIST database of handwritten digits, http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from chiffres.data.dataset import SIDE
from chiffres.errors import ImageError

MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 100_000_000
BOX = 20
"""The longest side of a digit inside the 28×28 image, in pixels."""
MIN_CONTRAST = 24
"""Grey levels (of 255) between paper and ink under which an image counts as empty."""


def read_digit(path: Path) -> np.ndarray:
    """Return the digit in the image file at ``path``, ``(28, 28)`` uint8, 0 = background.

    An image of 28×28 is taken as it is, inverted where its border is light; any other is
    brought to MNIST's format.

    Raises:
        ImageError: missing, too large, not an image, or without any digit.
    """
    grey = read_grey(path)
    try:
        strokes = ink(grey)
        if grey.shape == (SIDE, SIDE):
            return 255 - grey if _border(grey) > 127 else grey
        return normalize(strokes)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def read_grey(path: Path) -> np.ndarray:
    """Return the image file at ``path`` as grey levels, ``(height, width)`` uint8, upright.

    Transparent pixels count as white paper; of an animation the first frame is taken.

    Raises:
        ImageError: missing, over 64 MiB or 100 megapixels (checked before decoding), or not an
            image.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ImageError(f"{path}: {size:,} bytes, over the limit of {MAX_FILE_BYTES:,}")
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            path.open("rb") as file,  # by its name, Pillow would map it, and garble turned TIFFs
            Image.open(file) as image,
        ):
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"{path}: {image.width}×{image.height} pixels, over the limit of {MAX_PIXELS:,}"
                )
            return _to_grey(image)
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: over the limit of {MAX_PIXELS:,} pixels") from error
    except (OSError, SyntaxError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path}: cannot be read: {reason}") from error


def _to_grey(image: Image.Image) -> np.ndarray:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):  # 16 bits and more: Pillow would clip at 255
        levels = np.asarray(upright, np.float64)
        levels = np.where(np.isfinite(levels), levels, 0)
        full = 65535.0 if levels.max() > 255 else 255.0
        return np.clip(levels * (255.0 / full), 0, 255).astype(np.uint8)
    if upright.has_transparency_data:
        opaque = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)
    return np.asarray(upright.convert("L"))


def _border(grey: np.ndarray) -> float:
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def ink(grey: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from the paper, ``(height, width)`` float64, 0 to 1.

    The paper is the median of the border; what differs from it less than half as much as the
    strongest pixels do is antialiasing or noise, and fades to 0.

    Raises:
        ImageError: the image is all of one shade.
    """
    distance = np.abs(grey.astype(np.float64) - _border(grey))
    strongest = float(np.percentile(distance, 99.5)) if distance.size > 400 else distance.max()
    strongest = max(strongest, 0.5 * float(distance.max()))
    if strongest < MIN_CONTRAST:
        raise ImageError("shows no digit: nothing in it is darker or lighter than its border")
    return np.clip((distance / strongest - 0.25) / 0.5, 0, 1)


def normalize(strokes: np.ndarray) -> np.ndarray:
    """Return the digit drawn by ``strokes`` in MNIST's format, ``(28, 28)`` uint8.

    Args:
        strokes: ``(height, width)`` float, 0 = paper, 1 = ink, with some ink in it.
    """
    rows, columns = (np.flatnonzero(strokes.max(axis=axis) > 0.5) for axis in (1, 0))
    cropped = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(cropped.shape)
    height, width = (max(1, round(size * scale)) for size in cropped.shape)
    shrunk = Image.fromarray(cropped.astype(np.float32)).resize(
        (width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    )
    digit = np.clip(np.asarray(shrunk), 0, 1)
    top, left = (
        int(np.clip(round(SIDE / 2 - centre), 0, SIDE - size))
        for centre, size in zip(_centre_of_mass(digit), digit.shape, strict=True)
    )
    placed = np.zeros((SIDE, SIDE))
    placed[top : top + height, left : left + width] = digit
    return np.asarray(np.round(placed * (255 / placed.max())), np.uint8)


def _centre_of_mass(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    mass = image.sum()
    return float((rows * image).sum() / mass), float((columns * image).sum() / mass)
