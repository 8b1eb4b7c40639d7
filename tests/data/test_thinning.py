"""The line in the middle of ink."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import Dataset
from chiffres.data.thinning import thinned


@given(height=st.integers(1, 9), width=st.integers(30, 60))
def test_the_line_of_a_bar_is_its_middle(height: int, width: int) -> None:
    ink = np.zeros((height + 4, width + 4), bool)
    ink[2 : 2 + height, 2 : 2 + width] = True
    line = thinned(ink)
    rows, columns = np.nonzero(line)
    straight = (columns > 2 + height) & (columns < 2 + width - height)
    assert np.abs(rows[straight] - (2 + (height - 1) / 2)).max() <= 0.5
    assert len(set(columns[straight])) == straight.sum() > 0
    assert not (line & ~ink).any()


def test_the_line_of_a_digit_is_thin_and_has_its_pieces_and_loops(mnist_5k: Dataset) -> None:
    for image in mnist_5k.development.images[:50]:
        ink = cv2.resize(image, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC) > 127
        line = thinned(ink)
        assert pieces(line, 8) == pieces(ink, 8)
        assert pieces(~line, 4) == pieces(~ink, 4)
        assert cv2.boxFilter(line.astype(np.float32), -1, (2, 2), normalize=False).max() < 4


@pytest.mark.parametrize("side", [0, 1])
def test_next_to_nothing_is_left_as_it_is(side: int) -> None:
    ink = np.zeros((5, 5), bool)
    ink[2 : 2 + side, 2 : 2 + side] = True
    np.testing.assert_array_equal(thinned(ink), ink)


def pieces(mask: npt.NDArray[np.bool_], connectivity: int) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)[0])
