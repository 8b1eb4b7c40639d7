"""Of several ways to see the ink of a picture, the one in which most is read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from chiffres.data.strokes import CONTOUR
from chiffres.reading.ink import SPANNING
from chiffres.reading.lattice import SMALL, SURE, Found, union
from chiffres.reading.page import STICK, Page
from chiffres.reading.segment import Piece
from chiffres.reading.usual import Accept, is_solid
from chiffres.reading.words import DIGITS_IN_LINE

MORE = 1.05
"""What is read in ink that was seen otherwise is so much more, at least."""
SURELY_MORE = 1
"""In the polarity that was thought the wrong one, if it is not, there are more digits by more than
this: between strokes and within loops one may be found."""
BROADEST = 0.3
"""The pen of a digit is at most this share of its height."""
SAME = 0.7
"""Two finds are of the same thing where each covers so much of the other."""
FINE, INNER = 0.2, 0.3
"""A digit of a pen this share of its height, this share of the height of what it is in, is written
on that, which is light paper on something dark, or dark paper."""
MOST_FOUND = 3
"""On a page where one digit is surely read there are no more finds than these."""
MOSTLY_READ = 0.6
"""Of what is found in colour alone, this share is digits, at least."""
GREY = 0.04
"""Of what is grey, less than this share of its box is ink in colour alone."""
FAR_STRONGER = 1.5
"""How many times as strong as what is beside its strokes a digit is, or as between them."""


def all_read(page: Page) -> list[Found]:
    """Return what is read on a page, line by line."""
    return [each for line in page.lines for each in line if each.read]


def all_is_read(page: Page) -> bool:
    """Whether all that was found on a page is read, and something was."""
    return bool(page.found) and all(each.read for each in page.found)


def is_clearer(coloured: Page, page: Page) -> bool:
    """Whether what is read in colour alone is to be read, most of what is found there.

    Either it is more, and all that was read before is among it. Or half of it was found before,
    too, none was read as anything else, and the rest, which is grey, is print: not many of its
    letters look like digits.
    """
    read, before = _plausibly_read(coloured), all_read(page)
    if not read or not beyond_bars(coloured):
        return False
    least = SMALL * max(each.piece.height for each in read)
    if len(read) < MOSTLY_READ * sum(each.piece.height >= least for each in coloured.found):
        return False
    others, gone = (
        [each for each in some if not _is_any_within(each, read)] for some in (page.found, before)
    )
    if not gone:
        return _ink_read(read) > MORE * _ink_read(before)
    are_letters = len(gone) <= DIGITS_IN_LINE * len(others)
    seen = sum(_is_seen(each, page.found) for each in read)
    same = all(_is_seen(each, read) for each in before if _is_any_within(each, read))
    stays = 2 * seen >= len(read) and same
    return are_letters and stays and all(_is_grey(each, coloured) for each in gone)


def _is_grey(found: Found, coloured: Page) -> bool:
    """Whether hardly anything is coloured where something was found."""
    piece = found.piece
    inked = coloured.ink.map[piece.top : piece.bottom, piece.left : piece.right] >= CONTOUR
    return float(inked.mean()) < GREY


def _is_any_within(found: Found, others: Sequence[Found]) -> bool:
    return any(_is_within(found.piece, other.piece) for other in others)


def _is_within(piece: Piece, other: Piece) -> bool:
    """Whether one of two finds is within the other, mostly."""
    return max(piece.share_in(other), other.share_in(piece)) > SAME


def _is_seen(found: Found, others: Sequence[Found]) -> bool:
    """Whether a digit is among others, in the same place."""
    return any(
        other.digit == found.digit and _is_within(other.piece, found.piece) for other in others
    )


def fills(page: Page, margin: int) -> bool:
    """Whether what is read on a page is as high as all that is within its margin.

    A bar alone has paper on both sides, or it may be what lies beside the paper.
    """
    read = all_read(page)
    if not read or any(each.pen > BROADEST * each.piece.height for each in read):
        return False
    whole = union([each.piece for each in read])
    height, width = page.clean.shape
    beside = min(whole.left, width - whole.right) > margin
    return whole.height >= SPANNING * (height - 2 * margin) and (beside or beyond_bars(page))


def beyond_bars(page: Page) -> bool:
    """Whether there is more than bars.

    They alone are found in the wrong polarity, too, and may be the edges of a shadow.
    """
    return any(each.digit != STICK for line in page.lines for each in line)


def other_is_better(page: Page, likelier: Page, is_sure: Accept) -> bool:
    """Whether the ink of the less likely polarity is to be read."""
    digits, others = (
        [each for each in some.found if is_sure(each) and _is_plausible(each)]
        for some in (likelier, page)
    )
    digits = [each for each in digits if not _is_written_on(each, others)]
    read = [each for each in all_read(page) if not _is_outline(each, digits)]
    beside = [
        each
        for each in all_read(likelier)
        if not _is_faint_outline(each, others) and not _is_written_on(each, others)
    ]
    if likelier.ink.certain:
        more, most = (sum(each.digit != STICK for each in some) for some in (read, beside))
        return more > most + SURELY_MORE or (more > most == 0 and _is_clear(page))
    return 0.5 * _ink_read(read) > _ink_read(beside)


def _is_clear(page: Page) -> bool:
    """Whether there is hardly more on a page than what is read, which is fine strokes."""
    fine = all(each.pen < FINE * each.piece.height for each in all_read(page))
    return fine and len(page.found) <= MOST_FOUND


def better(other: Page, page: Page) -> Page:
    """Return ``other``, seen otherwise, if more is read there, and that is not mostly bars."""
    read, before = (_plausibly_read(each.with_sole()) for each in (other, page))
    bars = sum(each.digit == STICK for each in read)
    return other if 2 * bars <= len(read) and _ink_read(read) > MORE * _ink_read(before) else page


def without_rims(finer: Page, page: Page) -> Page:
    """Return a page of finer strokes without what is the rim of something solid, or of a broad 1.

    Args:
        finer: the page.
        page: the same with the broad strokes: a disc is whole there.
    """
    solid = [each for each in page.found if is_solid(each)]
    bars = [each for each in all_read(page) if each.digit == STICK]
    lines = [
        [each for each in line if not _is_rim(each, solid) and not _is_in_bar(each, bars)]
        for line in finer.lines
    ]
    return dataclasses.replace(finer, lines=[line for line in lines if line])


def _is_rim(found: Found, solid: Sequence[Found]) -> bool:
    return any(_is_same(found.piece, other.piece) for other in solid)


def _is_in_bar(found: Found, bars: Sequence[Found]) -> bool:
    """Whether what was found is a part of a bar: it is no stronger, and no bar."""
    return found.digit != STICK and any(
        found.piece.share_in(bar.piece) > SAME and found.strength <= bar.strength for bar in bars
    )


def _is_same(piece: Piece, other: Piece) -> bool:
    return min(piece.share_in(other), other.share_in(piece)) > SAME


def _plausibly_read(page: Page) -> list[Found]:
    """Return what was read on a page, what is likely to be a shadow left out."""
    return [each for each in all_read(page) if _is_plausible(each)]


def _is_plausible(found: Found) -> bool:
    """Whether a find is no broader than what a pen draws, and is sure if it was cut."""
    sure = not found.cut_from or found.confidence >= SURE
    return sure and found.pen <= BROADEST * found.piece.height


def _is_outline(found: Found, others: Sequence[Found]) -> bool:
    """Whether what was found is a part of the paper's edge around the ink of a taller digit."""
    return any(
        other.piece.height > found.piece.height and not _is_far_stronger(found, other)
        for other in _overlapping(found, others)
    )


def _is_faint_outline(found: Found, others: Sequence[Found]) -> bool:
    """Whether what was found is by or between the strokes of a digit that is far stronger."""
    return any(_is_far_stronger(other, found) for other in _overlapping(found, others))


def _is_written_on(found: Found, others: Sequence[Found]) -> bool:
    """Whether what was found is the paper that a digit is written on."""
    return any(
        found.piece.contains(other.piece)
        and other.digit != STICK
        and other.pen < FINE * other.piece.height
        and other.piece.height > INNER * found.piece.height
        for other in others
    )


def _overlapping(found: Found, others: Sequence[Found]) -> list[Found]:
    return [other for other in others if found.piece.share_in(other.piece) > 0]


def _is_far_stronger(found: Found, other: Found) -> bool:
    return found.strength > FAR_STRONGER * other.strength


def _ink_read(read: Sequence[Found]) -> float:
    """Return how much of a page was read, to choose between its polarities by."""
    return sum(
        (0.01 if each.digit == STICK else 1) * each.confidence * math.sqrt(each.piece.height)
        for each in read
    )
