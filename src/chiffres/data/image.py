"""From an image file of one digit to MNIST's format.

MNIST's digits were made so: the digit scaled, with antialiasing, until its longest side measures
20 pixels, then placed in 28×28 with its centre of mass at the centre (Y. LeCun, C. Cortes and
C. Burges, The MNIST database of handwritten digits, http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from chiffres.data.dataset import SIDE
from chiffres.errors import ImageError

MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 100_000_000
RUNS_PROGRAMS = frozenset({"EPS"})
"""Formats that Pillow hands to a program of the system, Ghostscript."""
SIGNATURES = {
    "HEIC": rb"^....ftyp(hei|hev|mif|msf)",
    "SVG": rb"(?i)<svg\b",
    "PDF": rb"^%PDF-",
}
"""Formats that people have pictures in and Pillow has no decoder for, by their first bytes."""
_FILTERS = threading.Lock()
"""Held while the filters of warnings are changed, which are the whole process's."""
LIGHT = 160
"""The mean grey level above which what shows of a transparent image is light ink."""
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

    Transparent pixels count as paper; of an animation the first frame is taken.

    Raises:
        ImageError: missing, over 64 MiB or 100 megapixels (checked before decoding), or not an
            image.
    """
    with open_image(path) as image:
        return grey_levels(ImageOps.exif_transpose(image))


@contextmanager
def open_image(source: Path | bytes, name: str = "") -> Iterator[Image.Image]:
    """Yield the image in a file, or in a file's bytes, for the block to decode.

    Whatever goes wrong with it, here or in the block, is raised as an ImageError that begins with
    the path, or with ``name`` where there is none.

    Raises:
        ImageError: missing, over 64 MiB or 100 megapixels (checked before decoding), not an image,
            of a format without a decoder here, or damaged.
    """
    name = name or (str(source) if isinstance(source, Path) else "the picture")
    try:
        with _opened(source) as file:
            _check_size(
                os.fstat(file.fileno()).st_size if isinstance(source, Path) else len(source)
            )
            with _identified(file) as image:
                _check_image(image)
                yield image
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {_why_unknown(source)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: over the limit of {MAX_PIXELS:,} pixels") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: cannot be read: it is a folder") from error
    except Exception as error:  # what Pillow raises on damage has no common base
        reason = getattr(error, "strerror", None) or str(error).strip() or repr(error)
        raise ImageError(f"{name}: cannot be read: {reason.splitlines()[0][:200]}") from error


def _opened(source: Path | bytes) -> IO[bytes]:
    """Open the source: a path by ourselves, for Pillow would map it, and garble turned TIFFs."""
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _identified(file: IO[bytes]) -> Image.Image:
    """Open the image without Pillow's warning about its size, which is ours to check."""
    with (
        _FILTERS,
        warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
    ):
        return Image.open(file)


def _check_size(size: int) -> None:
    if size == 0:
        raise ImageError("empty: a file of 0 bytes")
    if size > MAX_FILE_BYTES:
        raise ImageError(f"{size:,} bytes, over the limit of {MAX_FILE_BYTES:,}")


def _check_image(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{image.width}×{image.height} pixels, over the limit of {MAX_PIXELS:,}")
    if image.format in RUNS_PROGRAMS:
        raise ImageError(f"{image.format} is a program that draws; save it as PNG or JPEG first")


def _why_unknown(source: Path | bytes) -> str:
    """Say what to do about a file that Pillow does not know, by its first bytes."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(512)
    else:
        head = source[:512]
    for what, signature in SIGNATURES.items():
        if re.search(signature, head):
            return f"{what} cannot be decoded here; save it as PNG or JPEG first"
    return "not an image of a known format"


def grey_levels(image: Image.Image) -> np.ndarray:
    """Return the image as grey levels, ``(height, width)`` uint8, on paper where transparent."""
    if image.mode.startswith(("I", "F")):
        return eight_bits(np.asarray(image))
    return np.asarray(on_paper(image).convert("L"))


def eight_bits(levels: np.ndarray) -> np.ndarray:
    """Return levels of any depth as uint8, 0 to 255; what is not finite becomes 0.

    The full range is taken to be 0 to 1 for floats up to 1, else the next of 8, 10, 12, 14 and 16
    bits: cameras store 12 bits in 16, and Pillow would clip at 255.
    """
    if levels.dtype == np.uint8:
        return levels
    if levels.dtype == bool:
        return levels.astype(np.uint8) * np.uint8(255)
    finite = levels
    if levels.dtype.kind == "f":
        finite = np.where(np.isfinite(levels), levels, np.zeros((), levels.dtype))
    highest = float(finite.max(initial=0))
    if highest <= 1 and levels.dtype.kind == "f":
        full = 1.0
    else:
        full = next((2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if highest < 2**bits), highest)
    scaled = finite * np.float32(255 / full) + np.float32(0.5)
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def on_paper(image: Image.Image) -> Image.Image:
    """Return the image without transparency: on white, or on black where what shows is light."""
    if not image.has_transparency_data:
        return image
    opaque = image.convert("RGBA")
    alpha, grey = np.asarray(opaque.getchannel("A")), np.asarray(opaque.convert("L"))
    seen = grey[alpha > 127]
    light_ink = 0 < seen.size < 0.9 * grey.size and np.mean(seen) > LIGHT
    paper = Image.new("RGBA", opaque.size, "black" if light_ink else "white")
    return Image.alpha_composite(paper, opaque).convert("RGB")


def frame(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels along the four sides of ``(height, width)``, the corners twice."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def _border(grey: np.ndarray) -> float:
    return float(np.median(frame(grey)))


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
