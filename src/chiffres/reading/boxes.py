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


def _hidden(lines: Sequence[Straight], across: Sequence[Straight], ink: Pixels) -> list[Straight]:
    """Return the lines beside the known ones that writing hides: there is ink all along them."""
    found: list[Straight] = []
    looked: list[tuple[int, Straight]] = []
    for at, other in np.argwhere(_ends_on(lines, across).any(axis=2)).tolist():
        line = lines[at]
        if any(other == place and line.is_as_long(before) for place, before in looked):
            continue
        looked.append((other, line))
        found += [
            each
            for each in _moved(line, across[other], ink)
            if not any(known.covers(each) for known in (*lines, *found))
        ]
    return found


def _moved(line: Straight, along: Straight, ink: Pixels) -> list[Straight]:
    """Return the line moved along another that it ends on, to wherever it is full of ink."""
    reach = round(CORNER + along.width)
    moves = np.arange(along.start - reach, along.stop + reach) - round(float(line.rows[0]))
    points = np.arange(0, line.length, max(1, line.length // POINTS))
    rows = np.rint(line.rows[points]).astype(int)[:, None] + moves
    rows = np.clip(rows, 0, ink.shape[0] - 1)
    inked = ink[rows, (line.start + points)[:, None]] >= FAINT
    full = np.concatenate([[False], inked.mean(axis=0) >= FULL, [False]])
    return [
        line._replace(rows=line.rows + moves[(first + stop) // 2])
        for first, stop in np.flatnonzero(np.diff(full)).reshape(-1, 2)
        if stop - first <= BROADEST * line.width + 1
    ]
