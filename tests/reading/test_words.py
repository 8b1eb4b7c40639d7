"""Which words are numbers."""

from __future__ import annotations

import pytest

from chiffres.reading.lattice import Found
from chiffres.reading.segment import Piece
from chiffres.reading.usual import Usual
from chiffres.reading.words import numbers
from tests.reading.made import found

USUAL = Usual(strength=200, pen=6, size=100)


def is_sure(each: Found) -> bool:
    return each.confidence > 0.8


def digit(value: int, left: int, confidence: float = 1.0, cut_from: int = 0) -> Found:
    """Return a find as high as the usual digit, and half as wide, at its place on a line."""
    piece = Piece((1 + left,), left, 0, left + 50, 100, 900)
    return found(value, piece, USUAL.strength, confidence, cut_from)


@pytest.mark.parametrize(("confidence", "is_number"), [(0.76, True), (0.4, False)])
def test_a_likely_part_of_digits_that_touch_counts_as_one(
    confidence: float, is_number: bool
) -> None:
    line = [digit(5, 0, cut_from=7), digit(1, 50, confidence, cut_from=7), digit(1, 110)]
    assert numbers(line, USUAL, is_sure) == (line if is_number else [])


@pytest.mark.parametrize(("confidence", "stays"), [(0.6, True), (0.4, False)])
def test_digits_that_touch_are_not_left_out_of_a_number(confidence: float, stays: bool) -> None:
    """Of a line that is a number, if they are likely, however little they would be alone."""
    both = [digit(6, 140, confidence, cut_from=7), digit(3, 190, confidence, cut_from=7)]
    first, last = [digit(2, 0)], [digit(4, 320), digit(6, 380), digit(4, 440)]
    read = numbers([*first, *both, *last], USUAL, is_sure)
    assert read == [*first, *(both if stays else []), *last]
