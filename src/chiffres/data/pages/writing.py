"""Digits written in lines: their sizes, slants and distances, as a hand varies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from chiffres.data.pages.shapes import DETAIL, FIELD, Field, Shape, Source
from chiffres.data.pen import Floats, slant

TALL = 20 * DETAIL
"""The height of an upright digit in its field, in samples."""
LEAST_GAP = 2.0
"""Pixels of paper, at least, between digits that do not touch."""
SEEN = 0.3
"""The share of a pixel that is inked, from which on the pixel counts as ink."""


@dataclass(frozen=True, eq=False)
class Letter:
    """A digit on the page.

    Attributes:
        shape: which.
        line: the number of its line, 0 = the uppermost.
        hull: ``(k, 2)`` float32, the convex hull of its ink, x to the right and y down.
        touches: whether its ink touches that of the digit before it.
    """

    shape: Shape
    line: int
    hull: Field
    touches: bool


@dataclass(frozen=True, eq=False)
class Writing:
    """Lines of digits.

    Attributes:
        ink: ``(height, width)`` float32, which share of each pixel is inked; cropped to the ink.
        letters: line by line, from the left.
        height: of a digit, in pixels.
        pen: the width of its strokes, in pixels.
        baseline: of the last line, in pixels from the top.
        spacing: how far the digits stand from each other, in words.
        boxes: the boxes that they are in, if they are: x, y and the side of each, in pixels.
    """

    ink: Field
    letters: tuple[Letter, ...]
    height: float
    pen: float
    baseline: float
    spacing: str
    boxes: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class _Tile:
    """A digit drawn at its size; ``ink`` begins at row ``top`` from the baseline."""

    shape: Shape
    ink: Field
    top: int


def written(
    rng: np.random.Generator,
    source: Source,
    counts: Sequence[int],
    height: float,
    pen: float,
    touching: bool,
) -> Writing:
    """Write lines of digits.

    Args:
        rng: where it takes its chance from.
        source: where the digits come from.
        counts: how many in each line, at least 1 each.
        height: of a digit, in pixels, at least 8.
        pen: the width of its strokes, in pixels.
        touching: whether some neighbours touch, at least one pair of each line; else none do.
    """
    hand = slant(rng, turn=4, shear=0.25, stretch=1.2)
    uneven = rng.uniform(0.02, 0.09)
    spacing = str(rng.choice(list(_SPACINGS)))
    rise = rng.normal(0, 0.02)
    lines, letters = [], []
    bottom, left = 0.0, 0
    for number, count in enumerate(counts):
        tiles = [_tile(rng, source(rng), height, pen, hand, uneven) for _ in range(count)]
        touches = _touches(rng, count) if touching else [False] * count
        ink, top, found = _line(rng, tiles, touches, height, pen, _SPACINGS[spacing], rise)
        indent = max(0, round(height * rng.normal(0, 0.25))) if number else 0
        down = round(bottom + height * rng.uniform(0.25, 0.9)) if number else 0
        lines.append((ink, indent, down))
        shift = np.array([indent, down], np.float32)
        letters += [
            Letter(each.shape, number, hull + shift, touch)
            for each, hull, touch in zip(tiles, found, touches, strict=True)
        ]
        bottom = down + len(ink)
        left = max(left, indent + ink.shape[1])
    sheet = np.zeros((round(bottom), left), np.float32)
    for ink, indent, down in lines:
        sheet[down : down + len(ink), indent : indent + ink.shape[1]] = ink
    return Writing(sheet, tuple(letters), height, pen, down - top, spacing)


_SPACINGS = {
    "tight": (0.06, 0.16, 0.0),
    "even": (0.15, 0.35, 0.0),
    "uneven": (0.06, 0.7, 0.0),
    "wide": (0.4, 0.9, 0.0),
    "in groups": (0.08, 0.25, 0.3),
}
"""The least and the largest gap in a digit's height, and how often a gap of a whole one comes."""


def written_in_boxes(
    rng: np.random.Generator, source: Source, count: int, height: float, pen: float
) -> Writing:
    """Write digits in the boxes of a form: one in each, about in its middle.

    Args:
        rng: where it takes its chance from.
        source: where the digits come from.
        count: how many, at least 1.
        height: of a digit, in pixels, at least 8.
        pen: the width of its strokes, in pixels.
    """
    hand = slant(rng, turn=4, shear=0.25, stretch=1.2)
    uneven = rng.uniform(0.02, 0.09)
    side = height * rng.uniform(*BOX_SIDE)
    apart = float(rng.choice(BOX_GAPS)) * height
    edge = round(side / 2 + 0.6 * height)  # a digit may reach beyond its box
    ink = np.zeros((2 * edge, round(2 * edge + (count - 1) * (side + apart))), np.float32)
    letters, boxes = [], []
    for place in range(count):
        middle = edge + place * (side + apart)
        boxes.append((middle - side / 2, edge - side / 2, side))
        tile = _tile(rng, source(rng), height, pen, hand, uneven)
        off = height * rng.uniform(-OFF_MIDDLE, OFF_MIDDLE, 2)
        corner = np.rint(np.array([middle, edge]) + off - np.array(tile.ink.shape[::-1]) / 2)
        x, y = corner.astype(int).tolist()
        part = ink[y : y + tile.ink.shape[0], x : x + tile.ink.shape[1]]
        np.maximum(part, tile.ink, out=part)
        hull = _hull(tile.ink) + corner.astype(np.float32)
        letters.append(Letter(tile.shape, 0, hull, touches=False))
    baseline = edge + height / 2
    return Writing(ink, tuple(letters), height, pen, baseline, "in boxes", tuple(boxes))


