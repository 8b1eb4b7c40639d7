"""Pictures that were enlarged without smoothing: what was a pixel is a block of many equal ones.

The corners of blocks are no strokes. Each block is made the pixel again that it was.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.image import frame
from chiffres.data.strokes import Pixels, bounds

Positions = npt.NDArray[np.intp]
"""Of pixels, or blocks, along a side of a picture."""

FEW, MANY = 32, 512
"""In so many rows and columns it is looked for blocks: first in few, for few pictures have any."""
FEWEST_EDGES = 4
"""With fewer edges between blocks, across or down, there is no telling."""
KINDS = ((0, 2), (64, 6))
"""By how much blocks differ from their neighbours somewhere, in grey levels, and the size they have
at least, in pixels: all are alike inside, or nearly, where they were compressed as a JPEG."""
MOST_SHADES = 4
"""A picture of no more shades is drawn of straight lines, and was not enlarged."""
OFF = 1.0
"""How far from where it should be an edge between two blocks is, in pixels, at most."""
ROUNDED = 0.6
"""What is left of a gap, counted in blocks, and is none: some have 3 pixels where others have 2."""
LOST = 0.1
"""The share of what differs in a picture that does within its blocks, at most."""
UNLIKE, AROUND, LEAST_SIDE = 64, 0.6, 6
"""A picture in a margin differs from it by more than so many grey levels in three corners and along
that share of its sides, each at least so many pixels long: no digit is as square."""


class Grid(NamedTuple):
    """Where the blocks are along one side of a picture.

    Attributes:
        middles: of each block, a pixel in its middle.
        block_of: of each pixel, its block.
    """

    middles: Positions
    block_of: Positions


def without_blocks(pixels: Pixels) -> Pixels:
    """Return a picture with one pixel for each of its blocks, or as it is if it has none.

    Blocks are all of one size, maybe no whole number of pixels, and may begin anywhere.

    Args:
        pixels: ``(height, width)`` or ``(height, width, 3)`` uint8.
    """
    sides = pixels, pixels.swapaxes(0, 1)
    few = [_steps(side, FEW) for side in sides]
    for differ, least in KINDS:
        if any(_smallest(_edges(steps, differ)) < least for steps in few):
            continue
        rows, columns = (
            _grid(_edges(_steps(side, MANY), differ), least, len(side)) for side in sides
        )
        if not rows or not columns:
            continue
        small = pixels[rows.middles][:, columns.middles]
        down, across = (_step(side, MANY) for side in pixels.shape[:2])
        some = pixels[::down, ::across]
        enlarged = small[rows.block_of[::down]][:, columns.block_of[::across]]
        within, all_over = (
            cv2.absdiff(some, other).mean()
            for other in (enlarged, np.full_like(some, np.median(some)))
        )
        if within <= LOST * all_over and len(np.unique(small)) > MOST_SHADES:
            return _without_margin(np.ascontiguousarray(small))
    return pixels


def _without_margin(pixels: Pixels) -> Pixels:
    """Return a picture in a plain margin, of quite another colour, as if it went on there.

    Plots have such: a light digit on black, which may touch the white around it.
    """
    colours = pixels.reshape(*pixels.shape[:2], -1)
    other = np.abs(colours.astype(np.int16) - colours[0, 0]).max(axis=2)
    if not other.any():
        return pixels
    top, bottom, left, right = bounds(other > 0)
    inside = np.s_[top:bottom, left:right]
    unlike = other[inside] > UNLIKE
    corners = unlike[[0, 0, -1, -1], [0, -1, 0, -1]]
    if min(unlike.shape) < LEAST_SIDE or corners.sum() < 3 or frame(unlike).mean() < AROUND:
        return pixels
    filled = np.empty_like(colours)
    filled[:] = np.median(frame(colours[inside]), axis=0)
    filled[inside] = colours[inside]
    return filled.reshape(pixels.shape)


def _grid(edges: Positions, least: int, length: int) -> Grid | None:
    """Return the blocks between edges, along a side so long, or None where there are none.

    Args:
        edges: where blocks begin, some of them.
        least: see ``KINDS``.
        length: in pixels.
    """
    if _smallest(edges) < least:
        return None
    numbers, size = _counted(edges)
    if np.ptp(edges - size * numbers) > 2 * OFF:
        return None
    first, start, size, count = _laid(edges, numbers, size, length)
    begins = np.rint(start + np.arange(count) * size)
    begins[first + numbers] = edges
    middles = start + (np.arange(count) + 0.5) * size
    return Grid(
        np.clip(middles, 0, length - 1).astype(np.intp),
        np.maximum(0, np.searchsorted(begins, np.arange(length), side="right") - 1),
    )


def _step(side: int, lines: int) -> int:
    """Return every how manieth row or column is looked at."""
    return max(1, side // lines)


def _steps(pixels: Pixels, lines: int) -> Pixels:
    """Return how much each row differs from the one above where it does most, of some columns."""
    some = pixels[:, :: _step(pixels.shape[1], lines)].reshape(len(pixels), -1)
    steps = np.maximum(some[1:], some[:-1]) - np.minimum(some[1:], some[:-1])
    return np.asarray(steps.max(axis=1), np.uint8)


def _edges(steps: Pixels, differ: int) -> Positions:
    """Return the rows that differ by more than that from the one above."""
    return 1 + np.flatnonzero(steps > differ)


def _smallest(edges: Positions) -> int:
    """Return how far two edges are apart, at least; 0 where there are too few to tell."""
    return int(np.diff(edges).min()) if len(edges) >= FEWEST_EDGES else 0


def _counted(edges: Positions) -> tuple[Positions, float]:
    """Return how many blocks each edge is beyond the first one, and the size of a block."""
    gaps = np.diff(edges)
    size = float(gaps[gaps <= 1.5 * gaps.min()].mean())
    numbers = [0]
    for gap, edge in zip(gaps, edges[1:], strict=True):  # the longer the way, the surer the size
        numbers.append(numbers[-1] + math.ceil(gap / size - ROUNDED))
        size = float(edge - edges[0]) / numbers[-1]
    return np.array(numbers), size


def _laid(
    edges: Positions, numbers: Positions, size: float, length: int
) -> tuple[int, float, float, int]:
    """Return which block the first edge begins, where blocks begin, their size and their number.

    As a rule the whole side is a number of blocks; else those at its ends are cut off.
    """
    usual = round(length / size)
    fitting = []
    for count in range(usual - 1, usual + 2):
        first = round(edges[0] * count / length)
        off = edges - (first + numbers) * length / count
        most = max(np.abs(off).max(), np.ptp(off))
        if most <= OFF and 0 < first < count - numbers[-1]:
            fitting.append((most, count, first))
    if fitting:
        _, count, first = min(fitting)
        return first, 0.0, length / count, count
    first = max(1, math.ceil((edges[0] - 2 * OFF) / size))
    after = max(1, math.ceil((length - edges[-1] - 2 * OFF) / size))
    return first, edges[0] - first * size, size, first + numbers[-1] + after
