"""From a piece of an ink map to MNIST's format: 28×28, as the digits of MNIST were made.

Those were scaled, with antialiasing, until their longest side measured 20 pixels, then placed in
28×28 with their centre of mass at the centre (Y. LeCun, C. Cortes and C. Burges, The MNIST database
of handwritten digits, http://yann.lecun.com/exdb/mnist/). Their pens were all of a kind, so strokes
far finer or broader than theirs are brought nearer first.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import SIDE
from chiffres.data.image import BOX
from chiffres.reading.ink import CONTOUR, Floats
from chiffres.reading.picture import Pixels

DETAIL, MOST_DETAIL = 4, 12
"""A piece is worked on at 4 to 12 times the size that it will have in 28×28."""
FINEST, BROADEST = 1.9, 3.4
"""Strokes are widened to the first and narrowed to the second, in pixels of the 28×28 image.

In MNIST 80 % of the digits lie between 1.7 and 3.5, half of them between 2.0 and 2.9."""
NARROWED = 0.6
"""How far broad strokes are narrowed, of the way to ``BROADEST``: gaps widen, but so do faults."""

SOFT = 128
"""How many levels of an ink map, about ``CONTOUR``, become shades of grey, as in a blurred gap."""

NEARLY_PAPER = 48
"""In a picture that is in MNIST's format already, weaker pixels count as background."""


def normalize(piece: Pixels) -> Pixels:
    """Return the digit that a piece of an ink map shows, in MNIST's format.

    Args:
        piece: ``(height, width)`` uint8, ink from ``CONTOUR`` on, with some ink in it.

    Returns:
        ``(28, 28)`` uint8, 0 = background, 255 = ink.
    """
    return centred(_boxed(_with_mnist_strokes(_at_working_size(piece))))


def _at_working_size(piece: Pixels) -> Pixels:
    """Return the piece with its ink 80 to 240 pixels long, and a margin around it."""
    top, bottom, left, right = bounds(piece >= CONTOUR)
    longest = max(bottom - top, right - left)
    piece = padded(piece, 1)[top : bottom + 2, left : right + 2]
    wanted = min(max(longest, DETAIL * BOX), MOST_DETAIL * BOX)
    if longest > wanted:  # fine strokes would vanish when averaged with their surroundings
        reach = math.ceil(longest / wanted)
        piece = np.asarray(cv2.dilate(piece, np.ones((reach, reach), np.uint8)), np.uint8)
    if longest != wanted:
        way = cv2.INTER_AREA if longest > wanted else cv2.INTER_CUBIC
        height, width = (max(1, round(side * wanted / longest)) for side in piece.shape)
        piece = np.asarray(cv2.resize(piece, (width, height), interpolation=way), np.uint8)
    if piece.max() < CONTOUR:  # a line of a pixel's width
        piece = np.asarray(cv2.normalize(piece, None, 0, 255, cv2.NORM_MINMAX), np.uint8)
    return padded(piece, wanted // 8)


def padded(piece: Pixels, margin: int) -> Pixels:
    """Return the piece with paper around it, as ``np.pad`` does, in a tenth of the time."""
    top = bottom = left = right = margin
    around = cv2.copyMakeBorder(piece, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return np.asarray(around, np.uint8)


def _with_mnist_strokes(piece: Pixels) -> Floats:
    """Return the piece with strokes about as wide as those of MNIST, 0 = paper to 1 = ink."""
    inked = (piece >= CONTOUR).astype(np.uint8)
    inside = cv2.distanceTransform(inked, cv2.DIST_L2, 3)
    top, bottom, left, right = bounds(inked)
    unit = max(bottom - top, right - left) / BOX
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


def pen_width(piece: Pixels) -> float:
    """Return the mean width of the strokes of a piece of an ink map, in its pixels."""
    return stroke_width(cv2.distanceTransform((piece >= CONTOUR).view(np.uint8), cv2.DIST_L2, 3))


def usual_pen(ink: Pixels) -> float:
    """Return the mean width of the strokes on a whole ink map: their area by half their outline."""
    inked = (ink >= CONTOUR).view(np.uint8)
    outline = cv2.countNonZero(inked) - cv2.countNonZero(
        cv2.erode(inked, np.ones((3, 3), np.uint8))
    )
    return max(1.0, 2 * cv2.countNonZero(inked) / max(1, outline))


def _boxed(outline: Floats) -> Pixels:
    """Return the outline with a longest side of 20 pixels, as grey levels."""
    top, bottom, left, right = bounds(outline >= 0.5)
    outline = outline[top:bottom, left:right]
    height, width = (max(1, round(side * BOX / max(outline.shape))) for side in outline.shape)
    digit = cv2.resize(outline, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(255 * digit + 0.5, np.uint8)


def centred(digit: Pixels) -> Pixels:
    """Return the digit, at most 28 pixels long, in 28×28 with its centre of mass in the middle."""
    moments = cv2.moments(digit)
    height, width = digit.shape
    top, left = (
        min(max(0, SIDE // 2 - round(moments[moment] / moments["m00"])), SIDE - size)
        for moment, size in (("m01", height), ("m10", width))
    )
    placed = np.zeros((SIDE, SIDE), np.uint8)
    placed[top : top + height, left : left + width] = digit
    return placed


def bounds(inked: npt.NDArray[np.generic]) -> tuple[int, int, int, int]:
    """Return the first row, one past the last, the first column and one past the last with ink."""
    left, top, width, height = cv2.boundingRect(inked.astype(np.uint8))
    return top, top + height, left, left + width


def is_normalized(digit: Pixels) -> bool:
    """Whether a picture, light on dark, is in MNIST's format already."""
    if digit.shape != (SIDE, SIDE):
        return False
    inked = digit > NEARLY_PAPER
    top, bottom, left, right = bounds(inked)
    if abs(max(bottom - top, right - left) - BOX) > 2:
        return False
    moments = cv2.moments(np.where(inked, digit, 0))
    centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    return bool(np.abs(centre - SIDE // 2).max() < 1.5)
