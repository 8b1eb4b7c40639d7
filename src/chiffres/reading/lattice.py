"""Which pieces of a line make up its digits: the classifier's answer, made as likely as can be.

A line is a row of atoms: its pieces, and what cuts make of those that may be several digits. Each
run of atoms is a candidate for one digit; of all ways to take the line as candidates one after the
other, the best is found by dynamic programming.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from chiffres.reading.cuts import Cut, find_cuts
from chiffres.reading.ink import Floats
from chiffres.reading.normalize import normalize, pen_width
from chiffres.reading.picture import Pixels
from chiffres.reading.segment import Piece, Sheet

Classify = Callable[[Pixels], Floats]

SURE = 0.9
"""A piece that the classifier is as sure of is a digit."""
WIDE = 0.45
"""Wider pieces, in heights of the line, may be several digits, even sure ones."""
LOW = 2.5
"""Lower ones, in widths of the pen, are bars: no digit has room for its strokes in them."""
SURE_PART, TALL_PART, EASY_CUT, TWO_TALL = 0.99, 0.85, 1.7, 1.0
"""What it costs to take a piece for one digit that an easy cut parts in two digits as sure as the
first, each of the second's share of its height. Of MNIST's digits hardly one in a thousand can be
cut so, of the touching pairs that look like one digit one in six."""
BEYOND_DOUBT = 0.97
"""What the classifier is as sure of is one digit, unless it is parted so: to be unsure by so little
costs no more than a cut does."""
MOST_ATOMS = 6
"""Of no more atoms is a digit made."""
NEAR = 0.4
"""Atoms further apart than this, in heights of the line, are not of one digit."""
CUT, COSTLY_CUT, ONE_STROKE = 0.03, 0.1, 1.5
"""What a cut costs, and for all that it costs more than one through one stroke."""
NARROW_CUT = 0.3
"""What a cut costs for each height of the line that its piece is narrower than high."""
WIDEST, TOO_WIDE = 1.3, 2.0
"""Wider than high by more than this is no digit; what each further height of width costs."""
LOWEST, TOO_LOW = 0.6, 3.0
"""Nor is one much lower than its line; what each height costs that a digit is lower than this."""
JOIN, JOIN_GAP = 0.1, 2.0
"""What it costs to take separate pieces as one digit, and for each height of gap."""
DROPPED = 0.7
"""What it costs, at most, to take a small piece for a speck."""
SMALL = 0.45
"""A piece lower than this, in heights of the line, may be a speck or a part of a digit."""


@dataclass
class Found:
    """A digit that was found, or what may be one.

    Attributes:
        piece: where it is on the sheet.
        image: ``(28, 28)`` uint8, as the classifier saw it.
        probabilities: ``(10,)`` float32.
        strength: the mean contrast of its ink, 0 to 255.
        pen: the width of its strokes, in pixels of the sheet.
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
    return [
        Found(piece, image, probabilities, sheet.strength(piece), pen_width(crop))
        for piece, crop, image, probabilities in zip(
            pieces, crops, images, classify(images), strict=True
        )
    ]


@dataclass
class CutUp:
    """A piece, and the atoms that cuts make of it.

    Attributes:
        whole: the piece as one digit.
        atoms: from left to right.
        cut: of the cut after each atom but the last, what it costs.
        easy: of each of these, whether it is an easy cut.
    """

    whole: Found
    atoms: list[Piece]
    cut: list[float] = field(default_factory=list)
    easy: list[bool] = field(default_factory=list)

    def halves(self) -> list[list[Piece]]:
        """Return the two parts that each easy cut makes, where both are about as high as it all."""
        least = TALL_PART * self.whole.piece.height
        places = [number for number, easy in enumerate(self.easy, 1) if easy]
        pairs = [[union(self.atoms[:place]), union(self.atoms[place:])] for place in places]
        return [pair for pair in pairs if all(part.height >= least for part in pair)]

    def mend(self) -> None:
        """Undo the cuts."""
        self.atoms, self.cut, self.easy = [self.whole.piece], [], []


