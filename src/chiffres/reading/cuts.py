"""Where touching digits may be cut apart: paths from top to bottom through little ink.

Too many cuts are proposed on purpose; which of them are made, the classifier decides (R. Casey and
E. Lecolinet, A survey of methods and strategies in character segmentation, IEEE Transactions on
Pattern Analysis and Machine Intelligence 18 (7), 1996, section 4: recognition-based segmentation).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.reading.ink import CONTOUR, Floats
from chiffres.reading.normalize import pen_width
from chiffres.reading.picture import Pixels

HEIGHT = 48
"""Paths are looked for in the piece at this height, in pixels."""
ASIDE = 0.2
"""What a step aside costs, in pixels of ink."""
LONGEST = 2.6
"""A cut goes through at most this much ink, in widths of a stroke."""
APART = 0.2
"""Cuts are this far from each other and from the ends, as a share of the height."""
LEAST_SHARE = 0.07
"""On each side of a cut there is this share of the ink."""
MOST = 6


class Cut(NamedTuple):
    """A cut: the first column to its right in each row, and the ink it goes through.

    ``columns`` is ``(height,)`` int32, ``length`` is in widths of a stroke.
    """

    columns: npt.NDArray[np.int32]
    length: float


def find_cuts(piece: Pixels) -> list[Cut]:
    """Return possible cuts through a piece of ink, from left to right.

    Args:
        piece: ``(height, width)`` uint8, ink from ``CONTOUR`` on.
    """
    inked = (piece >= CONTOUR).astype(np.float32)
    pen = pen_width(piece)
    scale = min(1.0, HEIGHT / piece.shape[0])
    height, width = (max(2, round(side * scale)) for side in piece.shape)
    small = cv2.resize(inked, (width, height), interpolation=cv2.INTER_AREA)
    paths, lengths = _cheapest_paths(small)
    lengths = lengths / max(1.0, pen * scale)
    return [
        Cut(_enlarged(paths[:, end], piece.shape, scale), float(lengths[end]))
        for end in sorted(_chosen(small, paths, lengths), key=lambda end: paths[:, end].mean())
    ]


def _cheapest_paths(ink: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return for each column the cheapest path that ends there at the bottom, and its ink.

    A path goes down one row at a time, at most one column aside. Returns ``(height, width)``
    columns and ``(width,)`` pixels of ink.
    """
    height, width = ink.shape
    cost, length = ink[0].copy(), ink[0].copy()
    paths = np.empty((height, width), np.intp)
    paths[0] = np.arange(width)
    columns = np.arange(width)
    aside = np.float32(ASIDE)
    for row in range(1, height):
        padded = np.pad(cost, 1, constant_values=np.inf)
        ways = np.stack([padded[:-2] + aside, padded[1:-1], padded[2:] + aside])
        way = ways.argmin(axis=0)
        source = columns + way - 1
        cost = ways[way, columns] + ink[row]
        length = length[source] + ink[row]
        paths[:row] = paths[:row, source]
        paths[row] = columns
    return paths, length


def _chosen(ink: Floats, paths: npt.NDArray[np.intp], lengths: Floats) -> list[int]:
    """Return the ends of the cheapest paths that are apart from each other and part the ink."""
    height, width = ink.shape
    at = paths.mean(axis=0)
    left = np.array([(ink * (np.arange(width) < path[:, None])).sum() for path in paths.T])
    share = left / ink.sum()
    possible = (lengths <= LONGEST) & (share > LEAST_SHARE) & (share < 1 - LEAST_SHARE)
    possible &= (at > APART / 2 * height) & (at < width - APART / 2 * height)
    chosen: list[int] = []
    for end in np.flatnonzero(possible)[np.argsort(lengths[possible], kind="stable")]:
        if all(abs(at[end] - at[other]) >= APART * height for other in chosen):
            chosen.append(int(end))
        if len(chosen) == MOST:
            break
    return chosen


def _enlarged(
    path: npt.NDArray[np.intp], shape: tuple[int, ...], scale: float
) -> npt.NDArray[np.int32]:
    rows = (np.arange(shape[0]) + 0.5) * scale - 0.5
    columns = np.interp(rows, np.arange(len(path)), path) / scale
    return np.rint(columns).astype(np.int32)
