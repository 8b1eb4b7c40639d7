"""What is writing, and what only looks like a digit: each find judged by those around it.

A straight bit of anything is a 1 to a classifier, and many a letter is a digit. So a find has to be
of the pen, the strength and the size of the digits that are beyond doubt, and its neighbours have
to be digits too.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from chiffres.reading.lattice import SMALL, Found
from chiffres.reading.page import STICK, Page
from chiffres.reading.surroundings import (
    is_crowded,
    is_ink,
    of_ink,
    stands_out,
    touches_edge,
    without_edges,
)
from chiffres.reading.usual import SAME_PEN, Accept, Usual, is_alike, usual_digit, written
from chiffres.reading.words import (
    DIGITS_ON_PAGE,
    LONG_LINE,
    LONG_NUMBER,
    numbers,
    numbers_among_text,
    share,
)

WEAK_LINE = 0.45
"""A line of a digit or two has one that is at least this strong."""
STICK_WIDTH = 0.35
"""A 1 that is wider, as a share of its height, is no mere bar: it has a flag or a base."""
FULL_PAGE = 8
"""How many finds make a full page."""
AMONG_SURE = 0.5
"""In a line of which this share is sure, what is likely is read, too."""
STICK_EVIDENCE = 0.4
"""How much a 1 counts beside another digit as evidence that a page has digits on it."""
OTHER_PER_DIGIT = 3.0
"""How much else of a digit's size may be on a page for each digit."""
MOST_SPECKS = 3
"""How many small finds may be on a page beside the one that is a digit."""
MOST_STICKS = 4
"""More 1s than these and nothing else are bars."""


def digits_only(page: Page, accept: Accept) -> list[list[Found]]:
    """Return a page's lines without what is not writing, and without lines and words of text.

    Args:
        page: all that was found.
        accept: whether the classifier is sure enough of a find.

    Returns:
        Lines with at least one accepted digit in each; what is not accepted is left between those
        that are.
    """
    at_edge = functools.partial(touches_edge, page.clean.shape)
    lines = [of_ink(line, page) for line in page.lines]
    everything = [found for line in lines for found in line]
    usual = usual_digit([found for found in everything if accept(found)], at_edge)
    if usual is None:
        return []
    kept = [written(line, usual, accept) for line in lines]
    if any(accept(found) and not at_edge(found) for line in kept for found in line):
        kept = [without_edges(line, at_edge, accept) for line in kept]
    kept = [read for line in kept if (read := numbers(line, usual, accept))]
    kept = [line for line in kept if not _is_weak(line, usual) and stands_out(line, page)]
    inner = [
        found
        for found in everything
        if not at_edge(found) and found.piece.height >= SMALL * usual.size
    ]
    alike = [found for found in inner if is_alike(found, usual, SAME_PEN)]
    text = len(alike) >= FULL_PAGE and share(alike, accept) < DIGITS_ON_PAGE
    digits = [found for line in kept for found in line if accept(found)]
    if not any(_is_long(line, accept) for line in kept) and is_crowded(digits, page):
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
        return numbers_among_text(kept, page.lines, usual, accept)
    return kept


def sole_digit(page: Page, likely: Accept) -> Found | None:
    """Return the one find on a page, where there is no other of its size and it is likely a digit.

    A straight bit is no digit for that: it has to be sure.
    """
    finds = [found for line in page.lines for found in line if is_ink(found, page)]
    if not finds:
        return None
    largest, *others = sorted(finds, key=lambda found: -found.piece.height * found.strength)
    piece = largest.piece
    bar = largest.digit == STICK and piece.width < STICK_WIDTH * piece.height
    alone = len(others) <= MOST_SPECKS and all(
        found.piece.height < SMALL * piece.height for found in others
    )
    whole = not bar and not largest.cut_from
    on_paper = whole and not is_crowded([largest], page) and stands_out([largest], page)
    return largest if alone and on_paper and likely(largest) else None


def mark_read(lines: Sequence[Sequence[Found]], accept: Accept, likely: Accept) -> None:
    """Mark what is read: what is sure, and in lines of which most is, what is likely.

    A straight bit of its own has to be sure.
    """
    for line in lines:
        sure = float(np.mean([*map(accept, line)])) >= AMONG_SURE
        for found in line:
            bar = found.digit == STICK and not found.cut_from
            found.read = accept(found) or (sure and not bar and likely(found))


def _is_long(line: Sequence[Found], accept: Accept) -> bool:
    """Whether a line has so many digits, bars apart, as the details of a photograph never have."""
    return sum(accept(found) and found.digit != STICK for found in line) >= LONG_LINE


def _is_weak(line: Sequence[Found], usual: Usual) -> bool:
    """Whether a line is a digit or two, far weaker than others: the rim of a hole, a spot."""
    strongest = max(found.strength for found in line)
    return len(line) < LONG_NUMBER and strongest < WEAK_LINE * usual.strength


def _worth_it(digits: Sequence[Found], other: Sequence[Found], usual: Usual) -> bool:
    """Whether there are digits enough on the page beside all else."""
    sticks = sum(found.digit == STICK for found in digits)
    evidence = len(digits) - (1 - STICK_EVIDENCE) * sticks
    against = sum(min(1.0, found.piece.height / usual.size) ** 2 for found in other)
    return against <= OTHER_PER_DIGIT * evidence


def _bars_are_digits(bars: Sequence[Found], other: Sequence[Found]) -> bool:
    """Whether straight bits, and no other digits, are 1s: few, and little is beside them."""
    least = SMALL * min((found.piece.height for found in bars), default=0)
    beside = sum(found.piece.height >= least for found in other)
    return 0 < len(bars) <= MOST_STICKS and beside <= len(bars)
