"""What is around a find: paper, if it is writing, and not the edge of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chiffres.data.strokes import CONTOUR
from chiffres.reading.ink import Ink
from chiffres.reading.lattice import Found
from chiffres.reading.page import STICK, Page
from chiffres.reading.usual import Accept
from chiffres.reading.words import ALONE, LONG_NUMBER

CROWDED = 0.19
"""Where so much of what is around the digits, as far as they are high, is ink, they are details of
a photograph: of lines of digits it is a sixth at most."""
OFF_CENTRE = 0.2
"""What touches the edge and has its middle so far from that of the picture, as a share of its
sides, is what is around the writing."""
MOST_SIDES = 3
"""What touches so many sides of a picture is around the paper."""
BROADEST_AT_EDGE = 0.12
"""What touches the edge is a shadow where its strokes are broader than this share of the picture's
longer side."""
CUT_OUT = 400
"""A picture whose longer side is no more pixels may be a digit that was cut out."""
ABOVE_NOISE = 4.5
"""How many standard deviations of the paper's noise stronger than paper a digit is."""
LEAST_SHARP, LEAST_SHARP_BESIDE = 0.85, 0.75
"""The edges of writing have this share of its contrast, at least; among sharp ones, the second."""
OUT = 0.25
"""Digits are this share of their contrast from what is around them, at least, most of a line."""
AROUND, LEAST_AROUND, SAMPLE = 0.35, 3, 5000
"""What is around a find is so near, as a share of its longer side, at least so many pixels; about
so many are looked at."""


def of_ink(line: Sequence[Found], page: Page) -> list[Found]:
    """Return what of a line is ink; where nearly all finds are sharp, the others may be less so."""
    sharp = sum(is_ink(found, page) for found in line)
    alike = sharp >= max(LONG_NUMBER, ALONE * len(line))
    least = LEAST_SHARP_BESIDE if alike else LEAST_SHARP
    return [found for found in line if is_ink(found, page, least)]


def is_ink(found: Found, page: Page, sharp: float = LEAST_SHARP) -> bool:
    """Whether a find stands out from the grain of its paper, and is no shadow, no cloud."""
    if found.strength < ABOVE_NOISE * page.ink.noise or found.sharpness < sharp:
        return False
    shape = page.clean.shape
    sides = found.piece.sides(shape)
    if max(shape) <= CUT_OUT or not sides:
        return True
    return sides < MOST_SIDES and found.pen <= BROADEST_AT_EDGE * max(shape)


def touches_edge(shape: tuple[int, ...], found: Found) -> bool:
    """Whether a find touches the edge of the picture and is not what the picture is of."""
    (height, width), piece = shape, found.piece
    across, down = (piece.left + piece.right) / (2 * width), (piece.top + piece.bottom) / 2 / height
    return piece.sides(shape) > 0 and max(abs(across - 0.5), abs(down - 0.5)) > OFF_CENTRE


def without_edges(line: Sequence[Found], at_edge: Accept, accept: Accept) -> list[Found]:
    """Return what of a line is not what lies around the paper.

    Among digits that do not touch the edge, one that does is sure, and no bar.
    """
    inner = any(accept(found) and not at_edge(found) for found in line)
    return [
        found
        for found in line
        if not at_edge(found) or (inner and accept(found) and found.digit != STICK)
    ]


def is_crowded(digits: Sequence[Found], page: Page) -> bool:
    """Whether what is around digits is no paper, mostly."""
    return bool(digits) and float(np.median([_ink_around(each, page) for each in digits])) > CROWDED


def _ink_around(found: Found, page: Page) -> float:
    """Return which share of a find and its surroundings is ink; beyond the picture is paper."""
    piece, reach = found.piece, found.piece.height
    rows = slice(max(0, piece.top - reach), piece.bottom + reach)
    columns = slice(max(0, piece.left - reach), piece.right + reach)
    inked = np.count_nonzero(page.clean[rows, columns] >= CONTOUR)
    return inked / (3 * reach * (piece.width + 2 * reach))


def stands_out(line: Sequence[Found], page: Page) -> bool:
    """Whether finds differ from what is around them, most of them, as they do from their paper.

    What is between strokes, or in a loop, has the shade of the paper beyond.
    """
    beyond = [abs(_beyond(found, page.ink)) - OUT * found.strength for found in line]
    return float(np.median(beyond)) > 0


def _beyond(found: Found, ink: Ink) -> float:
    """Return how many grey levels lighter what is around a find is than its ink, medians both."""
    piece = found.piece
    reach = max(LEAST_AROUND, round(AROUND * max(piece.width, piece.height)))
    top, left = max(0, piece.top - reach), max(0, piece.left - reach)
    bottom, right = piece.bottom + reach, piece.right + reach
    step = max(1, round(math.sqrt((bottom - top) * (right - left) / SAMPLE)))
    shades, map_ = (each[top:bottom:step, left:right:step] for each in (ink.shades, ink.map))
    around = np.ones(shades.shape, bool)
    rows = slice((piece.top - top) // step, (piece.bottom - top) // step)
    columns = slice((piece.left - left) // step, (piece.right - left) // step)
    around[rows, columns] = False
    inked = (map_ >= CONTOUR) & ~around
    if not (around.any() and inked.any()):
        return found.strength
    return float(np.median(shades[around]) - np.median(shades[inked]))
