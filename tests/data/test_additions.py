"""What a training adds to the digits: forms that they lack, other pens, digits that touch."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiffres.data import Dataset, Digits
from chiffres.data.forms import FORMS, unusual_forms
from chiffres.data.hand import copied, rewritten, write_digit
from chiffres.data.normalize import pen_width
from chiffres.data.touching import NARROWEST, touching_digits
from chiffres.reading import Reader

Images = npt.NDArray[np.uint8]


def only(digits: Digits, value: int) -> Digits:
    return digits.take(np.flatnonzero(digits.labels == value))


def box(image: Images) -> tuple[int, int]:
    """Return height and width of the ink."""
    rows, columns = (np.flatnonzero(image.max(axis=axis) > 0) for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def regions(image: Images) -> int:
    """Return into how many parts the ink cuts its paper, holes of a few pixels left out."""
    paper = (image < 100).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
    return int((stats[1:count, cv2.CC_STAT_AREA] > 2).sum())


def pieces(ink: npt.NDArray[np.bool_], connectivity: int = 8) -> int:
    return int(cv2.connectedComponents(ink.astype(np.uint8), connectivity=connectivity)[0])


@pytest.mark.parametrize("make", [unusual_forms, rewritten, touching_digits])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31 - 1), n=st.integers(1, 6), more=st.integers(1, 4))
def test_a_seed_gives_the_same_images_and_more_begin_with_the_same(
    make: Any, mnist_5k: Dataset, seed: int, n: int, more: int
) -> None:
    few, many = (make(mnist_5k.train, count, seed) for count in (n, n + more))
    if make is not touching_digits:
        (few, values), (many, all_values) = few, many
        np.testing.assert_array_equal(all_values[:n], values)
    assert many.shape == (n + more, 28, 28)
    assert many.dtype == np.uint8
    np.testing.assert_array_equal(many[:n], few)
    assert all(max(box(image)) == 20 for image in many)


def test_forms_are_of_their_digits_alone(mnist_5k: Dataset) -> None:
    assert set(unusual_forms(mnist_5k.train, 300, 0)[1]) == set(FORMS)


@pytest.mark.parametrize("count", [0, 5])
def test_where_nothing_can_be_added_nothing_is(mnist_5k: Dataset, count: int) -> None:
    blank = Digits(np.zeros((3, 28, 28), np.uint8), np.array([0, 1, 7], np.uint8))
    assert len(touching_digits(blank, count, 0)) == 0
    for digits in (blank, only(mnist_5k.train, 3)):
        images, labels = unusual_forms(digits, count, 0)
        assert images.shape == (0, 28, 28)
        assert labels.shape == (0,)


def test_a_slash_divides_a_zero(mnist_5k: Dataset) -> None:
    zeros = only(mnist_5k.train, 0)
    before = np.mean([regions(image) > 2 for image in zeros.images[:200]])
    after = np.mean([regions(image) > 2 for image in unusual_forms(zeros, 200, 0)[0]])
    assert before < 0.05
    assert after > 0.5


def test_a_bar_crosses_the_stem_of_a_seven(mnist_5k: Dataset) -> None:
    """Below its middle a 7 is as wide as its pen, and a barred one is wider somewhere."""
    sevens = only(mnist_5k.train, 7)

    def widest(image: Images) -> int:
        rows = image[np.flatnonzero(image.max(axis=1))][8:15]
        return int((rows > 100).sum(axis=1).max())

    before = np.median([widest(image) for image in sevens.images[:200]])
    after = np.median([widest(image) for image in unusual_forms(sevens, 200, 0)[0]])
    assert after >= before + 3


def test_an_upstroke_widens_a_one(mnist_5k: Dataset) -> None:
    """Where it stands upright; a leaning one is as wide already."""
    ones = only(mnist_5k.train, 1)
    upright = ones.take(np.flatnonzero([box(image)[1] <= 7 for image in ones.images]))
    after = [box(image)[1] for image in unusual_forms(upright, 200, 0)[0]]
    assert np.median(after) >= 10


def test_a_hook_reaches_left_of_the_stem_of_a_nine(mnist_5k: Dataset) -> None:
    """In the lowest rows, of the width of the digit; without it a stem ends there."""
    nines = only(mnist_5k.train, 9)

    def lowest(image: Images) -> float:
        rows = image[np.flatnonzero(image.max(axis=1) > 100)][-3:]
        return float(np.ptp(np.flatnonzero(rows.max(axis=0) > 100)) + 1) / box(image)[1]

    before = np.median([lowest(image) for image in nines.images[:200]])
    after = np.median([lowest(image) for image in unusual_forms(nines, 200, 0)[0]])
    assert after > 1.4 * before


def test_rewritten_digits_are_read_as_what_they_were(mnist_5k: Dataset) -> None:
    images, labels = rewritten(mnist_5k.train, 500, 0)
    assert set(labels) == set(range(10))
    right = Reader().classify(images).argmax(axis=1) == labels
    assert right.mean() >= 0.95


def test_a_broader_pen_leaves_broader_strokes(mnist_5k: Dataset) -> None:
    widths = []
    for pen in (-2.5, 0.0, 2.5):
        written = [
            write_digit(np.random.default_rng(0), image, np.eye(2), pen)
            for image in mnist_5k.train.images[:50]
        ]
        assert 55 <= np.median([len(ink) for ink in written]) <= 73
        widths.append(np.median([pen_width((255 * ink).astype(np.uint8)) for ink in written]))
    assert widths[0] + 2 < widths[1] < widths[2] - 3


def test_a_finer_pen_leaves_a_digit_whole(mnist_5k: Dataset) -> None:
    """However fine: its ink is in no more pieces, and its loops are open."""
    for number, image in enumerate(mnist_5k.train.images[:100]):
        usual, finest = (
            write_digit(np.random.default_rng(number), image, np.eye(2), pen) > 0.5
            for pen in (-1.0, -9.0)
        )
        assert pieces(finest) <= pieces(usual)
        papers = [pieces(~np.pad(ink, 1), connectivity=4) for ink in (finest, usual)]
        assert papers[0] >= papers[1]


def test_fine_strokes_are_found_though_they_are_blurred(mnist_5k: Dataset) -> None:
    """Of ink as it is found, few digits are in more pieces than when they were written."""
    rng = np.random.default_rng(0)
    more = []
    for image in mnist_5k.train.images[:200]:
        written = np.pad(write_digit(rng, image, np.eye(2), -3), 6)
        found = copied(rng, written.copy())[0]
        assert found.max() >= 128
        more.append(pieces(found >= 128) > pieces(written > 0.5))
    assert np.mean(more) < 0.25


def test_a_point_is_written_anew(mnist_5k: Dataset) -> None:
    """Nothing is left of it, once it is thinned."""
    image = np.zeros((28, 28), np.uint8)
    image[14, 14] = 129
    written = write_digit(np.random.default_rng(0), image, np.eye(2), -3)
    assert np.isfinite(written).all()
    assert written.max() > 0.5


def test_digits_without_ink_are_not_rewritten(mnist_5k: Dataset) -> None:
    digits = mnist_5k.train.take(np.arange(5))
    assert len(rewritten(Digits(0 * digits.images, digits.labels), 5, 0)[0]) == 0


def test_touching_digits_are_wide_and_of_several_strokes(mnist_5k: Dataset) -> None:
    images = touching_digits(mnist_5k.train, 200, 0)
    heights, widths = np.array([box(image) for image in images]).T
    assert np.all(widths >= NARROWEST * heights - 1)
    ones = touching_digits(only(mnist_5k.train, 1), 50, 0)
    strokes = [
        ((image.max(axis=1, keepdims=True) > 100) & (np.diff(image > 100, axis=1, prepend=0) == 1))
        .sum(axis=1)
        .max()
        for image in ones
    ]
    assert np.mean(np.array(strokes) >= 2) > 0.7  # a pair of bars is two bars
