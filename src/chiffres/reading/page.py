"""All that is written on one ink map: the stages from ink to digits, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chiffres.data.normalize import usual_pen
from chiffres.reading.ink import Ink
from chiffres.reading.lattice import (
    NEAR,
    SMALL,
    SURE,
    WIDE,
    Classify,
    Found,
    Networks,
    classified,
    read_lines,
    union,
    usual_height,
)
from chiffres.reading.picture import Pixels
from chiffres.reading.rules import without_rules
from chiffres.reading.segment import LEAST_DETAIL, Piece, Sheet, in_lines

MENDED = 1.0
"""Ink that is nearer than this, in widths of the pen, may be one broken stroke."""
LEAST_GAP = 2.0
"""Nor is a gap that could be mended narrower than this, in pixels."""
MOST_PARTS = 6
"""A digit is not broken into more parts."""

FEWEST = 6
"""A digit of fewer pixels along its longer side cannot be told from a speck."""
LOWEST = 2.5
"""No digit is lower than this, in widths of the pen; what is may look like one, but is a speck."""
STICK = 1
"""The digit that any straight bit looks like."""
TALL = 2.2
"""What is this many times as high as the digits, and no digit beyond doubt, is none."""
SLIVER = 0.15
"""What lies along a side of the picture and is finer, as a share of its length, is no digit."""
COVERED = 0.5
"""What is no digit for sure and reaches over this share of one that is, is not beside it."""
MOST_STAINED = 12
"""Of so many finds, the highest, it is looked whether they are of two strengths of ink."""
RESIDUE = 0.5
"""What is so much weaker than a digit beyond doubt, and inside it, is what is left of a rule."""
SPECK = 0.003
"""Ink of a smaller area, in squares of the height of the digit beside it, is no part of it."""


@dataclass(frozen=True)
class Page:
    """What was found on an ink map, and the stages on the way.

    Attributes:
        ink: the ink map itself.
        clean: the same without the lines of the paper.
        lines: from top to bottom, the digits from left to right, unsure ones among them.
        found: all that was found, whether it is still in a line or was seen to be no writing.
        sole: the one likely digit on a page without any that is sure.
    """

    ink: Ink
    clean: Pixels
    lines: list[list[Found]]
    found: list[Found]
    sole: Found | None = None

    def with_sole(self) -> Page:
        """Return the page with its sole digit, if there is one, read in a line of its own."""
        if self.sole is None:
            return self
        sole = dataclasses.replace(self.sole, read=True)
        return dataclasses.replace(self, lines=[[sole]], sole=None)

    def within(self, margin: int) -> Page:
        """Return the page without a margin, ``margin`` pixels wide."""
        height, width = (side - 2 * margin for side in self.clean.shape)
        moved = {
            id(each): dataclasses.replace(each, piece=each.piece.within(margin, height, width))
            for each in self.found
        }
        return Page(
            self.ink.within(margin),
            self.clean[margin:-margin, margin:-margin],
            [[moved[id(each)] for each in line] for line in self.lines],
            list(moved.values()),
        )


def read_page(ink: Ink, networks: Networks, touching: bool = True) -> Page:
    """Find the digits on an ink map; cut apart those that touch, where any may."""
    clean = without_rules(ink.map)
    sheet = Sheet(clean, ink.contrast)
    pieces = classified(sheet, sheet.pieces(), networks.classify)
    pieces = without_stains(sheet, pieces, networks.classify)
    found = _mended(sheet, pieces, networks.classify)
    found = _without_slivers(found, clean.shape)
    least = max(FEWEST, LEAST_DETAIL * max(clean.shape))
    mains, fragments, tall = _sorted_out(found, least, LOWEST * usual_pen(clean), clean.shape)
    if not mains:
        return Page(ink, clean, [], tall)
    by_piece = {id(each.piece): each for each in found}
    lines = [[by_piece[id(p)] for p in line] for line in in_lines([m.piece for m in mains])]
    _put_beside(fragments, lines)
    read = read_lines(sheet, lines, networks, touching)
    larger = _larger_writing(sheet, tall, networks) if touching else {}
    for line in larger.values():
        read.insert(sum(_middle(other) < _middle(line) for other in read), line)
    whole = [each for each in tall if id(each) not in larger]
    return Page(ink, clean, read, [each for line in read for each in line] + whole)


def _larger_writing(
    sheet: Sheet, tall: Sequence[Found], networks: Networks
) -> dict[int, list[Found]]:
    """Return, by the identity of a find far taller than a line, the digits that touch in it."""
    wide = [each for each in tall if each.piece.width > WIDE * each.piece.height]
    read = read_lines(sheet, [[each] for each in wide], networks)
    return {
        id(each): line
        for each, line in zip(wide, read, strict=True)
        if all(digit.cut_from for digit in line)
    }


def _middle(line: Sequence[Found]) -> float:
    """Return how far down a line is, in pixels."""
    return float(np.mean([(found.piece.top + found.piece.bottom) / 2 for found in line]))


def without_stains(sheet: Sheet, found: Sequence[Found], classify: Classify) -> list[Found]:
    """Take a digit out of the weaker ink, of a stain or an edge, that it is one piece with.

    Args:
        sheet: what the finds are on; its labels change.
        found: what may be digits; those that stay as they are get the labels of both inks.
        classify: what reads.
    """
    large = sorted(found, key=lambda each: -each.piece.height)[:MOST_STAINED]
    doubtful = [each for each in large if each.confidence < SURE]
    parts = [(each, sheet.strong_part(each.piece)) for each in doubtful]
    stained = [(each, part) for each, part in parts if part]
    read = classified(sheet, [part for _, part in stained], classify)
    kept = {id(each): each for each in found}
    for (each, _), part in zip(stained, read, strict=True):
        if part.confidence >= SURE and part.digit != STICK:
            kept[id(each)] = part
        else:  # as it was, of both its inks
            both = (*each.piece.labels, *part.piece.labels)
            each.piece = dataclasses.replace(each.piece, labels=both)
    return list(kept.values())


def _mended(sheet: Sheet, found: Sequence[Found], classify: Classify) -> list[Found]:
    """Join pieces that only a narrow gap keeps apart where they are a digit together.

    That is where the classifier is surer of the whole than of all its parts.
    """
    gap = max(LEAST_GAP, MENDED * usual_pen(sheet.ink))
    group_of = sheet.near_groups(gap)
    groups: dict[int, list[Found]] = {}
    for each in found:
        groups.setdefault(int(group_of[each.piece.labels[0]]), []).append(each)
    broken = [parts for parts in groups.values() if 1 < len(parts) <= MOST_PARTS]
    wholes = classified(sheet, [union([p.piece for p in parts]) for parts in broken], classify)
    kept = list(found)
    for parts, whole in zip(broken, wholes, strict=True):
        tallest = max(part.piece.height for part in parts)
        doubtful = any(
            part.confidence < SURE for part in parts if part.piece.height > SMALL * tallest
        )
        if whole.confidence >= SURE and (doubtful or whole.piece.height > 1.4 * tallest):
            gone = {id(part) for part in parts}
            kept = [each for each in kept if id(each) not in gone]
            kept.append(whole)
    return kept


def _without_slivers(found: Sequence[Found], shape: tuple[int, ...]) -> list[Found]:
    """Leave out what lies along a side of the picture, where there is a digit beyond doubt."""
    if not any(each.confidence >= SURE and each.digit != STICK for each in found):
        return list(found)
    return [each for each in found if not _is_sliver(each.piece, shape)]


def _is_sliver(piece: Piece, shape: tuple[int, ...]) -> bool:
    height, width = shape
    beside = (piece.left <= 0) != (piece.right >= width)
    above = (piece.top <= 0) != (piece.bottom >= height)
    return (beside and piece.width < SLIVER * piece.height) or (
        above and piece.height < SLIVER * piece.width
    )


def _sorted_out(
    found: Sequence[Found], least: float, lowest: float, shape: tuple[int, ...]
) -> tuple[list[Found], list[Found], list[Found]]:
    """Return the pieces that may be digits, those that may be parts of them, and the too tall ones.

    Args:
        found: all pieces.
        least: the longer side of a digit, at least.
        lowest: the height of a digit beyond doubt, at least.
        shape: of the picture; a 1 that touches a side of it is no measure for others.
    """
    sure = _sure(found, least, lowest)
    writing = [
        each
        for each in found
        if not any(_is_around(each, other) for other in sure if other is not each)
    ]
    sure = _sure(writing, least, lowest)
    large = [each for each in writing if _is_large(each, least)]
    written = [each for each in sure if each.digit != STICK] or sure or large
    if sure and all(each.digit == STICK and each.piece.sides(shape) for each in sure):
        written = [each for each in large if not each.piece.sides(shape)] or large
    if not written:
        return [], [], []
    usual = usual_height(written)
    mains: list[Found] = []
    fragments: list[Found] = []
    tall: list[Found] = []
    for each in writing:
        sure_digit = each.confidence >= SURE and each.digit != STICK
        if each.piece.height > TALL * usual and not sure_digit:
            tall.append(each)
        elif each.piece.height >= max(SMALL * usual, least):
            mains.append(each)
        else:
            fragments.append(each)
    return mains, fragments, tall


def _sure(found: Sequence[Found], least: float, lowest: float) -> list[Found]:
    """Return what is a digit beyond doubt."""
    return [
        each
        for each in found
        if _is_large(each, least) and each.confidence >= SURE and each.piece.height >= lowest
    ]


def _is_large(found: Found, least: float) -> bool:
    return max(found.piece.width, found.piece.height) >= least


def _is_around(found: Found, digit: Found) -> bool:
    """Whether a find is no writing but around a digit: a box, a ring, the edge of the paper."""
    frame, inner = found.piece, digit.piece
    sure = found.confidence >= SURE
    if frame.contains(inner) and frame.height > 1.5 * inner.height:
        return not (sure and digit.strength < RESIDUE * found.strength)
    larger = frame.width * frame.height > inner.width * inner.height
    return not sure and larger and inner.share_in(frame) >= COVERED


def _put_beside(fragments: Sequence[Found], lines: list[list[Found]]) -> None:
    """Put each fragment into the line of the piece that it is nearest to, if it is near."""
    boxes = np.array([_box(found.piece) for line in lines for found in line])
    line_of = np.array([index for index, line in enumerate(lines) for _ in line])
    heights = boxes[:, 3] - boxes[:, 1]
    for fragment in fragments:
        left, top, right, bottom = _box(fragment.piece)
        across = np.maximum(0, np.maximum(boxes[:, 0] - right, left - boxes[:, 2]))
        down = np.maximum(0, np.maximum(boxes[:, 1] - bottom, top - boxes[:, 3]))
        distance = np.hypot(across, down) / heights
        if (
            distance.min() <= NEAR
            and fragment.piece.area >= SPECK * heights[distance.argmin()] ** 2
        ):
            lines[line_of[distance.argmin()]].append(fragment)
    for line in lines:
        line.sort(key=lambda found: found.piece.left + found.piece.right)


def _box(piece: Piece) -> tuple[int, int, int, int]:
    return piece.left, piece.top, piece.right, piece.bottom
