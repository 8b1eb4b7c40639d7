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

from chiffres.data.strokes import CONTOUR
from chiffres.reading.ink import Floats
from chiffres.reading.lattice import SMALL, Found
from chiffres.reading.page import STICK, Page
from chiffres.reading.segment import Piece

Accept = Callable[[Found], bool]

STICK_STRENGTH, STRENGTH = 0.5, 0.3
"""A 1, or another digit, is at least this strong compared with the others."""
LONE_STRENGTH = 0.65
"""A 1 in a line without any other digit is at least this strong."""
WEAK_LINE = 0.45
"""A line of a digit or two has one that is at least this strong."""
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
STICK_WIDTH = 0.35
"""A 1 that is wider, as a share of its height, is no mere bar: it has a flag or a base."""
THICKEST_STICK = 0.3
"""The width of its pen, as a share of its height."""
CROWDED = 0.19
"""Where so much of what is around the digits, as far as they are high, is ink, they are details of
a photograph: of lines of digits it is a sixth at most."""
FAINTEST_STICK = 15.0
"""The contrast of a 1, in grey levels of 255, where there are no other digits."""
OFF_CENTRE = 0.2
"""What touches the edge and has its middle so far from that of the picture, as a share of its
sides, is what is around the writing."""
BROADEST_AT_EDGE = 0.12
"""What touches the edge is a shadow where its strokes are broader than this share of the picture's
longer side."""
CUT_OUT = 400
"""A picture whose longer side is no more pixels may be a digit that was cut out."""
LEAST_HEIGHT = 0.35
"""How high another digit is, at least."""
ABOVE_NOISE = 4.5
"""How many standard deviations of the paper's noise stronger than paper a digit is."""
LEAST_SHARP, LEAST_SHARP_BESIDE = 0.85, 0.75
"""The edges of writing have this share of its contrast, at least; among sharp ones, the second."""
SPACE = 0.7
"""A gap of this many heights of the line ends a word."""
DIGITS_IN_WORD, DIGITS_IN_LINE, DIGITS_ON_PAGE = 0.49, 0.6, 0.65
"""In a word, a long line and on a full page of digits, at least this share is read.

On pages of printed text it is 0.4, on one in twenty above 0.63: many a letter is a digit, too."""
LONG_LINE, FULL_PAGE = 5, 8
"""How many finds make a long line, and a full page."""
ALL_CUT = 0.9
"""A piece that can be cut in digits counts so much, by the square of their share: a part of a
letter is often a digit, all of them seldom."""
BARS_CUT = 0.4
"""One that can be cut in 1s and nothing else counts so much: a V can, an N, an M."""
DOUBTFUL_BAR = 0.6
"""A bar counts so much where not all beside it are digits: of bold letters many are bars."""
AMONG_SURE = 0.5
"""In a line of which this share is sure, what is likely is read, too."""
LONG_NUMBER, SPACED_NUMBER, VERY_LONG_NUMBER = 3, 4, 5
"""A word of so many digits, all read, is a number even on a page of text; so is a line of so many
digits and nothing else; and so is a word of so many even in a line of text."""
ALONE = 0.85
"""A number that has this share of its line's finds does not share it with text."""
STICK_EVIDENCE = 0.4
"""How much a 1 counts beside another digit as evidence that a page has digits on it."""
OTHER_PER_DIGIT = 3.0
"""How much else of a digit's size may be on a page for each digit."""
MOST_SPECKS = 3
"""How many small finds may be on a page beside the one that is a digit."""
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
    lines = [_inked(line, page) for line in page.lines]
    everything = [found for line in lines for found in line]
    usual = usual_digit([found for found in everything if accept(found)], at_edge)
    if usual is None:
        return []
    kept = [_written(line, usual, accept) for line in lines]
    if any(accept(found) and not at_edge(found) for line in kept for found in line):
        kept = [_without_edges(line, at_edge, accept) for line in kept]
    kept = [read for line in kept if (read := _numbers(line, accept))]
    kept = [line for line in kept if not _is_weak(line, usual)]
    inner = [
        found
        for found in everything
        if not at_edge(found) and found.piece.height >= SMALL * usual.height
    ]
    alike = [found for found in inner if _is_alike(found, usual)]
    text = len(alike) >= FULL_PAGE and _share(alike, accept) < DIGITS_ON_PAGE
    digits = [found for line in kept for found in line if accept(found)]
    if not any(_is_long(line, accept) for line in kept) and _is_crowded(digits, page):
        return []
    if all(found.digit == STICK for found in digits):
        others = [
            found
            for found in page.found
            if not at_edge(found) and all(found is not digit for digit in digits)
        ]
        if any(map(at_edge, digits)) or len(kept) > 1 or not _bars_are_digits(digits, others):
            return []
    other = [found for found in inner if not accept(found)]
    if text or not _worth_it(digits, other, usual):
        return _numbers_among_text(kept, page.lines, usual, accept)
    return kept


