"""What is writing, and what only looks like a digit: each find judged by those around it.

A straight bit of anything is a 1 to a classifier, and many a letter is a digit. So a find has to be
of the pen, the strength and the size of the digits that are beyond doubt, and its neighbours have
to be digits too.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from chiffres.reading.ink import Floats
from chiffres.reading.lattice import SMALL, Found
from chiffres.reading.page import STICK, Page

Accept = Callable[[Found], bool]

STICK_STRENGTH, STRENGTH = 0.5, 0.3
"""A 1, or another digit, is at least this strong compared with the others."""
STICK_PEN, PEN = 1.9, 3.5
"""The pen of a 1, or of another digit, whose loops may be filled, is at most this many times finer
or broader than that of the others."""
STICK_HEIGHT = (0.5, 2.0)
"""How high a 1 is compared with the others."""
THICKEST_STICK = 0.3
"""The width of its pen, as a share of its height."""
LEAST_HEIGHT = 0.35
"""How high another digit is, at least."""
ABOVE_NOISE = 7.0
"""How many standard deviations of the paper's noise stronger than paper a digit is."""
SPACE = 0.7
"""A gap of this many heights of the line ends a word."""
DIGITS_IN_WORD, DIGITS_IN_LINE, DIGITS_ON_PAGE = 0.49, 0.6, 0.65
"""In a word, a long line and on a full page of digits, at least this share is read.

On pages of printed text it is 0.4, on one in twenty above 0.63: many a letter is a digit, too."""
LONG_LINE, FULL_PAGE = 5, 8
"""How many finds make a long line, and a full page."""
CUT_IN_DIGITS = 0.5
"""A piece that can be cut in digits counts so much: letters can, too."""
LONG_NUMBER, VERY_LONG_NUMBER = 3, 5
"""A word of so many digits, all read, is a number even on a page, and in a line, of text."""
ALONE = 0.85
"""A number that has this share of its line's finds does not share it with text."""
STICK_EVIDENCE = 0.4
"""How much a 1 counts beside another digit as evidence that a page has digits on it."""
OTHER_PER_DIGIT = 3.0
"""How much else of a digit's size may be on a page for each digit."""
MOST_STICKS = 4
"""More 1s than these and nothing else are bars."""


class Usual(NamedTuple):
    """The strength, the pen and the height of the digits that are beyond doubt."""

    strength: float
    pen: float
    height: float


def digits_only(page: Page, accept: Accept) -> list[list[Found]]:
    """Return a page's lines without what is not writing, and without lines and words of text.

    Args:
        page: all that was found.
        accept: whether the classifier is sure enough of a find.

    Returns:
        Lines with at least one accepted digit in each; what is not accepted is left between those
        that are.
    """
    at_edge = functools.partial(_touches_edge, page.clean.shape)
    lines = [
        [found for found in line if found.strength >= ABOVE_NOISE * page.ink.noise]
        for line in page.lines
    ]
    everything = [found for line in lines for found in line]
    usual = usual_digit([found for found in everything if accept(found)], at_edge)
    if usual is None:
        return []
    kept = [_written(line, usual, accept) for line in lines]
    if any(accept(found) and not at_edge(found) for line in kept for found in line):
        kept = [line for line in kept if not all(map(at_edge, line))]
    kept = [read for line in kept if (read := _numbers(line, accept))]
    inner = [
        found
        for found in everything
        if not at_edge(found) and found.piece.height >= SMALL * usual.height
    ]
    text = len(inner) >= FULL_PAGE and _share(inner, accept) < DIGITS_ON_PAGE
    other = [found for found in inner if not accept(found)]
    if text or not _worth_it(kept, other, usual, accept):
        return _numbers_among_text(kept, page.lines, accept)
    return kept


def _touches_edge(shape: tuple[int, ...], found: Found) -> bool:
    piece = found.piece
    return min(piece.left, piece.top) <= 0 or piece.bottom >= shape[0] or piece.right >= shape[1]


def usual_digit(accepted: Sequence[Found], at_edge: Callable[[Found], bool]) -> Usual | None:
    """Return what digits are like on this page: those that are no 1 where there are any."""
    inner = [found for found in accepted if not at_edge(found)] or list(accepted)
    sure = [found for found in inner if found.digit != STICK]
    if not sure and inner:
        strongest = max(found.strength * found.piece.height for found in inner)
        sure = [found for found in inner if found.strength * found.piece.height > 0.6 * strongest]
    if not sure:
        return None
    values = np.array([(found.strength, found.pen, found.piece.height) for found in sure])
    weights = values[:, 0] * values[:, 2] ** 2
    return Usual(*(_median(column, weights) for column in values.T))


