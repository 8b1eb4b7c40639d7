"""The words of a line: which are numbers, and which are text with letters that look like digits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from chiffres.reading.lattice import SMALL, Found
from chiffres.reading.page import STICK
from chiffres.reading.usual import FAR, HARDLY, SAME_PEN, Accept, Usual, gap, is_alike, is_of_pen

SPACE = 0.7
"""A gap of this many heights of the line ends a word."""
DIGITS_IN_WORD, DIGITS_IN_LINE, DIGITS_ON_PAGE = 0.49, 0.6, 0.65
"""In a word, a long line and on a full page of digits, at least this share is read.

On pages of printed text it is 0.4, on one in twenty above 0.63: many a letter is a digit, too."""
LONG_LINE = 5
"""How many finds make a long line."""
ALL_CUT = 0.9
"""A piece that can be cut in digits counts so much, by the square of their share: a part of a
letter is often a digit, all of them seldom."""
BARS_CUT = 0.4
"""One that can be cut in 1s and nothing else counts so much: a V can, an N, an M."""
DOUBTFUL_BAR = 0.6
"""A bar counts so much where not all beside it are digits: of bold letters many are bars."""
SMALL_PRINT = 0.6
"""Words of less than this share of the usual height are letters, unless they are long numbers."""
LONG_NUMBER, SPACED_NUMBER, VERY_LONG_NUMBER = 3, 4, 5
"""A word of so many digits, all read, is a number even on a page of text; so is a line of so many
digits and nothing else; and so is a word of so many even in a line of text."""
ALONE = 0.85
"""A number that has this share of its line's finds does not share it with text."""


def numbers(line: Sequence[Found], usual: Usual, accept: Accept) -> list[Found]:
    """Return the words of a line that are numbers, none where the line is text.

    Words of far smaller digits than the usual are letters, mostly, unless they are long numbers.
    """
    if not line:
        return []
    height = float(np.median([found.piece.height for found in line]))
    line = [found for found in line if found.cut_from or found.piece.height >= SMALL * height]
    chosen = _chosen(line, _words(line, height), accept)
    read = _trimmed([found for word in chosen for found in word], usual, accept)
    words = _words(read, usual.size)
    return [found for word in words if not _is_small_print(word, usual, accept) for found in word]


def _chosen(
    line: Sequence[Found], words: Sequence[list[Found]], accept: Accept
) -> list[list[Found]]:
    """Return the words of which enough is digits; of a line of text those that are long numbers."""
    enough = [share(word, accept) >= _enough(word) for word in words]
    if share(line, accept) >= _enough(line):  # single digits far apart are words, too
        enough = [
            each or len(word) == 1 or _is_cut_in_digits(word, accept)
            for each, word in zip(enough, words, strict=True)
        ]
        return list(itertools.compress(words, enough))
    chosen = list(itertools.compress(words, enough))
    if 2 * sum(map(len, chosen)) < len(line):
        return [word for word in chosen if _is_long_number(word, accept)]
    return chosen


def _trimmed(line: list[Found], usual: Usual, accept: Accept) -> list[Found]:
    """Return a line without what is doubtful at its ends, if that is far off or of another pen."""
    while len(line) > 1 and _is_stray(line[0], line[1], usual, accept):
        line = line[1:]
    while len(line) > 1 and _is_stray(line[-1], line[-2], usual, accept):
        line = line[:-1]
    return line


def _is_stray(found: Found, beside: Found, usual: Usual, accept: Accept) -> bool:
    """Whether a doubtful find is not of the number that begins, or ends, beside it."""
    if accept(found):
        return False
    unlike = found.confidence < HARDLY and not is_of_pen(found, usual, SAME_PEN)
    return unlike or gap(found, beside) > FAR * usual.size


def _is_small_print(word: Sequence[Found], usual: Usual, accept: Accept) -> bool:
    tallest = max(found.piece.height for found in word)
    return tallest < SMALL_PRINT * usual.size and not _is_long_number(word, accept)


def _enough(line: Sequence[Found]) -> float:
    return DIGITS_IN_LINE if len(line) >= LONG_LINE else DIGITS_IN_WORD


def share(line: Sequence[Found], accept: Accept) -> float:
    """Return which share of the pieces on a line are digits; one cut in digits counts for less."""
    scores = _scores(line, accept)
    return sum(scores) / max(1, len(scores))


def _scores(line: Sequence[Found], accept: Accept) -> list[float]:
    """Return 1 for each piece that is a digit, ``ALL_CUT`` for one cut in digits, else less."""
    whole = all(map(accept, line))
    scores = []
    for _, parts in itertools.groupby(line, key=lambda found: found.cut_from or id(found)):
        found = list(parts)
        bars = all(each.digit == STICK for each in found if accept(each))
        if found[0].cut_from:
            digits = float(np.mean([_share_of(each, accept) for each in found]))
            scores.append((BARS_CUT if bars else ALL_CUT) * digits**2)
        else:
            score = DOUBTFUL_BAR if bars and not whole else 1.0
            scores.append(score * accept(found[0]))
    return scores


def _is_cut_in_digits(word: Sequence[Found], accept: Accept) -> bool:
    """Whether digits touch in a word, as many likely ones as make a number of others."""
    likely = float(np.mean([_share_of(each, accept) for each in word]))
    return any(each.cut_from for each in word) and likely >= DIGITS_IN_WORD


def _share_of(part: Found, accept: Accept) -> float:
    """Return how much a part of a piece that is cut counts as a digit: as much as it is likely."""
    if accept(part):
        return 1.0
    return part.confidence if part.confidence >= HARDLY else 0.0


def numbers_among_text(
    kept: Sequence[Sequence[Found]],
    lines: Sequence[Sequence[Found]],
    usual: Usual,
    accept: Accept,
) -> list[list[Found]]:
    """Return the long numbers; where they share their line with text, the very long ones."""
    whole = {id(found): line for line in lines for found in line}
    read = []
    for line in kept:
        height = float(np.median([found.piece.height for found in line]))
        written = [
            found
            for found in whole[id(line[0])]
            if found.piece.height >= SMALL * height and is_alike(found, usual)
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
        read.append([found for word in words for found in word])
    return [line for line in read if line]


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
