"""Strips: the format in which digits that touch are read together, 28 pixels high.

A piece of ink is scaled until it is 24 pixels high, its strokes as broad as MNIST's; its width is
what it then is, and a margin. A network answers for every second column of a strip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chiffres.data.dataset import SIDE
from chiffres.data.strokes import Pixels, outlined, reduced

TALL = 24
"""The height of the ink, in pixels."""
MARGIN = 4
"""The columns of background before the ink, and behind it."""
STEP = 2
"""Columns for each answer."""


def as_strip(piece: Pixels) -> Pixels:
    """Return a piece of an ink map as a strip.

    Args:
        piece: ``(height, width)`` uint8, ink from ``strokes.CONTOUR`` on, with some ink in it.

    Returns:
        ``(28, width)`` uint8, 0 = background, 255 = ink.
    """
    outline = outlined(piece, TALL, upright=True)
    width = max(1, round(outline.shape[1] * TALL / outline.shape[0]))
    strip = np.zeros((SIDE, width + 2 * MARGIN), np.uint8)
    above = (SIDE - TALL) // 2
    strip[above : above + TALL, MARGIN : MARGIN + width] = reduced(outline, TALL, width)
    return strip


def stacked(strips: Sequence[Pixels]) -> Pixels:
    """Return strips as one array, ``(n, 28, width)`` uint8, all as wide as the widest."""
    answers = max(answers_for(strip) for strip in strips)
    images = np.zeros((len(strips), SIDE, STEP * answers), np.uint8)
    for image, strip in zip(images, strips, strict=True):
        image[:, : strip.shape[1]] = strip
    return images


def answers_for(strip: Pixels) -> int:
    """Return how many answers a network gives for a strip."""
    return math.ceil(int(strip.shape[1]) / STEP)
