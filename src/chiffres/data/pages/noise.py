"""Randomness over a sheet: slow changes of shade, fine grain, blots; float32, any size."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Sheet = npt.NDArray[np.float32]
"""``(height, width)`` or ``(height, width, 3)`` float32; shades and colours (RGB) from 0 to 1."""
Size = tuple[int, int]
"""Height and width, in pixels."""

LARGEST_COARSE = 256
"""The side of the noise that slow changes are enlarged from, at most."""


def slow(rng: np.random.Generator, size: Size, cells: float) -> Sheet:
    """Return values about 0, about 1 large, that change over a ``cells``-th of the longer side."""
    height, width = size
    longer = max(size)
    rows, columns = (
        int(np.clip(np.ceil(cells * side / longer), 2, LARGEST_COARSE)) for side in size
    )
    coarse = rng.standard_normal((rows + 1, columns + 1), np.float32)
    return np.asarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
    )


def grain(rng: np.random.Generator, size: Size, coarseness: float) -> Sheet:
    """Return values about 0, of deviation 1, that change over ``coarseness`` pixels."""
    height, width = size
    small = (int(height / coarseness) + 2, int(width / coarseness) + 2) if coarseness > 1 else size
    noise = rng.standard_normal(small, np.float32)
    if small == size:
        return noise
    noise = np.asarray(
        cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
    )
    return noise / np.float32(max(float(noise.std()), 1e-6))


def fractal(rng: np.random.Generator, size: Size, cells: float, octaves: int) -> Sheet:
    """Return a sum of ``slow`` noises, each twice as fine and half as strong as the one before."""
    layers = [slow(rng, size, cells * 2**octave) * 0.5**octave for octave in range(octaves)]
    return np.asarray(np.sum(layers, axis=0), np.float32)


def blot(rng: np.random.Generator, side: int, roughness: float = 0.35) -> Sheet:
    """Return a blot with an uneven edge, ``(side, side)``: about 1 inside, 0 outside."""
    rows, columns = (np.indices((side, side), np.float32) / max(1, side - 1) - 0.5) * 2
    height = 0.7 - np.hypot(rows, columns * rng.uniform(0.8, 1.3))
    height += roughness * 0.4 * fractal(rng, (side, side), 3, 3)
    return np.asarray(np.clip(height * side / 6, 0, 1), np.float32)


def colour(*levels: float) -> Sheet:
    """Return a colour, its red, green and blue given from 0 to 255."""
    return np.asarray(np.divide(levels, 255), np.float32)


def luminance(colours: Sheet) -> Sheet:
    """Return how light colours look, as JPEG and Pillow weigh them."""
    return np.asarray(colours @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def blend(sheet: Sheet, share: Sheet, shade: Sheet) -> None:
    """Cover the sheet, ``(height, width, 3)``, in place: by ``share``, ``(height, width)``."""
    sheet += share[..., None] * (shade - sheet)
