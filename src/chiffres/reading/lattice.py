"""Which pieces of a line make up its digits: the classifier's answer, made as likely as can be.

A line is a row of atoms: its pieces, and what cuts make of those that are several digits. Each run
of pieces is a candidate for one digit; of all ways to take the line as candidates one after the
other, the best is found by dynamic programming.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chiffres.data.normalize import normalize, pen_width
from chiffres.data.strokes import Floats
from chiffres.reading.picture import Pixels
from chiffres.reading.segment import Piece, Sheet
from chiffres.reading.touching import Middle, ReadStrips, read_strips, seams

Classify = Callable[[Pixels], Floats]
"""``(n, 28, 28)`` uint8 to ``(n, 10)`` float32."""

SURE = 0.9
"""A piece that the classifier is as sure of is a digit."""
WIDE = 0.45
"""Wider pieces, in heights of the line, may be several digits, even sure ones."""
LOW = 2.5
"""Lower ones, in widths of the pen, are bars: no digit has room for its strokes in them."""
SEVERAL, SURELY_SEVERAL = 0.4, 0.6
"""A piece is cut where each of its digits is as likely as the first; where it may be one digit
beyond doubt, as the second."""
LIKELY = 0.5
"""Of what is less likely among digits that touch, the classifier is asked, if it is sure."""
BEYOND_DOUBT = 0.97
"""What the classifier is as sure of is one digit, unless it is surely several."""
BROAD, EDGE = 10.0, 4
"""Of a pen of so many pixels it is asked how sharp its edges are, within that share of it."""
MOST_ATOMS = 6
"""Of no more atoms is a digit made."""
NEAR = 0.4
"""Atoms further apart than this, in heights of the line, are not of one digit."""
WEAKER = 3.0
"""Nor is one of which a part is so many times as strong as another."""
WIDEST, TOO_WIDE = 1.3, 2.0
"""Wider than high by more than this is no digit; what each further height of width costs."""
LOWEST, TOO_LOW = 0.6, 3.0
"""Nor is one much lower than its line; what each height costs that a digit is lower than this."""
JOIN, JOIN_GAP, JOIN_ABOVE = 0.1, 2.0, 3.0
"""What it costs to take separate pieces as one digit, and for each height of gap between them,
beside or above each other: a 5 keeps its bar, and no digit takes its underline."""
DROPPED = 0.7
"""What it costs, at most, to take a small piece for a speck."""
SMALL = 0.45
"""A piece lower than this, in heights of the line, may be a speck or a part of a digit."""


class Networks(NamedTuple):
    """What reads one digit, and what reads several that touch."""

    classify: Classify
    read_strips: ReadStrips


@dataclass
class Found:
    """A digit that was found, or what may be one.

    Attributes:
        piece: where it is on the sheet.
        image: ``(28, 28)`` uint8, as the classifier saw it.
        probabilities: ``(10,)`` float32.
        strength: the mean contrast of its ink, 0 to 255.
        pen: the width of its strokes, in pixels of the sheet.
        sharpness: of its outline, within a share of its pen; 1 where that is narrow.
        cut_from: the number of the piece that it was cut from, 0 for whole pieces.
        read: whether it is read as its likeliest digit, all that is around it considered.
    """

    piece: Piece
    image: Pixels
    probabilities: Floats
    strength: float
    pen: float
    cut_from: int = 0
    read: bool = False
    sharpness: float = 1.0

    @property
    def confidence(self) -> float:
        """The probability of the likeliest digit."""
        return float(self.probabilities.max())

    @property
    def digit(self) -> int:
        """The likeliest digit."""
        return int(self.probabilities.argmax())


def classified(sheet: Sheet, pieces: Sequence[Piece], classify: Classify) -> list[Found]:
    """Return the pieces with what each is as one digit, all asked in one batch."""
    if not pieces:
        return []
    crops = [sheet.crop(piece) for piece in pieces]
    images = np.stack([normalize(crop) for crop in crops])
    found = []
    for piece, crop, image, answer in zip(pieces, crops, images, classify(images), strict=True):
        pen = pen_width(crop)
        broad = pen >= BROAD
        sharpness = sheet.sharpness(piece, round(pen / EDGE)) if broad else 1.0
        strength = sheet.strength(piece)
        found.append(Found(piece, image, answer, strength, pen, sharpness=sharpness))
    return found


@dataclass
class Line:
    """A line of atoms, and the candidates for its digits.

    Attributes:
        height: of its digits, in pixels.
        atoms: from left to right, each as one digit.
        candidates: by the first atom and the one after the last.
    """

    height: float
    atoms: list[Found]
    candidates: dict[tuple[int, int], Found]


def read_lines(
    sheet: Sheet, lines: Sequence[Sequence[Found]], networks: Networks, touching: bool = True
) -> list[list[Found]]:
    """Return the digits of each line, those that the classifier is unsure of among them.

    Args:
        sheet: what the pieces are on; cuts change its labels.
        lines: the pieces of each line from left to right, classified one by one.
        networks: what reads.
        touching: whether a piece may be several digits.
    """
    heights = [line_height(line) for line in lines]
    cut = _cut_apart(sheet, lines, heights, networks) if touching else {}
    atoms = [[atom for found in line for atom in cut.get(id(found), [found])] for line in lines]
    lattices = [
        Line(height, line, {(at, at + 1): atom for at, atom in enumerate(line)})
        for height, line in zip(heights, atoms, strict=True)
    ]
    wanted = [(lattice, span) for lattice in lattices for span in _joined(lattice)]
    pieces = [
        union([atom.piece for atom in lattice.atoms[first:stop]])
        for lattice, (first, stop) in wanted
    ]
    joined = classified(sheet, pieces, networks.classify)
    for (lattice, span), found in zip(wanted, joined, strict=True):
        lattice.candidates[span] = found
    return [_best_path(lattice) for lattice in lattices]


def _cut_apart(
    sheet: Sheet,
    lines: Sequence[Sequence[Found]],
    heights: Sequence[float],
    networks: Networks,
) -> dict[int, list[Found]]:
    """Return, by the identity of a find that is several digits, what each of them is."""
    doubtful = [
        found
        for line, height in zip(lines, heights, strict=True)
        for found in line
        if _may_be_several(found, height)
    ]
    crops = [sheet.crop(found.piece) for found in doubtful]
    read = read_strips(crops, networks.read_strips)
    return {
        id(found): _parts(sheet, found, crop, middles, networks.classify)
        for found, crop, middles in zip(doubtful, crops, read, strict=True)
        if _is_several(found, middles)
    }


def _may_be_several(found: Found, height: float) -> bool:
    low = found.piece.height < max(SMALL * height, LOW * found.pen)
    return not low and found.piece.width > WIDE * height


def _is_several(found: Found, middles: Sequence[Middle]) -> bool:
    if len(middles) < 2:
        return False
    wide = found.piece.width > WIDEST * found.piece.height
    one = found.confidence >= BEYOND_DOUBT and not wide
    least = min(middle.confidence for middle in middles)
    return least >= (SURELY_SEVERAL if one else SEVERAL)


def _parts(
    sheet: Sheet, found: Found, crop: Pixels, middles: Sequence[Middle], classify: Classify
) -> list[Found]:
    """Cut a piece between the middles of its digits, and return what each part is."""
    left = max(0, found.piece.left - 1)
    top = found.piece.top - max(0, found.piece.top - 1)
    rows = slice(top, top + found.piece.height)
    split = sheet.split(found.piece, [seam[rows] + left for seam in seams(crop, middles)])
    number = split[0][1].labels[0]
    parts = classified(sheet, [piece for _, piece in split], classify)
    return [
        dataclasses.replace(part, probabilities=_surer(middles[place], part), cut_from=number)
        for (place, _), part in zip(split, parts, strict=True)
    ]


def _surer(middle: Middle, part: Found) -> Floats:
    sure = middle.confidence < LIKELY and part.confidence >= SURE
    return part.probabilities if sure else middle.probabilities


def usual_height(written: Sequence[Found]) -> int:
    """Return the height of most of the ink: many specks weigh no more than a digit, nor a stain."""
    heights = np.array([each.piece.height for each in written])
    strengths = np.array([each.strength for each in written])
    return int(weighted_median(heights, heights**2 * strengths))


def weighted_median(values: npt.NDArray[Any], weights: npt.NDArray[Any]) -> float:
    """Return the lowest of the values which, with all that are lower, have half of the weight."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def line_height(line: Sequence[Found]) -> float:
    """Return the height of a line's digits: the median, what is far smaller or larger apart."""
    usual = usual_height(line)
    heights = np.array([found.piece.height for found in line])
    return float(np.median(heights[(SMALL * usual <= heights) & (SMALL * heights <= usual)]))