@dataclass
class Line:
    """A line of atoms, and the candidates for its digits.

    Attributes:
        height: of its digits, in pixels.
        atoms: from left to right.
        cut: of each boundary after an atom, what the cut there costs, or None between separate
            pieces.
        easy: of each boundary, whether it is an easy cut.
        candidates: by the first atom and the one after the last.
    """

    height: float
    atoms: list[Piece]
    cut: list[float | None]
    easy: list[bool]
    candidates: dict[tuple[int, int], Found] = field(default_factory=dict)

    def cut_from(self, first: int, stop: int) -> int:
        """Return a number, the same for all that is cut from one piece; 0 where nothing is cut."""
        if first and self.cut[first - 1] is not None:
            while first and self.cut[first - 1] is not None:
                first -= 1
            return self.atoms[first].labels[0]
        return self.atoms[first].labels[0] if self.cut[stop - 1] is not None else 0


def read_lines(
    sheet: Sheet, lines: Sequence[Sequence[Found]], classify: Classify, touching: bool = True
) -> list[list[Found]]:
    """Return the digits of each line, those that the classifier is unsure of among them.

    Args:
        sheet: what the pieces are on; cuts change its labels.
        lines: the pieces of each line from left to right, classified one by one.
        classify: ``(n, 28, 28)`` uint8 to ``(n, 10)`` float32.
        touching: whether a piece may be several digits.
    """
    heights = [line_height(line) for line in lines]
    cut_up = [
        [_cut_up(sheet, found, height, touching) for found in line]
        for line, height in zip(lines, heights, strict=True)
    ]
    _mend(sheet, [each for line in cut_up for each in line if _is_beyond_doubt(each)], classify)
    lattices = [_lattice(line, height) for line, height in zip(cut_up, heights, strict=True)]
    wanted = [
        (lattice, span)
        for lattice in lattices
        for span in _spans(lattice)
        if span not in lattice.candidates
    ]
    pieces = [union(lattice.atoms[first:stop]) for lattice, (first, stop) in wanted]
    for (lattice, span), found in zip(wanted, classified(sheet, pieces, classify), strict=True):
        lattice.candidates[span] = dataclasses.replace(found, cut_from=lattice.cut_from(*span))
    return [_best_path(lattice) for lattice in lattices]


def _cut_up(sheet: Sheet, found: Found, height: float, touching: bool) -> CutUp:
    """Cut a piece of a line of such a height, if it may be several digits."""
    several = touching and _may_be_several(found, height)
    cuts = find_cuts(sheet.crop(found.piece)) if several else []
    if not cuts:
        return CutUp(found, [found.piece])
    left = max(0, found.piece.left - 1)
    top = found.piece.top - max(0, found.piece.top - 1)
    seams = [cut.columns[top : top + found.piece.height] + left for cut in cuts]
    numbers, atoms = zip(*sheet.split(found.piece, seams), strict=True)
    narrow = NARROW_CUT * max(0.0, 1 - found.piece.width / height)
    return CutUp(
        dataclasses.replace(found, piece=union(atoms)),
        list(atoms),
        [_cut_cost(cuts[number]) + narrow for number in numbers[:-1]],
        [cuts[number].cost <= EASY_CUT for number in numbers[:-1]],
    )


def _is_beyond_doubt(cut_up: CutUp) -> bool:
    whole = cut_up.whole
    wide = whole.piece.width > WIDEST * whole.piece.height
    return bool(cut_up.cut) and whole.confidence >= BEYOND_DOUBT and not wide


def _mend(sheet: Sheet, cut_up: Sequence[CutUp], classify: Classify) -> None:
    """Undo the cuts of digits beyond doubt that no easy cut parts in two."""
    pairs_of = [each.halves() for each in cut_up]
    halves = [half for pairs in pairs_of for pair in pairs for half in pair]
    sure = iter(found.confidence >= SURE_PART for found in classified(sheet, halves, classify))
    for each, pairs in zip(cut_up, pairs_of, strict=True):
        both_sure = [all([next(sure), next(sure)]) for _ in pairs]
        if not any(both_sure):
            each.mend()