def _median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _written(line: Sequence[Found], usual: Usual, accept: Accept) -> list[Found]:
    """Return what of a line may be of the same hand as the usual digit."""
    among_digits = any(accept(found) and found.digit != STICK for found in line)
    return [found for found in line if _is_written(found, usual, accept(found), among_digits)]


def _is_written(found: Found, usual: Usual, accepted: bool, among_digits: bool) -> bool:
    height, pen = found.piece.height / usual.height, found.pen / usual.pen
    if not accepted or found.digit != STICK:
        return (
            found.strength >= STRENGTH * usual.strength
            and 1 / PEN <= pen <= PEN
            and height >= LEAST_HEIGHT
        )
    finest = PEN if among_digits else STICK_PEN
    low, high = STICK_HEIGHT
    return (
        found.pen <= THICKEST_STICK * found.piece.height
        and found.strength >= STICK_STRENGTH * usual.strength
        and 1 / finest <= pen <= finest
        and low <= height <= high
    )


def _numbers(line: Sequence[Found], accept: Accept) -> list[Found]:
    """Return the words of the line that are numbers, none where the line is text."""
    if not line:
        return []
    height = float(np.median([found.piece.height for found in line]))
    line = [found for found in line if found.piece.height >= SMALL * height]
    words = _words(line, height)
    numbers = [word for word in words if _share(word, accept) >= _enough(word)]
    if _share(line, accept) >= _enough(line):  # single digits far apart are words, too
        numbers = [word for word in words if len(word) == 1 or word in numbers]
    elif 2 * sum(map(len, numbers)) < len(line):
        numbers = [word for word in numbers if _is_long_number(word, accept)]
    return [found for word in numbers for found in word]


def _enough(line: Sequence[Found]) -> float:
    return DIGITS_IN_LINE if len(line) >= LONG_LINE else DIGITS_IN_WORD


def _share(line: Sequence[Found], accept: Accept) -> float:
    """Return which share of the pieces on a line are digits; one cut in digits counts as half."""
    scores = _scores(line, accept)
    return sum(scores) / max(1, len(scores))


def _scores(line: Sequence[Found], accept: Accept) -> list[float]:
    """Return 1 for each piece that is a digit, ``CUT_IN_DIGITS`` for one cut in digits, else 0."""
    scores = []
    for _, parts in itertools.groupby(line, key=lambda found: found.cut_from or id(found)):
        found = list(parts)
        digits = float(np.mean([*map(accept, found)]))
        scores.append(digits * (CUT_IN_DIGITS if found[0].cut_from else 1.0))
    return scores


def _numbers_among_text(
    kept: Sequence[Sequence[Found]], lines: Sequence[Sequence[Found]], accept: Accept
) -> list[list[Found]]:
    """Return the long numbers; where they share their line with text, the very long ones."""
    whole = {id(line[0]): len(line) for line in lines if line}
    first = {id(found): id(line[0]) for line in lines for found in line}
    numbers = []
    for line in kept:
        height = float(np.median([found.piece.height for found in line]))
        alone = len(line) >= ALONE * whole[first[id(line[0])]]
        least = LONG_NUMBER if alone else VERY_LONG_NUMBER
        words = [
            word
            for word in _words(line, height)
            if len(word) >= least and _is_long_number(word, accept)
        ]
        numbers.append([found for word in words for found in word])
    return [line for line in numbers if line]


def _is_long_number(word: Sequence[Found], accept: Accept) -> bool:
    return (
        len(word) >= LONG_NUMBER
        and all(accept(found) and not found.cut_from for found in word)
        and any(found.digit != STICK for found in word)
    )


def _words(line: Sequence[Found], height: float) -> list[list[Found]]:
    words: list[list[Found]] = []
    right = -np.inf
    for found in line:
        if found.piece.left - right > SPACE * height:
            words.append([])
        words[-1].append(found)
        right = max(right, found.piece.right)
    return words


def _worth_it(
    lines: list[list[Found]], other: Sequence[Found], usual: Usual, accept: Accept
) -> bool:
    """Whether there are digits enough on the page beside all else."""
    digits = [found for line in lines for found in line if accept(found)]
    sticks = sum(found.digit == STICK for found in digits)
    evidence = len(digits) - (1 - STICK_EVIDENCE) * sticks
    against = sum(min(1.0, found.piece.height / usual.height) ** 2 for found in other)
    bars = sticks == len(digits) and (sticks > MOST_STICKS or len(lines) > 1)
    return not bars and against <= OTHER_PER_DIGIT * evidence