def sole_digit(page: Page, likely: Accept) -> Found | None:
    """Return the one find on a page, where there is no other of its size and it is likely a digit.

    A straight bit is no digit for that: it has to be sure.
    """
    finds = [found for line in page.lines for found in line if _is_ink(found, page)]
    if not finds:
        return None
    largest, *others = sorted(finds, key=lambda found: -found.piece.height * found.strength)
    piece = largest.piece
    bar = largest.digit == STICK and piece.width < STICK_WIDTH * piece.height
    alone = len(others) <= MOST_SPECKS and all(
        found.piece.height < SMALL * piece.height for found in others
    )
    whole = not bar and not largest.cut_from
    on_paper = whole and not _is_crowded([largest], page)
    return largest if alone and on_paper and likely(largest) else None


def _inked(line: Sequence[Found], page: Page) -> list[Found]:
    """Return what of a line is ink; where nearly all finds are sharp, the others may be less so."""
    sharp = sum(_is_ink(found, page) for found in line)
    alike = sharp >= max(LONG_NUMBER, ALONE * len(line))
    least = LEAST_SHARP_BESIDE if alike else LEAST_SHARP
    return [found for found in line if _is_ink(found, page, least)]


def _is_ink(found: Found, page: Page, sharp: float = LEAST_SHARP) -> bool:
    """Whether a find stands out from the grain of its paper, and is no shadow, no cloud."""
    if found.strength < ABOVE_NOISE * page.ink.noise or found.sharpness < sharp:
        return False
    shape = page.clean.shape
    broad = max(shape) > CUT_OUT and found.pen > BROADEST_AT_EDGE * max(shape)
    return not (broad and _touches(shape, found.piece))


def _is_crowded(digits: Sequence[Found], page: Page) -> bool:
    """Whether what is around digits is no paper, mostly."""
    return bool(digits) and float(np.median([_ink_around(each, page) for each in digits])) > CROWDED


def _ink_around(found: Found, page: Page) -> float:
    """Return which share of a find and its surroundings is ink; beyond the picture is paper."""
    piece, reach = found.piece, found.piece.height
    rows = slice(max(0, piece.top - reach), piece.bottom + reach)
    columns = slice(max(0, piece.left - reach), piece.right + reach)
    inked = np.count_nonzero(page.ink.map[rows, columns] >= CONTOUR)
    return inked / (3 * reach * (piece.width + 2 * reach))


def mark_read(lines: Sequence[Sequence[Found]], accept: Accept, likely: Accept) -> None:
    """Mark what is read: what is sure, and in lines of which most is, what is likely.

    A straight bit of its own has to be sure.
    """
    for line in lines:
        sure = float(np.mean([*map(accept, line)])) >= AMONG_SURE
        for found in line:
            bar = found.digit == STICK and not found.cut_from
            found.read = accept(found) or (sure and not bar and likely(found))


def _touches_edge(shape: tuple[int, ...], found: Found) -> bool:
    """Whether a find touches the edge of the picture and is not what the picture is of."""
    (height, width), piece = shape, found.piece
    across, down = (piece.left + piece.right) / (2 * width), (piece.top + piece.bottom) / 2 / height
    return _touches(shape, piece) and max(abs(across - 0.5), abs(down - 0.5)) > OFF_CENTRE


def _touches(shape: tuple[int, ...], piece: Piece) -> bool:
    """Whether a piece touches the edge of the picture."""
    height, width = shape
    return min(piece.left, piece.top) <= 0 or piece.bottom >= height or piece.right >= width


def usual_digit(accepted: Sequence[Found], at_edge: Callable[[Found], bool]) -> Usual | None:
    """Return what digits are like on this page: those that are no 1 where there are any."""
    inner = [found for found in accepted if not at_edge(found)]
    sure = [found for found in inner or accepted if found.digit != STICK]
    inner = [found for found in inner if found.strength >= FAINTEST_STICK]
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


def _without_edges(line: Sequence[Found], at_edge: Accept, accept: Accept) -> list[Found]:
    """Return what of a line is not what lies around the paper.

    Among digits that do not touch the edge, one that does is sure, and no bar.
    """
    inner = any(accept(found) and not at_edge(found) for found in line)
    return [
        found
        for found in line
        if not at_edge(found) or (inner and accept(found) and found.digit != STICK)
    ]


def _written(line: Sequence[Found], usual: Usual, accept: Accept) -> list[Found]:
    """Return what of a line may be of the same hand as the usual digit."""
    among_digits = any(accept(found) and found.digit != STICK for found in line)
    return [found for found in line if _is_written(found, usual, accept(found), among_digits)]


