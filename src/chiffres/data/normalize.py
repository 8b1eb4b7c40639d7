"""From a piece of an ink map to MNIST's format: 28×28, as the digits of MNIST were made.

Those were scaled, with antialiasing, until their longest side measured 20 pixels, then placed in
28×28 with their centre of mass at the centre (Y. LeCun, C. Cortes and C. Burges, The MNIST database
of handwritten digits, http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import cv2
import numpy as np

from chiffres.data.dataset import SIDE
from chiffres.data.image import BOX
from chiffres.data.strokes import CONTOUR, Pixels, bounds, outlined, reduced, stroke_width

NEARLY_PAPER = 48
"""In a picture that is in MNIST's format already, weaker pixels count as background."""


def normalize(piece: Pixels) -> Pixels:
    """Return the digit that a piece of an ink map shows, in MNIST's format.

    Args:
        piece: ``(height, width)`` uint8, ink from ``CONTOUR`` on, with some ink in it.

    Returns:
        ``(28, 28)`` uint8, 0 = background, 255 = ink.
    """
    outline = outlined(piece, BOX)
    height, width = (max(1, round(side * BOX / max(outline.shape))) for side in outline.shape)
    return centred(reduced(outline, height, width))


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
