"""From ink to MNIST's format."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import Dataset
from chiffres.data.normalize import (
    is_normalized,
    normalize,
    pen_width,
    usual_pen,
)
from chiffres.data.strokes import BROADEST, FINEST, bounds
from tests.reading.made import Grey


def centre(digit: Grey) -> tuple[float, float]:
    rows, columns = np.indices(digit.shape)
    return float(np.average(rows, weights=digit)), float(np.average(columns, weights=digit))


@st.composite
def scribbles(draw: st.DrawFn) -> Grey:
    """Draw a line of any width through a few points, alone on its map."""
    side = draw(st.integers(10, 300))
    points = draw(st.lists(st.tuples(*2 * [st.integers(0, side)]), min_size=2, max_size=6))
    width = draw(st.integers(1, max(1, side // 5)))
    ink = np.zeros((side + 1, side + 1), np.uint8)
    cv2.polylines(ink, [np.array(points)], isClosed=False, color=255, thickness=width)
    return ink


@given(scribbles())
def test_the_longest_side_is_20_and_the_centre_of_mass_in_the_middle(ink: Grey) -> None:
    digit = normalize(ink)
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    top, bottom, left, right = bounds(digit > 0)
    assert 18 <= max(bottom - top, right - left) <= 20
    assert centre(digit) == pytest.approx((14, 14), abs=1.01)


@given(scribbles(), st.integers(0, 40), st.integers(0, 40))
def test_where_the_ink_is_does_not_matter(ink: Grey, down: int, right: int) -> None:
    moved = np.pad(ink, ((down, 3), (right, 1)))
    np.testing.assert_array_equal(normalize(moved), normalize(ink))


@pytest.mark.parametrize("scale", [1, 2, 5, 12])
def test_mnist_s_own_digits_come_back(mnist_5k: Dataset, scale: int) -> None:
    """Enlarged and brought back, nearly what they were."""
    likeness = []
    for image in mnist_5k.validation.images[:60]:
        size = (28 * scale, 28 * scale)
        digit = normalize(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))
        likeness.append(np.corrcoef(digit.ravel(), image.ravel())[0, 1])
    assert np.median(likeness) > 0.95


@pytest.mark.parametrize("width", [2, 5, 9, 20])
def test_the_width_of_strokes_is_measured(width: int) -> None:
    """Of a straight stroke it is known."""
    ink = np.zeros((300, 60), np.uint8)
    ink[20:280, 20 : 20 + width] = 255
    assert pen_width(ink) == pytest.approx(width, rel=0.1, abs=1)
    assert usual_pen(ink) == pytest.approx(width, rel=0.1, abs=1)


@pytest.mark.parametrize(
    ("width", "low", "high"),
    [(1, FINEST - 0.5, FINEST + 0.5), (10, 2.2, 2.8), (32, BROADEST, 7)],
    ids=["widened", "left as it is", "narrowed from 8"],
)
def test_strokes_are_brought_to_those_of_mnist(width: int, low: float, high: float) -> None:
    """A plus, 81 pixels long, so 4 of its pixels are one of the digit."""
    ink = np.zeros((200, 200), np.uint8)
    middle = 100 - width // 2
    ink[60:141, middle : middle + width] = 255
    ink[middle : middle + width, 60:141] = 255
    row = normalize(ink)[7]  # a row that crosses one stroke
    assert low < row.sum() / 255 < high


def test_what_is_in_mnist_s_format_is_known(mnist_5k: Dataset) -> None:
    images = mnist_5k.validation.images
    known = [is_normalized(image) for image in images]
    assert np.mean(known) > 0.97
    moved = [is_normalized(np.roll(image, (4, -4), (0, 1))) for image in images[:100]]
    assert not any(moved)
    assert not is_normalized(np.zeros((28, 28), np.uint8))
    assert not is_normalized(np.zeros((30, 28), np.uint8))
