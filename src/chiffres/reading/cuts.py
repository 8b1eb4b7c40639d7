"""Where touching digits are cut apart: paths from top to bottom through little ink."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.normalize import pen_width
from chiffres.data.strokes import CONTOUR, Floats
from chiffres.reading.picture import Pixels

HEIGHT = 56
"""Paths are looked for in the piece at this height, in pixels."""
REACHES = (0.25, 0.08)
"""How far a path may go to either side, as a share of the height: digits lean and bulge; and one
beside a narrow digit is not to go round it."""
ENTERED, THROUGH, ASIDE = 1.0, 0.5, 0.1
"""What it costs to enter ink, and for each width of a stroke to go through it and to go aside.

Between two digits a path enters ink once, where they touch; through a digit, twice or more."""
OFF = 1.5
"""What a path costs that is at the end of where it may be, and not in the middle."""


def cut_between(
    piece: Pixels, between: Sequence[tuple[float, float]]
) -> list[npt.NDArray[np.int32]]:
    """Return the first column to the right of each cut in each row, ``(height,)``.

    Args:
        piece: ``(height, width)`` uint8, ink from ``CONTOUR`` on.
        between: of each cut, the columns between which it is to be, about.
    """
    scale = min(1.0, HEIGHT / piece.shape[0])
    height, width = (max(2, round(side * scale)) for side in piece.shape)
    inked = (piece >= CONTOUR).astype(np.float32)
    small = cv2.resize(inked, (width, height), interpolation=cv2.INTER_AREA)
    pen = max(1.0, pen_width(piece) * scale)
    ways = [_cheapest_paths(small, pen, max(1, round(reach * height))) for reach in REACHES]
    paths, costs = (np.concatenate(some) for some in zip(*ways, strict=True))
    at = paths.mean(axis=1)
    cuts = []
    for ends in between:
        start, stop = (scale * end for end in ends)
        off = np.abs(at - (start + stop) / 2) / max(1.5, (stop - start) / 2)
        path = paths[(costs + OFF * off**2).argmin()]
        cuts.append(_enlarged(path, piece.shape, scale))
    return cuts


def _cheapest_paths(ink: Floats, pen: float, reach: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return for each column the cheapest path from top to bottom near it, and its cost.

    A path goes down one row at a time, at most one column aside, and stays within reach of its
    column.

    Args:
        ink: ``(height, width)``, 0 = paper to 1 = ink.
        pen: the width of a stroke, in its pixels.
        reach: how far a path may go to either side, in its pixels.

    Returns:
        ``(width, height)`` columns, and ``(width,)``.
    """
    height, width = ink.shape
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


def _enlarged(
    path: npt.NDArray[np.intp], shape: tuple[int, ...], scale: float
) -> npt.NDArray[np.int32]:
    rows = (np.arange(shape[0]) + 0.5) * scale - 0.5
    columns = (np.interp(rows, np.arange(len(path)), path) + 0.5) / scale
    return np.asarray(np.rint(columns), np.int32)
