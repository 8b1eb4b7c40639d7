"""Dilation and erosion by large rectangles: what OpenCV's give, in a time that grows with the root.

The maximum over a long line is that over points of it of the maximum over a short line about each.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from chiffres.reading.picture import Pixels

LARGE = 60
"""Shorter sides than this are left to OpenCV, in pixels."""


def dilated(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the maximum over a rectangle about each pixel, without what lies past the border.

    Args:
        pixels: ``(rows, columns)`` uint8.
        height: of the rectangle, odd.
        width: likewise.
    """
    return _over(cv2.dilate, pixels, height, width)


def eroded(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the minimum likewise."""
    return _over(cv2.erode, pixels, height, width)


def closed(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the picture without what is darker and has no room for the rectangle."""
    return eroded(dilated(pixels, height, width), height, width)


def _over(operation: Callable[..., Any], pixels: Pixels, height: int, width: int) -> Pixels:
    for line in _lines(width):
        pixels = operation(pixels, line[None])
    for line in _lines(height):
        pixels = operation(pixels, line[:, None])
    return pixels


@functools.lru_cache(maxsize=64)
def _lines(size: int) -> list[Pixels]:
    """Return the kernels, ``(odd,)`` of 0 and 1, that one after the other are a line of ``size``.

    The points are no further from each other than the short line reaches to one side, so that at
    the border those inside the picture reach everything that is in it.
    """
    if size < LARGE:
        return [np.ones(size, np.uint8)]
    half = round(math.sqrt(size / 2))
    last = size // 2 - half
    beside = np.minimum(np.arange(0, last + half + 1, half + 1), last)
    points = np.zeros(2 * last + 1, np.uint8)
    points[[*(last - beside), *(last + beside)]] = 1
    return [np.ones(2 * half + 1, np.uint8), points]
