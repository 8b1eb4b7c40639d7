"""From an ink map to pieces of ink, and from pieces to lines of writing in reading order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.strokes import CONTOUR
from chiffres.reading.components import Labels, components
from chiffres.reading.ink import Floats
from chiffres.reading.morphology import dilated, eroded
from chiffres.reading.picture import Pixels

SMALLEST = 3
"""Ink that measures fewer pixels along both sides is a speck."""
LEAST_DETAIL = 0.008
"""Nor is anything a digit whose longer side is this share of the picture's longer side."""
MOST = 600
"""No more pieces than these, the largest, are looked at: beyond is texture."""
ALONG_EDGE = 0.9
"""Ink along this share of a side of the picture is what lies around the paper."""
OVERLAP = 0.45
"""Two pieces are on one line when this share of the lower one's height is beside the other."""
TWO_INKS, STICKS_OUT = 2.2, 0.7
"""Ink is of two strengths where one is so many times the other; the strong part's box is at most
this share of the piece's, if the other sticks out."""
UNLIKE = 2.8
"""Nor is one this many times as high as the other."""


@dataclass(frozen=True)
class Piece:
    """A part of the ink: one or several labels of a sheet, and the box around them, in pixels."""

    labels: tuple[int, ...]
    left: int
    top: int
    right: int
    bottom: int
    area: int

    @property
    def width(self) -> int:
        """Of the box."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Of the box."""
        return self.bottom - self.top

    def contains(self, other: Piece) -> bool:
        """Whether the box of the other is inside this one's, and touches no side of it."""
        return (
            self.left < other.left
            and self.top < other.top
            and self.right > other.right
            and self.bottom > other.bottom
        )

    def share_in(self, other: Piece) -> float:
        """Return which share of this one's box is in the other's, 0 to 1."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0, across) * max(0, down) / (self.width * self.height)

    def gaps(self, other: Piece) -> tuple[int, int]:
        """Return how far the boxes are apart, across and down, in pixels; 0 where they overlap."""
        across = max(self.left, other.left) - min(self.right, other.right)
        down = max(self.top, other.top) - min(self.bottom, other.bottom)
        return max(0, across), max(0, down)

    def sides(self, shape: tuple[int, ...]) -> int:
        """Return how many sides of a picture of this height and width it touches."""
        height, width = shape
        beyond = (self.left <= 0, self.top <= 0, self.right >= width, self.bottom >= height)
        return sum(beyond)

    def within(self, margin: int, height: int, width: int) -> Piece:
        """Return the piece where a margin has been cut off, which left so many pixels."""
        left, right = (min(max(0, side - margin), width) for side in (self.left, self.right))
        top, bottom = (min(max(0, side - margin), height) for side in (self.top, self.bottom))
        return dataclasses.replace(self, left=left, top=top, right=right, bottom=bottom)

    def __or__(self, other: Piece) -> Piece:
        return Piece(
            self.labels + other.labels,
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.area + other.area,
        )


class Sheet:
    """An ink map whose connected ink is labelled from 1 on."""

    def __init__(self, ink: Pixels, contrast: Pixels) -> None:
        self.ink, self.contrast = ink, contrast
        inked = (ink >= CONTOUR).view(np.uint8)
        self.count, self.labels, self._stats = components(inked)

    def pieces(self) -> list[Piece]:
        """Return what may be a digit or a part of one: no specks, nothing along the edges."""
        stats = self._stats[1:]
        longer = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
        large = longer >= max(SMALLEST, LEAST_DETAIL / 3 * max(self.ink.shape))
        large &= ~self._along_edges()[1:]
        chosen = np.flatnonzero(large)
        chosen = chosen[np.argsort(-longer[chosen], kind="stable")[:MOST]]
        return [self._piece(int(index) + 1) for index in chosen]

    def _piece(self, label: int) -> Piece:
        x, y, width, height, area = (int(number) for number in self._stats[label])
        return Piece((label,), x, y, x + width, y + height, area)

    def _along_edges(self) -> npt.NDArray[np.bool_]:
        edges = (self.labels[0], self.labels[-1], self.labels[:, 0], self.labels[:, -1])
        shares = [np.bincount(edge, minlength=self.count) / len(edge) for edge in edges]
        around = np.mean(shares, axis=0) > ALONG_EDGE / 2
        return np.asarray((np.max(shares, axis=0) > ALONG_EDGE) | around)

    def crop(self, piece: Piece) -> Pixels:
        """Return the ink of the piece alone, with a pixel around it, ``(height, width)`` uint8."""
        rows, columns = self._around(piece)
        labels = self.labels[rows, columns]
        own = self._own(labels, piece)
        near = cv2.dilate(own.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
        return np.where(near & (own | (labels == 0)), self.ink[rows, columns], np.uint8(0))

    def strength(self, piece: Piece) -> float:
        """Return the mean contrast of the piece's ink, 0 to 255."""
        rows, columns = self._around(piece)
        own = self._own(self.labels[rows, columns], piece).view(np.uint8)
        return float(cv2.mean(self.contrast[rows, columns], own)[0])

    def sharpness(self, piece: Piece, reach: int) -> float:
        """Return which share of its contrast the piece's outline has within ``reach`` pixels.

        Of writing it is nearly all, of shadows and clouds little: 0 to 1, or more.
        """
        margin = reach + 1
        rows = slice(max(0, piece.top - margin), piece.bottom + margin)
        columns = slice(max(0, piece.left - margin), piece.right + margin)
        own = self._own(self.labels[rows, columns], piece).view(np.uint8)
        rim = own - cv2.erode(own, np.ones((3, 3), np.uint8))
        contrast = self.contrast[rows, columns]
        size = 2 * reach + 1
        contrast = np.asarray(cv2.blur(contrast, (reach, reach)), np.uint8)  # grain is no edge
        steps = cv2.subtract(dilated(contrast, size, size), eroded(contrast, size, size))
        strength = cv2.mean(contrast, own)[0]
        return float(cv2.mean(steps, rim)[0] / max(1.0, strength))

    @staticmethod
    def _around(piece: Piece) -> tuple[slice, slice]:
        return (
            slice(max(0, piece.top - 1), piece.bottom + 1),
            slice(max(0, piece.left - 1), piece.right + 1),
        )

    @staticmethod
    def _own(labels: Labels, piece: Piece) -> npt.NDArray[np.bool_]:
        own = labels == piece.labels[0]
        for label in piece.labels[1:]:
            own |= labels == label
        return np.asarray(own)

    def strong_part(self, piece: Piece) -> Piece | None:
        """Label the strong ink of a piece anew, where weaker ink sticks out from it.

        Returns:
            It, which is no part of the piece's labels any more; or None where the ink is of one
            strength, or the strong one is nearly everywhere.
        """
        rows, columns = slice(piece.top, piece.bottom), slice(piece.left, piece.right)
        labels, contrast = self.labels[rows, columns], self.contrast[rows, columns]
        own = self._own(labels, piece)
        levels = contrast[own]
        least, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        above = levels > least
        if not above.any() or above.all():
            return None
        if float(levels[above].mean()) < TWO_INKS * float(levels[~above].mean()):
            return None
        strong = cv2.dilate((own & (contrast > least)).view(np.uint8), np.ones((3, 3), np.uint8))
        part = own & (strong > 0)
        _, _, width, height = cv2.boundingRect(part.view(np.uint8))
        if width * height > STICKS_OUT * piece.width * piece.height:
            return None
        return self._anew(labels, part, piece.left, piece.top)

    def near_groups(self, gap: float) -> Labels:
        """Return a number for each label, the same where ink is nearer than ``gap`` pixels."""
        inked = self.ink >= CONTOUR
        side = 2 * math.ceil(gap / 2) + 1
        _, together, _ = components(dilated(inked.view(np.uint8), side, side))
        groups = np.zeros(self.count, np.int32)
        where = np.flatnonzero(inked)
        groups[self.labels.ravel()[where]] = together.ravel()[where]
        return groups

    def split(
        self, piece: Piece, seams: Sequence[npt.NDArray[np.int32]]
    ) -> list[tuple[int, Piece]]:
        """Label anew what lies between the seams.

        Args:
            piece: of one label or several.
            seams: from left to right, the first column, of this sheet, to the right of each cut,
                ``(height of the piece,)``.

        Returns:
            From left to right, each piece and the number of the seam to its right; between some
            there may be nothing.
        """
        rows = slice(piece.top, piece.bottom)
        labels = self.labels[rows, piece.left : piece.right]
        own = self._own(labels, piece)
        columns = np.arange(piece.left, piece.right)
        side = sum((columns >= seam[:, None]).astype(np.int32) for seam in seams)
        parts = []
        for number in range(len(seams) + 1):
            part = own & (side == number)
            if part.any():
                parts.append((number, self._anew(labels, part, piece.left, piece.top)))
        return parts

    def _anew(self, labels: Labels, part: npt.NDArray[np.bool_], left: int, top: int) -> Piece:
        """Give a part of the labels, of which the first is at ``(left, top)``, one of its own."""
        labels[part] = self.count
        self.count += 1
        x, y, width, height = cv2.boundingRect(part.view(np.uint8))
        area = int(np.count_nonzero(part))
        label = (self.count - 1,)
        return Piece(label, left + x, top + y, left + x + width, top + y + height, area)


