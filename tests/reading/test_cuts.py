"""Cuts through touching digits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.reading.cuts import ENTERED, MOST, MOST_COSTLY, THROUGH, find_cuts
from tests.reading.made import Grey


def rings(*, overlap: int = 4, height: int = 80, pen: int = 8) -> Grey:
    """Return two rings beside each other, which touch in the middle of the map."""
    width = 2 * height - overlap
    ink = np.zeros((height + 2, width + 2), np.uint8)
    radius = (height - pen) // 2
    for x in (height // 2, width - height // 2):
        cv2.circle(ink, (x, height // 2), radius, 255, pen)
    return ink


@pytest.mark.parametrize("height", [30, 80, 300])
def test_touching_rings_are_cut_where_they_touch(height: int) -> None:
    ink = rings(height=height, pen=height // 10, overlap=height // 20)
    cuts = find_cuts(ink)
    cheapest = min(cuts, key=lambda cut: cut.cost)
    assert cheapest.columns.shape == (ink.shape[0],)
    where = cheapest.columns[ink.shape[0] // 2]
    assert where == pytest.approx(ink.shape[1] / 2, abs=0.06 * height)


def test_a_cut_through_one_stroke_costs_what_is_said() -> None:
    ink = np.zeros((60, 120), np.uint8)
    ink[26:34] = 255
    costs = [cut.cost for cut in find_cuts(ink)]
    assert costs == pytest.approx([ENTERED + THROUGH] * len(costs), abs=0.3)


@given(st.integers(2, 70), st.integers(2, 90), st.integers(0, 2**32 - 1))
def test_cuts_go_from_left_to_right_and_are_few(height: int, width: int, seed: int) -> None:
    ink = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    ink[height // 2, width // 2] = 255
    cuts = find_cuts(ink)
    assert len(cuts) <= np.ceil(MOST * width / height) + 1  # the piece is reduced, sides rounded
    for cut in cuts:
        assert cut.columns.shape == (height,)
        assert 0 <= cut.cost <= MOST_COSTLY
    middles = [cut.columns.mean() for cut in cuts]
    assert middles == sorted(middles)
