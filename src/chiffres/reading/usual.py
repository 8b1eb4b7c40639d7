"""What digits are like on a page: of what strength, pen and size; and what may be of their hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from chiffres.reading.lattice import Found, weighted_median
from chiffres.reading.page import STICK
from chiffres.reading.segment import Piece

Accept = Callable[[Found], bool]

STICK_STRENGTH, STRENGTH = 0.5, 0.3
"""A 1, or another digit, is at least this strong compared with the others."""
LONE_STRENGTH = 0.65
"""A 1 in a line without any other digit is at least this strong."""
STICK_PEN, PEN = 1.9, 3.5
"""The pen of a 1, or of another digit, whose loops may be filled, is at most this many times finer
or broader than that of the others."""
STICK_HEIGHT = (0.5, 1.4)
"""How high a 1 is compared with the others."""
DOUBTFUL_HEIGHT, DOUBTFUL_STICK = 1.5, 0.6
"""What may be a digit or not is at most so high compared with them, and what may be a 1 at least:
it may as well be an edge."""
NO_DIGIT = 0.3
"""What the classifier is less sure of looks like no digit at all, not even like a bar."""
SOLID = 0.55
"""What is no digit and has strokes this share of its width, or of its height, is a solid thing."""
THICKEST_STICK = 0.3
"""The width of its pen, as a share of its height."""
FAINTEST_STICK = 15.0
"""The contrast of a 1, in grey levels of 255, where there are no other digits."""
LESS = 0.6
"""Of bars alone those are usual that have this share of the most that one is a 1."""
LYING = 0.75
"""A digit that is wider than high is as large as another of this share of its width."""
LEAST_HEIGHT = 0.35
"""How high another digit is, at least."""
FAR = 2.0
"""What is doubtful is of no number that is so many heights away, and a bar that far is alone."""
HARDLY, SAME_PEN = 0.5, 1.6
"""Nor is what is less likely a digit than the first, where its pen is so many times finer or
broader."""


class Usual(NamedTuple):
    """The strength, the pen and the size of the digits that are beyond doubt."""

    strength: float
    pen: float
    size: float


def usual_digit(accepted: Sequence[Found], at_edge: Callable[[Found], bool]) -> Usual | None:
    """Return what digits are like on this page: those that are no 1 where there are any."""
    inner = [found for found in accepted if not at_edge(found)]
    sure = [found for found in inner or accepted if found.digit != STICK]
    inner = [found for found in inner if found.strength >= FAINTEST_STICK]
    if not sure and inner:
        strongest = max(map(_weight, inner))
        sure = [found for found in inner if _weight(found) > LESS * strongest]
    if not sure:
        return None
    values = np.array([(found.strength, found.pen, _size(found.piece)) for found in sure])
    weights = values[:, 0] * values[:, 2] ** 2
    return Usual(*(weighted_median(column, weights) for column in values.T))


def _weight(bar: Found) -> float:
    """Return how much of a 1 a bar is: the edge of a paper is long, and weak."""
    return bar.strength**2 * bar.piece.height


def _size(piece: Piece) -> float:
    """Return the height of a digit, or what it would be if it did not lie on its side."""
    return max(piece.height, LYING * piece.width)


def written(line: Sequence[Found], usual: Usual, accept: Accept) -> list[Found]:
    """Return what of a line may be of the same hand as the usual digit."""
    digits = [found for found in line if accept(found) and found.digit != STICK]
    return [
        found
        for found in line
        if _is_written(
            found,
            usual,
            accept(found),
            among_digits=any(gap(found, other) <= FAR * usual.size for other in digits),
        )
    ]


def _is_written(found: Found, usual: Usual, accepted: bool, among_digits: bool) -> bool:
    if found.cut_from:  # a part may be small: where strokes run together the cut is a guess
        return found.strength >= STRENGTH * usual.strength
    height = found.piece.height / usual.size
    if is_solid(found):
        return False
    if not accepted and height > DOUBTFUL_HEIGHT:
        return False
    may_be_bar = found.digit == STICK and found.confidence >= NO_DIGIT
    if not accepted and may_be_bar and height < DOUBTFUL_STICK:
        return False
    if not accepted or found.digit != STICK:
        return is_alike(found, usual) and height >= LEAST_HEIGHT
    finest, weakest = (PEN, STICK_STRENGTH) if among_digits else (STICK_PEN, LONE_STRENGTH)
    low, high = STICK_HEIGHT
    return (
        found.pen <= THICKEST_STICK * found.piece.height
        and found.strength >= weakest * usual.strength
        and is_of_pen(found, usual, finest)
        and low <= height <= high
    )


def is_solid(found: Found) -> bool:
    """Whether a find is a disc or a block, and no digit."""
    least = SOLID * min(found.piece.width, found.piece.height)
    return found.confidence < NO_DIGIT and found.pen > least


def is_alike(found: Found, usual: Usual, most: float = PEN) -> bool:
    """Whether a find may be of the pen of the usual digit, which is ``most`` times as fine."""
    return found.strength >= STRENGTH * usual.strength and is_of_pen(found, usual, most)


def is_of_pen(found: Found, usual: Usual, most: float) -> bool:
    """Whether a find's pen is no more than ``most`` times finer or broader than the usual one."""
    return 1 / most <= found.pen / usual.pen <= most


def gap(found: Found, other: Found) -> int:
    """Return how far two finds are apart along their line, in pixels."""
    return found.piece.gaps(other.piece)[0]