def in_lines(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return the pieces in lines from top to bottom, each from left to right.

    Pieces are linked where they stand beside each other and are of about one height. A page that
    lies askew is set straight first, by the slope of the links between neighbours.
    """
    if not pieces:
        return []
    boxes = np.array([[p.left, p.top, p.right, p.bottom] for p in pieces], np.float32)
    slope = _slope(boxes)
    upright = boxes.copy()
    upright[:, [1, 3]] -= slope * boxes[:, [0, 2]].mean(axis=1, keepdims=True)
    groups = _linked(upright)
    lines = [
        sorted(
            (int(i) for i in np.flatnonzero(groups == group)), key=lambda i: boxes[i, [0, 2]].sum()
        )
        for group in np.unique(groups)
    ]
    lines.sort(key=lambda line: float(np.mean([upright[i, [1, 3]].mean() for i in line])))
    return [[pieces[i] for i in line] for line in lines]


def _slope(boxes: Floats) -> float:
    """Return how far lines fall, in pixels per pixel: the median from each piece to its next."""
    beside = _beside(boxes, 0.25)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    steps = middles[None] - middles[:, None]
    heights = boxes[:, 3] - boxes[:, 1]
    beside &= (steps[..., 0] > 0) & (steps[..., 0] < 4 * heights[:, None])
    distance = np.where(beside, steps[..., 0], np.inf)
    nearest = distance.argmin(axis=1)
    has_next = np.flatnonzero(np.isfinite(distance.min(axis=1)))
    if len(has_next) < 3:
        return 0.0
    step = steps[has_next, nearest[has_next]]
    return float(np.clip(np.median(step[:, 1] / step[:, 0]), -0.35, 0.35))


def _linked(boxes: Floats) -> npt.NDArray[np.intp]:
    """Return a number for each piece, the same for all that links connect."""
    beside = _beside(boxes, OVERLAP)
    groups = np.arange(len(boxes))
    while True:
        smallest = np.where(beside, groups[None, :], len(boxes)).min(axis=1)
        if (smallest == groups).all():
            return groups
        groups = smallest


def _beside(boxes: Floats, overlap: float) -> npt.NDArray[np.bool_]:
    """Whether two pieces stand beside each other, ``(n, n)``; each does beside itself."""
    top, bottom = boxes[:, 1], boxes[:, 3]
    shared = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    heights = bottom - top
    lower = np.minimum(heights[:, None], heights)
    alike = np.maximum(heights[:, None], heights) <= UNLIKE * lower
    return np.asarray((shared >= overlap * lower) & alike)
