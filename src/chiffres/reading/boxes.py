"""The boxes to write in that a form has, one for each digit: their sides among straight lines.

Digits touch them and cross them, so what is not seen of a box is looked for where it has to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chiffres.data.strokes import CONTOUR
from chiffres.reading.picture import Pixels
from chiffres.reading.straight import ALIKE, CORNER, FULL, Straight

Bools = npt.NDArray[np.bool_]

FAINT = CONTOUR // 2
"""A line is followed through what is weaker than ink: near writing much is asked of ink."""
POINTS = 64
"""At so many points along it is looked whether there is ink where a side may be."""
LOWEST, HIGHEST = 4.0, 1.3
"""A row of boxes is so many widths of its lines high, at least, and at most so many lengths."""
ASKEW, SHARED = 0.35, 0.8
"""Its ends are no farther from being upright, as a share of its height, one of them at least; and
its lines are beside each other for this share of the longer."""
BROADEST = 1.7
"""What is so many times as broad as a side, and full of ink, is no side."""


def find_sides(
    lying: Sequence[Straight], upright: Sequence[Straight], ink: Pixels
) -> tuple[list[Straight], list[Straight]]:
    """Return the sides of boxes, those that lie and those that are upright.

    Args:
        lying: all lines from left to right.
        upright: all lines from top to bottom, as if the picture lay on its side.
        ink: ``(height, width)`` uint8, ink from ``CONTOUR`` on.
    """
    upright = [*upright, *_between(lying, upright, ink)]
    lying = [*lying, *_hidden(lying, upright, ink)]
    upright = [*upright, *_hidden(upright, lying, ink.T)]
    ends, upright_ends = _ends_on(lying, upright), _ends_on(upright, lying)
    meet = np.asarray(ends.any(axis=2) | upright_ends.any(axis=2).T)
    return _sides(lying, ends, meet), _sides(upright, upright_ends, meet.T)


def _ends_on(lines: Sequence[Straight], across: Sequence[Straight]) -> Bools:
    """Return whether the start and the stop of each line are on each of those across it.

    Returns:
        ``(len(lines), len(across), 2)`` bool.
    """
    found = np.zeros((len(lines), len(across), 2), bool)
    if not lines:
        return found
    rows = np.array([[line.rows[0], line.rows[-1]] for line in lines])
    columns = np.array([[line.start, line.stop] for line in lines])
    widths = np.array([[line.width] for line in lines])
    for index, other in enumerate(across):
        reach = CORNER + (widths + other.width) / 2
        along = np.rint(rows).astype(int) - other.start
        there = other.rows[np.clip(along, 0, other.length - 1)]
        found[:, index] = (
            (-reach <= along)
            & (along <= other.length + reach)
            & (np.abs(there - columns) <= reach)
            & (np.abs(np.log(widths / other.width)) < math.log(ALIKE))
        )
    return found


def _sides(lines: Sequence[Straight], ends: Bools, meet: Bools) -> list[Straight]:
    """Return what goes from one line to another, both of which meet a third, and that, too.

    In a 4 and a 5 there is no such line.

    Args:
        lines: all that may be.
        ends: on which lines across them they end, as ``_ends_on`` returns it.
        meet: which lines across them they meet, ``(len(lines), number of lines across)``.
    """
    opposite = np.asarray((ends[..., 0] @ meet.T) & (ends[..., 1] @ meet.T))
    np.fill_diagonal(opposite, False)
    chosen = opposite.any(axis=0) | opposite.any(axis=1)
    return [lines[at] for at in np.flatnonzero(chosen).tolist()]


def _between(lying: Sequence[Straight], upright: Sequence[Straight], ink: Pixels) -> list[Straight]:
    """Return what goes from one line to the next below it that is as long: ink all the way.

    Of a row of boxes it is the sides, which may be too broad to be taken for lines by themselves.
    """
    rails = [line for line in lying if line.start > 0 or line.stop < ink.shape[1]]
    found: list[Straight] = []
    for upper, lower in _in_pairs(rails):
        found += _unknown(_across(upper, lower, ink), [*upright, *found])
    return found


def _in_pairs(lines: Sequence[Straight]) -> list[tuple[Straight, Straight]]:
    """Return what may be the upper and the lower sides of a row of boxes, the next one of each."""
    measures = [(line.middle, line.start, line.stop, line.width) for line in lines]
    middles, starts, stops, widths = np.array(measures).reshape(-1, 4).T
    lengths = stops - starts
    apart = middles - middles[:, None]
    over = np.minimum(stops, stops[:, None]) - np.maximum(starts, starts[:, None])
    lean = np.minimum(np.abs(starts - starts[:, None]), np.abs(stops - stops[:, None]))
    below = (LOWEST * widths[:, None] < apart) & (apart < HIGHEST * lengths[:, None])
    below &= (over >= SHARED * np.maximum(lengths, lengths[:, None])) & (lean <= ASKEW * apart)
    pairs = []
    for upper, row in zip(lines, below, strict=True):
        alike = [lines[at] for at in np.flatnonzero(row).tolist() if lines[at].is_like(upper)]
        if alike:
            pairs.append((upper, min(alike, key=lambda line: line.middle)))
    return pairs


def _unknown(lines: Sequence[Straight], known: Sequence[Straight]) -> list[Straight]:
    """Return the lines that are not along one that is known."""
    return [line for line in lines if not any(other.covers(line) for other in known)]


def _across(upper: Straight, lower: Straight, ink: Pixels) -> list[Straight]:
    """Return the lines, full of ink, from one rail to the other, as if the picture lay on its side.

    They lean as the ends do; where something hides an end of a rail, as the other end does.
    """
    most = ASKEW * (lower.middle - upper.middle)
    both = lower.start - upper.start, lower.stop - upper.stop
    leans = [lean for lean in both if abs(lean) <= most]
    reach = round(CORNER + upper.width)
    start = min(upper.start, lower.start - leans[0]) - reach
    stop = max(upper.stop, lower.stop - leans[-1]) + reach
    tops = np.arange(start, stop)
    bottoms = tops + np.linspace(leans[0], leans[-1], stop - start)
    high, low = upper.at(tops), lower.at(bottoms)
    within = upper.width / 2 / (lower.middle - upper.middle)
    down = np.linspace(within, 1 - within, POINTS)[:, None]
    columns = np.rint(tops + down * (bottoms - tops)).astype(int)
    rows = np.rint(high + down * (low - high)).astype(int)
    inked = ink[rows.clip(0, ink.shape[0] - 1), columns.clip(0, ink.shape[1] - 1)] >= FAINT
    found = []
    for middle, width in _narrow(inked, upper.width):
        first, last = round(float(high[middle])), round(float(low[middle])) + 1
        along = np.linspace(tops[middle], bottoms[middle], last - first, dtype=np.float32)
        slope = float(along[-1] - along[0]) / (last - first)
        found.append(Straight(first, last, along, width, slope, upper.strength))
    return found


def _narrow(inked: Bools, width: float) -> list[tuple[int, float]]:
    """Return the middles of narrow runs of columns that are full of ink, and their widths.

    Two sides beside each other may be one run: it is broader than a side by ``ALIKE``, at most.

    Args:
        inked: whether there is ink, ``(points along a side, places where one may be)``.
        width: of a side.
    """
    full = np.concatenate([[False], inked.mean(axis=0) >= FULL, [False]])
    runs = np.flatnonzero(np.diff(full)).reshape(-1, 2).tolist()
    return [
        ((first + stop) // 2, float(np.clip(stop - first, width, 0.99 * ALIKE * width)))
        for first, stop in runs
        if stop - first <= BROADEST * width + 1
    ]


def _hidden(lines: Sequence[Straight], across: Sequence[Straight], ink: Pixels) -> list[Straight]:
    """Return the lines beside the known ones that writing hides: there is ink all along them."""
    found: list[Straight] = []
    looked: list[tuple[int, Straight]] = []
    for at, other in np.argwhere(_ends_on(lines, across).any(axis=2)).tolist():
        line = lines[at]
        if any(other == place and line.is_as_long(before) for place, before in looked):
            continue
        looked.append((other, line))
        found += _unknown(_moved(line, across[other], ink), [*lines, *found])
    return found


def _moved(line: Straight, along: Straight, ink: Pixels) -> list[Straight]:
    """Return the line moved along another that it ends on, to wherever it is full of ink."""
    reach = round(CORNER + along.width)
    moves = np.arange(along.start - reach, along.stop + reach) - round(float(line.rows[0]))
    points = np.arange(0, line.length, max(1, line.length // POINTS))
    rows = np.rint(line.rows[points]).astype(int)[:, None] + moves
    rows = np.clip(rows, 0, ink.shape[0] - 1)
    inked = ink[rows, (line.start + points)[:, None]] >= FAINT
    return [
        line._replace(rows=line.rows + moves[middle], width=width)
        for middle, width in _narrow(inked, line.width)
    ]