BOX_SIDE = (1.1, 1.7)
"""The side of a box to write in, in a digit's height."""
BOX_GAPS = (0.0, 0.0, 0.15, 0.3)
"""How far the boxes of a form are apart, likewise."""
OFF_MIDDLE = 0.12
"""How far from the middle of its box a digit is, at most, likewise."""


def _touches(rng: np.random.Generator, count: int) -> list[bool]:
    """Return which digits of a line touch the one before: one pair in three, and at least one."""
    touches = [False, *(bool(each) for each in rng.random(count - 1) < 1 / 3)]
    if count > 1 and not any(touches):
        touches[int(rng.integers(1, count))] = True
    return touches


def _tile(
    rng: np.random.Generator, shape: Shape, height: float, pen: float, hand: Floats, uneven: float
) -> _Tile:
    """Draw a digit with its own small deviations from the hand."""
    own = slant(rng, turn=3, shear=0.05, stretch=1 + uneven) @ hand
    matrix = own * (height / TALL * (1 + np.clip(rng.normal(0, uneven), -0.25, 0.25)))
    scale = float(np.sqrt(np.linalg.det(matrix)))
    field = shape.drawn(pen / scale)
    rows, columns = (np.flatnonzero((field > -1).any(axis=axis)) for axis in (1, 0))
    corners = np.array([[x, y] for x in columns[[0, -1]] for y in rows[[0, -1]]]) @ matrix.T
    low = np.floor(corners.min(axis=0)) - 2
    size = np.ceil(corners.max(axis=0) - low).astype(int) + 2
    placing = np.hstack([matrix, (rng.random(2) - low)[:, None]])
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    warped = cv2.warpAffine(field, placing, size.tolist(), flags=method, borderValue=-float(FIELD))
    ink = np.clip(warped * scale + 0.5, 0, 1)
    rows, columns = (np.flatnonzero((ink > SEEN).any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    ink = ink[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1]
    return _Tile(shape, ink, -len(ink) + round(height * np.clip(rng.normal(0, uneven), -0.2, 0.2)))


def _line(
    rng: np.random.Generator,
    tiles: Sequence[_Tile],
    touches: Sequence[bool],
    height: float,
    pen: float,
    spacing: tuple[float, float, float],
    rise: float,
) -> tuple[Field, int, list[Field]]:
    """Set the digits side by side; return the ink, the row it begins at, and the hulls in it."""
    least, largest, groups = spacing
    usual = rng.uniform(least, largest)
    places: list[tuple[int, int]] = []
    reach = int(3 * height)
    edge = np.full(2 * reach, -np.inf)  # where the ink ends so far, of each row
    x = 0
    for tile, touch in zip(tiles, touches, strict=True):
        top = tile.top - round(rise * x)
        begins = _first(tile.ink)
        rows = slice(reach + top, reach + top + len(tile.ink))
        if places:
            if touch:
                x = int(np.max(edge[rows] - begins) - rng.uniform(0.1, 0.5) * pen)
            else:
                gap = height * (usual if largest < 0.6 else rng.uniform(least, largest))
                gap = max(gap, LEAST_GAP + 0.04 * height)
                if rng.random() < groups:
                    gap += rng.uniform(0.5, 1) * height
                x = int(np.ceil(np.max(_spread(edge, gap)[rows] - begins) + gap))
        places.append((x, top))
        ends = x + tile.ink.shape[1] - 1 - _first(tile.ink[:, ::-1])
        edge[rows] = np.maximum(edge[rows], ends)
    first = min(top for _, top in places)
    left = min(x for x, _ in places)
    bottom = max(top + len(tile.ink) for tile, (_, top) in zip(tiles, places, strict=True))
    right = max(x + tile.ink.shape[1] for tile, (x, _) in zip(tiles, places, strict=True))
    ink = np.zeros((bottom - first, right - left), np.float32)
    hulls = []
    for tile, (x, top) in zip(tiles, places, strict=True):
        rows, columns = (
            slice(start, start + size)
            for start, size in zip((top - first, x - left), tile.ink.shape, strict=True)
        )
        ink[rows, columns] = np.maximum(ink[rows, columns], tile.ink)
        hulls.append(_hull(tile.ink) + np.array([x - left, top - first], np.float32))
    return ink, first, hulls


def _first(ink: Field) -> Floats:
    """Return the first column with ink of each row, infinite where there is none."""
    seen = ink > SEEN
    return np.where(seen.any(axis=1), seen.argmax(axis=1), np.inf)


def _spread(edge: Floats, gap: float) -> Floats:
    """Return of each row the largest edge within ``gap`` rows, so that the gap is one all round."""
    size = 2 * int(np.ceil(gap)) + 1
    spread = cv2.dilate(edge[:, None], np.ones((size, 1), np.uint8))
    return np.asarray(spread, np.float64).ravel()


def _hull(ink: Field) -> Field:
    """Return the convex hull of the ink's pixels, their outer corners included."""
    y, x = np.nonzero(ink > SEEN)
    hull = cv2.convexHull(np.stack([x, y], axis=1).astype(np.int32)).reshape(-1, 2)
    corners = [hull + np.array(offset) for offset in ((0, 0), (0, 1), (1, 0), (1, 1))]
    return np.asarray(np.concatenate(corners), np.float32)