def _joined(lattice: Line) -> list[tuple[int, int]]:
    """Return the runs of several pieces that may be one digit."""
    spans = []
    for first, atom in enumerate(lattice.atoms):
        low, high = atom.piece.left, atom.piece.right
        most = min(first + MOST_ATOMS, len(lattice.atoms))
        for stop in range(first + 2, most + 1):
            atoms = lattice.atoms[first:stop]
            piece = atoms[-1].piece
            if any(each.cut_from for each in atoms):
                break
            strengths = [each.strength for each in atoms]
            if max(strengths) > WEAKER * min(strengths):
                break
            if piece.left - high > NEAR * lattice.height:
                break
            low, high = min(low, piece.left), max(high, piece.right)
            if high - low > 2 * max(lattice.height, piece.height):
                break
            spans.append((first, stop))
    return spans


def union(pieces: Sequence[Piece]) -> Piece:
    """Return the pieces as one."""
    union = pieces[0]
    for piece in pieces[1:]:
        union |= piece
    return union


def _best_path(lattice: Line) -> list[Found]:
    """Return the candidates, one after the other, of the least total cost."""
    count = len(lattice.atoms)
    best: list[tuple[float, list[Found]]] = [(0.0, [])]
    best += [(math.inf, []) for _ in range(count)]
    largest = max((atom.piece.area for atom in lattice.atoms), default=0)
    for stop in range(1, count + 1):
        for first in range(stop):
            found = lattice.candidates.get((first, stop))
            if found is None:
                continue
            cost = best[first][0] + _cost(lattice, first, stop, found)
            if cost < best[stop][0]:
                best[stop] = (cost, [*best[first][1], found])
        atom = lattice.atoms[stop - 1]
        if atom.piece.height < SMALL * lattice.height and not atom.cut_from:
            cost = best[stop - 1][0] + min(DROPPED, 0.05 + 3 * atom.piece.area / largest)
            if cost < best[stop][0]:
                best[stop] = (cost, best[stop - 1][1])
    return best[count][1]


def _cost(lattice: Line, first: int, stop: int, found: Found) -> float:
    """Return how unlikely it is that the atoms are one digit."""
    cost = -math.log(max(found.confidence, 0.05))
    if found.cut_from:
        return cost
    height = max(lattice.height, found.piece.height)
    cost += TOO_WIDE * max(0.0, found.piece.width / height - WIDEST)
    cost += TOO_LOW * max(0.0, LOWEST - found.piece.height / lattice.height)
    for left, right in itertools.pairwise(lattice.atoms[first:stop]):
        across, down = left.piece.gaps(right.piece)
        cost += JOIN + (JOIN_GAP * across + JOIN_ABOVE * down) / lattice.height
    return cost
