"""Of several ways to see the ink of a picture, the one in which most is read."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chiffres.reading.choice import better, without_rims
from chiffres.reading.ink import Ink
from chiffres.reading.lattice import Found
from chiffres.reading.page import STICK, Page
from chiffres.reading.segment import Piece
from tests.reading.made import found


def page_of(*digits: Found) -> Page:
    """Return a page on which these digits are read."""
    blank = np.zeros((200, 400), np.uint8)
    line = [dataclasses.replace(each, read=True) for each in digits]
    return Page(Ink(blank, blank, 0, blank, dark=True, certain=True), blank, [line], line)


@pytest.mark.parametrize(("confidence", "counts"), [(0.95, True), (0.8, False)])
def test_digits_that_touch_count_if_they_are_sure(confidence: float, counts: bool) -> None:
    parts = [
        found(value, Piece((1,), 60 * at, 0, 60 * at + 50, 100, 900), 200, confidence, cut_from=3)
        for at, value in enumerate((5, 8, 0))
    ]
    alone, together = page_of(found(7, Piece((1,), 0, 0, 50, 100, 900))), page_of(*parts)
    assert better(together, alone) is (together if counts else alone)


@pytest.mark.parametrize(("strength", "is_rim"), [(250, True), (120, False)])
def test_within_a_broad_1_is_no_digit(strength: float, is_rim: bool) -> None:
    """But what is stronger may be written on a bar."""
    bar = found(STICK, Piece((1,), 100, 0, 150, 200, 9_000), strength)
    rim = found(8, Piece((2,), 102, 2, 148, 198, 900), 180)
    beside = found(8, Piece((3,), 200, 0, 300, 200, 900), 180)
    read = without_rims(page_of(bar, rim, beside), page_of(bar))
    assert [each.piece for line in read.lines for each in line] == [
        each.piece for each in (bar, rim, beside) if each is not rim or not is_rim
    ]
