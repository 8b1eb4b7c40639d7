"""Pieces of ink, and the lines that they stand in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.reading.components import components
from chiffres.reading.lattice import Found
from chiffres.reading.page import without_stains
from chiffres.reading.segment import Piece, Sheet, in_lines


def box(left: int, top: int, width: int = 20, height: int = 30) -> Piece:
    return Piece((1,), left, top, left + width, top + height, width * height)


def sheet(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (100, 200)) -> Sheet:
    """Return a sheet with full rectangles: left, top, right, bottom."""
    ink = np.zeros(size, np.uint8)
    for left, top, right, bottom in boxes:
        ink[top:bottom, left:right] = 255
    return Sheet(ink, ink)


def test_pieces_are_what_is_connected() -> None:
    found = sheet((10, 10, 30, 50), (30, 50, 40, 60), (60, 20, 70, 60)).pieces()
    edges = sorted((p.left, p.top, p.right, p.bottom, p.area) for p in found)
    assert edges == [(10, 10, 40, 60, 900), (60, 20, 70, 60, 400)]  # the first two by a corner


def test_specks_and_what_lies_along_the_edges_are_dropped() -> None:
    found = sheet((10, 10, 11, 12), (0, 0, 200, 4), (0, 0, 4, 100), (50, 30, 60, 70)).pieces()
    assert [(piece.left, piece.top) for piece in found] == [(50, 30)]


def test_a_crop_shows_its_piece_alone() -> None:
    whole = sheet((10, 10, 14, 40), (20, 10, 24, 40), (10, 36, 16, 40))
    left, right = sorted(whole.pieces(), key=lambda piece: piece.left)
    assert (whole.crop(left) > 0).sum() == left.area
    assert whole.crop(left | right).shape == (32, 16)
    assert (whole.crop(left | right) > 0).sum() == left.area + right.area
    assert whole.strength(right) == 255


def test_ink_with_a_narrow_gap_is_one_group() -> None:
    whole = sheet((10, 10, 14, 40), (18, 10, 22, 40), (60, 10, 64, 40))
    groups = whole.near_groups(5)
    assert groups[1] == groups[2] != groups[3]


def test_a_piece_is_split_along_a_seam() -> None:
    whole = sheet((10, 10, 50, 30))
    (piece,) = whole.pieces()
    slanted = np.arange(20, 40, dtype=np.int32)
    parts = whole.split(piece, [slanted])
    assert [number for number, _ in parts] == [0, 1]
    (_, left), (_, right) = parts
    assert left.area + right.area == piece.area
    assert (left.left, left.right) == (10, 39)
    assert (right.left, right.right) == (20, 50)
    assert left.labels != right.labels


def test_a_piece_of_several_labels_is_split_whole() -> None:
    whole = sheet((10, 10, 50, 30), (12, 34, 48, 40))
    upper, lower = sorted(whole.pieces(), key=lambda piece: piece.top)
    parts = whole.split(upper | lower, [np.full(30, 30, np.int32)])
    assert [part.area for _, part in parts] == [20 * 20 + 18 * 6] * 2
    assert all((part.top, part.bottom) == (10, 40) for _, part in parts)


def test_connected_ink_is_labelled() -> None:
    inked = np.zeros((9, 9), np.uint8)
    inked[1:3, 1:3] = inked[3, 3] = inked[6, 6] = 1
    count, labels, stats = components(inked)
    assert count == 3
    assert labels[1, 1] == labels[3, 3] != labels[6, 6]
    assert stats[labels[1, 1], -1] == 5


def test_lines_are_read_from_top_to_bottom_and_left_to_right() -> None:
    first = [box(200, 12), box(10, 10), box(90, 5)]
    second = [box(60, 64), box(20, 60)]
    lines = in_lines([*second, *first])
    assert [[piece.left for piece in line] for line in lines] == [[10, 90, 200], [20, 60]]


@pytest.mark.parametrize("slope", [-0.2, -0.08, 0.1, 0.2])
def test_lines_that_lie_askew(slope: float) -> None:
    pieces = [
        box(left, round(200 + 70 * row + slope * left))
        for row in range(3)
        for left in range(0, 400, 40)
    ]
    lines = in_lines(pieces[::-1])
    assert [len(line) for line in lines] == [10, 10, 10]
    assert [line[0].top for line in lines] == [200, 270, 340]


def test_no_pieces_make_no_lines() -> None:
    assert in_lines([]) == []


@given(st.lists(st.builds(box, *2 * [st.integers(0, 300)], *2 * [st.integers(1, 80)]), max_size=25))
def test_every_piece_is_in_one_line(pieces: list[Piece]) -> None:
    lines = in_lines(pieces)
    assert sorted(id(p) for line in lines for p in line) == sorted(map(id, pieces))
    for line in lines:
        middles = [piece.left + piece.right for piece in line]
        assert middles == sorted(middles)


def of_two_strengths() -> Sheet:
    """Return a sheet with one piece of ink: a strong block, and a weak line through it."""
    contrast = np.zeros((60, 90), np.uint8)
    contrast[30, 5:85] = 40
    contrast[20:40, 40:55] = 160
    return Sheet(np.where(contrast > 0, np.uint8(255), contrast), contrast)


def test_the_strong_ink_of_a_piece_is_labelled_anew() -> None:
    page = of_two_strengths()
    (piece,) = page.pieces()
    part = page.strong_part(piece)
    assert part is not None
    assert (part.left, part.top, part.right, part.bottom) == (39, 20, 56, 40)
    assert page.crop(part)[2:-2, 3:-3].min() == 255
    assert page.strong_part(part) is None


@pytest.mark.parametrize(("digit", "kept"), [(None, True), (1, True), (5, False)])
def test_a_piece_stays_whole_unless_its_strong_ink_is_a_digit(
    digit: int | None, kept: bool
) -> None:
    """A bar is none: of a stroke that fades, a straight bit may be stronger."""
    page = of_two_strengths()
    (piece,) = page.pieces()
    whole = page.crop(piece)

    def classify(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        answer = np.full(10, 0.1, np.float32)
        if digit is not None:
            answer = np.eye(10, dtype=np.float32)[digit]
        return np.repeat(answer[None], len(images), axis=0)

    doubtful = Found(piece, np.zeros((28, 28), np.uint8), np.full(10, 0.1, np.float32), 60, 3)
    (found,) = without_stains(page, [doubtful], classify)
    assert (found is doubtful) is kept
    assert np.array_equal(page.crop(found.piece), whole) is kept
