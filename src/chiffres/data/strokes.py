"""Pieces of ink brought to a size and to the strokes of MNIST's pens, before they are reduced.

MNIST's pens were all of a kind, so strokes far finer or broader than theirs are brought nearer.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

CONTOUR = 128
"""The level of an ink map at which ink begins."""
DETAIL, MOST_DETAIL = 4, 12
"""A piece is worked on at 4 to 12 times the size that it will have in the end."""
FINEST, BROADEST = 1.9, 3.4
"""Strokes are widened to the first and narrowed to the second, in pixels of the end.

In MNIST 80 % of the digits lie between 1.7 and 3.5, half of them between 2.0 and 2.9."""
NARROWED = 0.6
"""How far broad strokes are narrowed, of the way to ``BROADEST``: gaps widen, but so do faults."""
SOFT = 128
"""How many levels of an ink map, about ``CONTOUR``, become shades of grey, as in a blurred gap."""


def outlined(piece: Pixels, size: int, upright: bool = False) -> Floats:
    """Return a piece of an ink map with MNIST's strokes, cropped, larger than it will be.

    Args:
        piece: ``(height, width)`` uint8, ink from ``CONTOUR`` on, with some ink in it.
        size: how long its longest side will be, in pixels.
        upright: whether its height, not its longest side, will be so long.

    Returns:
        ``(height, width)`` float32, 0 = paper to 1 = ink, four times as large or more.
    """
    outline = _with_mnist_strokes(_at_working_size(piece, size, upright), size, upright)
    top, bottom, left, right = bounds(outline >= 0.5)
    return outline[top:bottom, left:right]


def reduced(outline: Floats, height: int, width: int) -> Pixels:
    """Return an outline at its size in the end, ``(height, width)`` uint8, 255 = ink."""
    small = cv2.resize(outline, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(255 * small + 0.5, np.uint8)


def _at_working_size(piece: Pixels, size: int, upright: bool) -> Pixels:
    """Return the piece 4 to 12 times as large as it will be, and a margin around it."""
    inked = bounds(piece >= CONTOUR)
    top, bottom, left, right = inked
    length = _length(inked, upright)
    piece = padded(piece, 1)[top : bottom + 2, left : right + 2]
    wanted = min(max(length, DETAIL * size), MOST_DETAIL * size)
    if length > wanted:  # fine strokes would vanish when averaged with their surroundings
        reach = math.ceil(length / wanted)
        piece = np.asarray(cv2.dilate(piece, np.ones((reach, reach), np.uint8)), np.uint8)
    if length != wanted:
        way = cv2.INTER_AREA if length > wanted else cv2.INTER_CUBIC
        height, width = (max(1, round(side * wanted / length)) for side in piece.shape)
        piece = np.asarray(cv2.resize(piece, (width, height), interpolation=way), np.uint8)
    if piece.max() < CONTOUR:  # a line of a pixel's width
        piece = np.asarray(cv2.normalize(piece, None, 0, 255, cv2.NORM_MINMAX), np.uint8)
    return padded(piece, wanted // 8)


def _length(box: tuple[int, int, int, int], upright: bool) -> int:
    top, bottom, left, right = box
    return bottom - top if upright else max(bottom - top, right - left)


def _with_mnist_strokes(piece: Pixels, size: int, upright: bool) -> Floats:
    """Return the piece with strokes about as wide as those of MNIST, 0 = paper to 1 = ink."""
    inked = (piece >= CONTOUR).astype(np.uint8)
    inside = cv2.distanceTransform(inked, cv2.DIST_L2, 3)
    unit = _length(bounds(inked), upright) / size
    width = stroke_width(inside) / unit
    if width < FINEST:
        wider = (FINEST - width) / 2 * unit
        outside = cv2.distanceTransform(1 - inked, cv2.DIST_L2, 3)
        return np.asarray(np.clip(wider + 1 - outside, 0, 1))
    if width > BROADEST:
        narrower = min(NARROWED * (width - BROADEST) / 2 * unit, float(inside.max()) - 1)
        return np.asarray(np.clip(inside - narrower, 0, 1))
    return np.clip((piece.astype(np.float32) - CONTOUR) / SOFT + 0.5, 0, 1)


def stroke_width(inside: Floats) -> float:
    """Return the mean width of strokes from the distances of their pixels to the paper.

    Over a stroke of width w the mean of that distance is w / 4, and half a pixel for its raster.
    """
    inked = cv2.countNonZero(inside)
    return max(1.0, 4 * (cv2.sumElems(inside)[0] / inked - 0.5)) if inked else 1.0


def padded(piece: Pixels, margin: int) -> Pixels:
    """Return the piece with paper around it, as ``np.pad`` does, in a tenth of the time."""
    top = bottom = left = right = margin
    around = cv2.copyMakeBorder(piece, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return np.asarray(around, np.uint8)


def bounds(inked: npt.NDArray[np.generic]) -> tuple[int, int, int, int]:
    """Return the first row, one past the last, the first column and one past the last with ink."""
    left, top, width, height = cv2.boundingRect(inked.astype(np.uint8))
    return top, top + height, left, left + width
