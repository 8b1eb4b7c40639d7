"""A digit as smooth ink: what a pen of any width leaves, at any size.

An image of 28×28 enlarged is blurred blocks, which no pen draws. Here the edge of its ink is found
between the pixels and kept as distances, so that an enlarged digit has the edge of real ink; and
the line that the pen went along is found, so that another pen can go along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import erf

from chiffres.data.dataset import SIDE, Digits
from chiffres.data.pen import Floats
from chiffres.data.thinning import inside_of, thinned

Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

DETAIL = 8
"""Samples of a field per pixel of the 28×28 image."""
MARGIN = 4
"""Pixels of the 28×28 image around it, so that a wide pen has room."""
FIELD = DETAIL * (SIDE + 2 * MARGIN)
"""The side of a field, in samples."""
FINEST = 0.4
"""The finest pen, in pixels of the 28×28 image."""
BLOT = 1.5
"""How many times as thick as the pen a blot is; where strokes cross, it is 1.4."""
EVENED = 4.0
"""By how much the distances from the line are blurred, in samples: the line has steps of one."""
SMOOTH = 0.6
"""By how much the image is blurred before its edge is found, in its pixels: less leaves steps."""


@dataclass(frozen=True, eq=False)
class Shape:
    """The ink of a digit, apart from the pen that wrote it.

    Attributes:
        value: 0 to 9.
        edge: ``(288, 288)`` float32, how far each sample is inside the ink, negative outside.
        line: ``(288, 288)`` float32, how far each sample is from the line the pen went along.
        blot: ``(288, 288)`` float32, how far each sample is inside what is much thicker than the
            pen: loops that ran full, which a line would not show.
        pen: how wide the pen was, in samples (the median along the line).
        form: which way of writing the digit it is, where that is known; else nothing.
    """

    value: int
    edge: Field
    line: Field
    blot: Field
    pen: float
    form: str = ""

    def drawn(self, width: float) -> Field:
        """Return how far each sample is inside the ink of a pen ``width`` samples wide.

        A wider pen than that of the image thickens its ink; a finer one follows its line. No pen
        is so wide that it fills a loop or a bay that a reader needs.
        """
        width = max(width, FINEST * DETAIL)
        if width < 0.8 * self.pen:
            return np.asarray(np.maximum(width / 2 - self.line, self.blot - (self.pen - width) / 2))
        holes = _holes(self.edge > 0)
        for share in (1.0, 0.8, 0.6, 0.4, 0.2):
            inside = self.edge + share * (width - self.pen) / 2
            if _holes(inside > 0) == holes:
                return np.asarray(inside, np.float32)
        return self.edge


Source = Callable[[np.random.Generator], Shape]
"""Draws a digit by chance."""


def from_image(image: npt.NDArray[np.uint8], value: int) -> Shape:
    """Return the digit in ``image``, ``(28, 28)`` uint8 with light ink, as a shape."""
    grey = np.pad(image.astype(np.float32) / 255, MARGIN)
    large = cv2.resize(grey, (FIELD, FIELD), interpolation=cv2.INTER_CUBIC)
    large = cv2.GaussianBlur(large, (0, 0), SMOOTH * DETAIL)
    # the level that keeps the area of the ink: half would lose the thin strokes to the blur
    level = np.partition(large.ravel(), -_area(grey))[-_area(grey)]
    return from_ink(large > max(level, 0.15), value)


def _area(grey: Floats | Field) -> int:
    return max(1, int(grey.sum() * DETAIL**2))


def from_ink(ink: Mask, value: int, form: str = "") -> Shape:
    """Return the shape whose ink is ``ink``, ``(288, 288)``, with at least one sample of it."""
    inside = inside_of(ink)
    edge = _smooth(inside - inside_of(~ink), 2)
    spine = thinned(ink)
    away = np.arange(0, FIELD, 0.25)
    line = np.interp(_smooth(inside_of(~spine), EVENED), _evened(away), away).astype(np.float32)
    half = float(np.median(inside[spine]))
    core = inside > BLOT * half
    blot = BLOT * half - inside_of(~core) if core.any() else np.full_like(edge, -FIELD)
    return Shape(value, edge, line, blot, 2 * half, form)


def from_strokes(strokes: Sequence[Floats], value: int, width: float, form: str = "") -> Shape:
    """Return the digit that a pen drew along ``strokes``.

    Args:
        strokes: the points passed, ``(n, 2)`` each, x to the right and y down, in any unit.
        value: 0 to 9.
        width: of the pen, in pixels of the 28×28 image.
        form: the name of this way of writing it.
    """
    points = np.concatenate(strokes)
    scale = DETAIL * (20 - width) / np.ptp(points, axis=0).max()
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    ink = np.zeros((FIELD, FIELD), np.uint8)
    for stroke in strokes:
        placed = np.rint(((stroke - centre) * scale + FIELD / 2) * 16).astype(np.int32)
        thickness = max(1, round(width * DETAIL))
        cv2.polylines(ink, [placed[:, None]], False, 255, thickness, cv2.LINE_8, 4)
    return from_ink(ink > 0, value, form)


def of_digits(digits: Digits) -> Source:
    """Return a source that takes the digits of a dataset part, any of them."""

    def draw(rng: np.random.Generator) -> Shape:
        index = int(rng.integers(len(digits)))
        return from_image(digits.images[index], int(digits.labels[index]))

    return draw


def _evened(away: Floats) -> Floats:
    """Return what ``EVENED`` makes of distances from a straight line: on it, they are not 0."""
    near = EVENED * np.sqrt(2 / np.pi) * np.exp(-((away / EVENED) ** 2) / 2)
    return np.asarray(near + away * erf(away / (EVENED * np.sqrt(2))))


def _smooth(field: Field, spread: float) -> Field:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), spread), np.float32)


def _holes(ink: Mask) -> int:
    """Count the pieces of the background."""
    return int(cv2.connectedComponents((~ink).astype(np.uint8), connectivity=4)[0])