def _is_written(found: Found, usual: Usual, accepted: bool, among_digits: bool) -> bool:
    if found.cut_from:  # a part may be small: where strokes run together the cut is a guess
        return found.strength >= STRENGTH * usual.strength
    height, pen = found.piece.height / usual.height, found.pen / usual.pen
    if not accepted and height > DOUBTFUL_HEIGHT:
        return False
    may_be_bar = found.digit == STICK and found.confidence >= NO_DIGIT
    if not accepted and may_be_bar and height < DOUBTFUL_STICK:
        return False
    if not accepted or found.digit != STICK:
        return _is_alike(found, usual) and height >= LEAST_HEIGHT
    finest, weakest = (PEN, STICK_STRENGTH) if among_digits else (STICK_PEN, LONE_STRENGTH)
    low, high = STICK_HEIGHT
    return (
        found.pen <= THICKEST_STICK * found.piece.height
        and found.strength >= weakest * usual.strength
        and 1 / finest <= pen <= finest
        and low <= height <= high
    )


def _is_long(line: Sequence[Found], accept: Accept) -> bool:
    """Whether a line has so many digits, bars apart, as the details of a photograph never have."""
    return sum(accept(found) and found.digit != STICK for found in line) >= LONG_LINE


def _is_alike(found: Found, usual: Usual) -> bool:
    """Whether a find may be of the pen of the usual digit."""
    strong = found.strength >= STRENGTH * usual.strength
    return strong and 1 / PEN <= found.pen / usual.pen <= PEN


def _is_weak(line: Sequence[Found], usual: Usual) -> bool:
    """Whether a line is a digit or two, far weaker than others: the rim of a hole, a spot."""
    strongest = max(found.strength for found in line)
    return len(line) < LONG_NUMBER and strongest < WEAK_LINE * usual.strength


def _numbers(line: Sequence[Found], accept: Accept) -> list[Found]:
    """Return the words of the line that are numbers, none where the line is text."""
    if not line:
        return []
    height = float(np.median([found.piece.height for found in line]))
    line = [found for found in line if found.cut_from or found.piece.height >= SMALL * height]
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
    """Return which share of the pieces on a line are digits; one cut in digits counts for less."""
    scores = _scores(line, accept)
    return sum(scores) / max(1, len(scores))


def _scores(line: Sequence[Found], accept: Accept) -> list[float]:
    """Return 1 for each piece that is a digit, ``ALL_CUT`` for one cut in digits, else less."""
    whole = all(map(accept, line))
    scores = []
    for _, parts in itertools.groupby(line, key=lambda found: found.cut_from or id(found)):
        found = list(parts)
        digits = float(np.mean([*map(accept, found)]))
        bars = all(each.digit == STICK for each in found if accept(each))
        if found[0].cut_from:
            digits = (BARS_CUT if bars else ALL_CUT) * digits**2
        elif bars and not whole:
            digits *= DOUBTFUL_BAR
        scores.append(digits)
    return scores


def _numbers_among_text(
    kept: Sequence[Sequence[Found]],
    lines: Sequence[Sequence[Found]],
    usual: Usual,
    accept: Accept,
) -> list[list[Found]]:
    """Return the long numbers; where they share their line with text, the very long ones."""
    whole = {id(found): line for line in lines for found in line}
    numbers = []
    for line in kept:
        height = float(np.median([found.piece.height for found in line]))
        written = [
            found
            for found in whole[id(line[0])]
            if found.piece.height >= SMALL * height and _is_alike(found, usual)
        ]
        alone = len(line) >= ALONE * len(written)
        least = LONG_NUMBER if alone else VERY_LONG_NUMBER
        words = [
            word
            for word in _words(line, height)
            if len(word) >= least and _is_long_number(word, accept)
        ]
        if alone and len(line) >= SPACED_NUMBER and _is_long_number(line, accept):
            words = [list(line)]
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


def _worth_it(digits: Sequence[Found], other: Sequence[Found], usual: Usual) -> bool:
    """Whether there are digits enough on the page beside all else."""
    sticks = sum(found.digit == STICK for found in digits)
    evidence = len(digits) - (1 - STICK_EVIDENCE) * sticks
    against = sum(min(1.0, found.piece.height / usual.height) ** 2 for found in other)
    return against <= OTHER_PER_DIGIT * evidence


def _bars_are_digits(bars: Sequence[Found], other: Sequence[Found]) -> bool:
    """Whether straight bits, and no other digits, are 1s: few, and little is beside them."""
    least = SMALL * min((found.piece.height for found in bars), default=0)
    beside = sum(found.piece.height >= least for found in other)
    return 0 < len(bars) <= MOST_STICKS and beside <= len(bars)