def _lattice(line: Sequence[CutUp], height: float) -> Line:
    lattice = Line(height, [], [], [])
    for each in line:
        first = len(lattice.atoms)
        lattice.atoms += each.atoms
        lattice.cut += [*each.cut, None]
        lattice.easy += [*each.easy, False]
        lattice.candidates[first, len(lattice.atoms)] = each.whole
    return lattice


def _cut_cost(cut: Cut) -> float:
    return CUT + COSTLY_CUT * max(0.0, cut.cost - ONE_STROKE)


def line_height(line: Sequence[Found]) -> float:
    """Return the height of a line's digits: the median, small pieces apart."""
    heights = np.array([found.piece.height for found in line])
    return float(np.median(heights[heights >= SMALL * heights.max()]))


def _may_be_several(found: Found, height: float) -> bool:
    low = found.piece.height < max(SMALL * height, LOW * found.pen)
    return not low and found.piece.width > WIDE * height


def _spans(lattice: Line) -> list[tuple[int, int]]:
    """Return the runs of atoms that may be one digit."""
    spans = []
    for first in range(len(lattice.atoms)):
        spans.append((first, first + 1))
        right = lattice.atoms[first].right
        low, high = lattice.atoms[first].left, right
        for stop in range(first + 2, min(first + MOST_ATOMS, len(lattice.atoms)) + 1):
            atom = lattice.atoms[stop - 1]
            if lattice.cut[stop - 2] is None and atom.left - high > NEAR * lattice.height:
                break
            low, high = min(low, atom.left), max(high, atom.right)
            if high - low > 2 * max(lattice.height, atom.height):
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
    for stop in range(1, count + 1):
        for first in range(stop):
            found = lattice.candidates.get((first, stop))
            if found is None:
                continue
            cost = best[first][0] + _cost(lattice, first, stop, found)
            if cost < best[stop][0]:
                best[stop] = (cost, [*best[first][1], found])
        atom = lattice.atoms[stop - 1]
        whole = not lattice.cut_from(stop - 1, stop)  # what is cut off a digit is no speck
        if atom.height < SMALL * lattice.height and whole:
            share = atom.area / max(atom.area, *(other.area for other in lattice.atoms))
            cost = best[stop - 1][0] + min(DROPPED, 0.05 + 3 * share)
            if cost < best[stop][0]:
                best[stop] = (cost, best[stop - 1][1])
    return best[count][1]


def _cost(lattice: Line, first: int, stop: int, found: Found) -> float:
    """Return how unlikely it is that the atoms are one digit and end where they do."""
    cost = -math.log(max(found.confidence, 0.05))
    height = max(lattice.height, found.piece.height)
    cost += TOO_WIDE * max(0.0, found.piece.width / height - WIDEST)
    cost += TOO_LOW * max(0.0, LOWEST - found.piece.height / lattice.height)
    if any(_parts_two_digits(lattice, first, middle, stop) for middle in range(first + 1, stop)):
        cost += TWO_TALL
    for boundary in range(first, stop - 1):
        if lattice.cut[boundary] is None:
            gap = lattice.atoms[boundary + 1].left - lattice.atoms[boundary].right
            cost += JOIN + JOIN_GAP * max(0, gap) / lattice.height
    ending = lattice.cut[stop - 1]
    if ending is not None:
        cost += ending
    return cost


def _parts_two_digits(lattice: Line, first: int, middle: int, stop: int) -> bool:
    """Whether the cut before an atom parts a candidate in two sure digits about as high as it."""
    spans = ((first, middle), (middle, stop))
    if not lattice.easy[middle - 1] or any(span not in lattice.candidates for span in spans):
        return False
    whole, *parts = (lattice.candidates[span] for span in ((first, stop), *spans))
    return all(
        part.confidence >= SURE_PART and part.piece.height >= TALL_PART * whole.piece.height
        for part in parts
    )
