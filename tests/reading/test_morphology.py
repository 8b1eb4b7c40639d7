"""Dilation and erosion by large rectangles, against OpenCV's."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chiffres.reading.morphology import closed, dilated, eroded
from chiffres.reading.picture import Pixels

odd = st.integers(0, 60).map(lambda half: 2 * half + 1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(dilated, cv2.MORPH_DILATE), (eroded, cv2.MORPH_ERODE), (closed, cv2.MORPH_CLOSE)],
)
@given(
    rows=st.integers(1, 90),
    columns=st.integers(1, 90),
    height=odd,
    width=odd,
    seed=st.integers(0, 9),
)
@example(rows=40, columns=400, height=3, width=193, seed=0)
def test_they_are_opencvs_up_to_the_border(
    ours: Callable[[Pixels, int, int], Pixels],
    theirs: int,
    rows: int,
    columns: int,
    height: int,
    width: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
    expected = cv2.morphologyEx(pixels, theirs, np.ones((height, width), np.uint8))
    np.testing.assert_array_equal(ours(pixels, height, width), expected)
