"""Where touching digits may be cut apart: paths from top to bottom through little ink.

Too many cuts are proposed on purpose; which of them are made, the classifier decides (R. Casey and
E. Lecolinet, A survey of methods and strategies in character segmentation, IEEE Transactions on
Pattern Analysis and Machine Intelligence 18 (7), 1996, section 4: recognition-based segmentation).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.reading.ink import CONTOUR, Floats
from chiffres.reading.normalize import pen_width
from chiffres.reading.picture import Pixels

HEIGHT = 56
"""Paths are looked for in the piece at this height, in pixels."""
REACH = 0.25
"""How far a path may go to either side, as a share of the height: digits lean and bulge."""
ENTERED, THROUGH, ASIDE = 1.0, 0.5, 0.1
"""What it costs to enter ink, and for each width of a stroke to go through it and to go aside.

Between two digits a path enters ink once, where they touch; through a digit, twice or more."""
MOST_COSTLY = 4.0
"""No cut costs more."""
APART = 0.1
"""Cuts are this far from each other, as a share of the height."""
LEAST_SHARE = 0.07
"""On each side of a cut there is this share of the ink."""
MOST = 4
"""There are no more cuts than this for each height of a piece's width: a digit, about as wide as
high, is then not in more parts than are tried together."""


class Cut(NamedTuple):
    """A cut: the first column to its right in each row, ``(height,)`` int32, and what it costs.

    A cut through one stroke costs ``ENTERED + THROUGH``.
    """

    columns: npt.NDArray[np.int32]
    cost: float


def find_cuts(piece: Pixels) -> list[Cut]:
    """Return possible cuts through a piece of ink, from left to right.

    Args:
        piece: ``(height, width)`` uint8, ink from ``CONTOUR`` on.
    """
    scale = min(1.0, HEIGHT / piece.shape[0])
    height, width = (max(2, round(side * scale)) for side in piece.shape)
    inked = (piece >= CONTOUR).astype(np.float32)
    small = cv2.resize(inked, (width, height), interpolation=cv2.INTER_AREA)
    paths, costs = _cheapest_paths(small, max(1.0, pen_width(piece) * scale))
    return [
        Cut(_enlarged(paths[index], piece.shape, scale), float(costs[index]))
        for index in sorted(_chosen(small, paths, costs))
    ]


def _cheapest_paths(ink: Floats, pen: float) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return for each column the cheapest path from top to bottom near it, and its cost.

    A path goes down one row at a time, at most one column aside, and stays within ``REACH`` of its
    column.

    Args:
        ink: ``(height, width)``, 0 = paper to 1 = ink.
        pen: the width of a stroke, in its pixels.

    Returns:
        ``(width, height)`` columns, and ``(width,)``.
    """
    height, width = ink.shape
    reach = max(1, round(REACH * height))
    through, aside = THROUGH / pen, ASIDE / pen
    padded = cv2.copyMakeBorder(ink, 0, 0, reach + 2, reach + 2, cv2.BORDER_CONSTANT)
    here, above = padded[1:, 1:-1], padded[:-1]
    # what a step to each pixel costs, from the row above: straight, from the left, from the right
    costs = [
        ENTERED * np.maximum(here - above[:, 1 + step : above.shape[1] - 1 + step], 0)
        + np.float32(through) * here
        + np.float32(abs(step) * aside)
        for step in (0, -1, 1)
    ]
    straight, left, right = (
        np.lib.stride_tricks.sliding_window_view(cost[:, 1:-1], 2 * reach + 1, axis=1)
        for cost in costs
    )
    cost = np.full((width, 2 * reach + 3), np.inf, np.float32)  # with a border of no way
    inner = cost[:, 1:-1]
    first = np.lib.stride_tricks.sliding_window_view(padded[0, 2:-2], 2 * reach + 1)
    inner[:] = first * np.float32(ENTERED + through)
    from_side = {step: np.zeros((height, *inner.shape), np.bool_) for step in (-1, 1)}
    for row in range(1, height):
        best = inner + straight[row - 1]
        for step, others in ((-1, left), (1, right)):
            other = cost[:, 1 + step : cost.shape[1] - 1 + step] + others[row - 1]
            np.less(other, best, out=from_side[step][row])
            np.minimum(best, other, out=best)
        inner[:] = best
    ways = np.where(from_side[1], np.int8(1), -from_side[-1].view(np.int8))
    each = np.arange(width)
    paths = np.empty((width, height), np.intp)
    paths[:, -1] = inner.argmin(axis=1)
    for row in range(height - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + ways[row, each, paths[:, row]]
    return paths + each[:, None] - reach, inner.min(axis=1)


def _chosen(ink: Floats, paths: npt.NDArray[np.intp], costs: Floats) -> list[int]:
    """Return the cheapest paths that are apart from each other and have ink on both sides."""
    height, width = ink.shape
    at = paths.mean(axis=1)
    before = cv2.copyMakeBorder(ink.cumsum(axis=1), 0, 0, 1, 0, cv2.BORDER_CONSTANT)
    left = before[np.arange(height), np.clip(paths, 0, width)].sum(axis=1)
    share = left / before[:, -1].sum()
    possible = (costs <= MOST_COSTLY) & (share > LEAST_SHARE) & (share < 1 - LEAST_SHARE)
    chosen: list[int] = []
    most = math.ceil(MOST * width / height)
    for index in np.flatnonzero(possible)[np.argsort(costs[possible], kind="stable")]:
        if all(abs(at[index] - at[other]) >= APART * height for other in chosen):
            chosen.append(int(index))
        if len(chosen) == most:
            break
    return chosen


def _enlarged(
    path: npt.NDArray[np.intp], shape: tuple[int, ...], scale: float
) -> npt.NDArray[np.int32]:
    rows = (np.arange(shape[0]) + 0.5) * scale - 0.5
    columns = (np.interp(rows, np.arange(len(path)), path) + 0.5) / scale
    return np.asarray(np.rint(columns), np.int32)
