"""Digits that touch: what is read along a strip, and where it is cut."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data.strips import STEP, answers_for, as_strip
from chiffres.reading.cuts import cut_between
from chiffres.reading.touching import Middle, middles, read_strips, seams
from tests.reading.made import Grey

Answers = npt.NDArray[np.float32]


def answered(columns: list[tuple[int, float]]) -> Answers:
    """Return answers that are, of each column, a digit or -1 for none with such a probability."""
    answers = np.zeros((11, len(columns)), np.float32)
    for column, (digit, probability) in enumerate(columns):
        answers[:, column] = (1 - probability) / 10
        answers[1 + digit, column] = probability
    return answers


def rings(*, overlap: int = 4, height: int = 80, pen: int = 8) -> Grey:
    """Return two rings beside each other, which touch in the middle of the map."""
    width = 2 * height - overlap
    ink = np.zeros((height + 2, width + 2), np.uint8)
    radius = (height - pen) // 2
    for x in (height // 2, width - height // 2):
        cv2.circle(ink, (x, height // 2), radius, 255, pen)
    return ink


def test_each_run_of_columns_is_a_digit() -> None:
    none = (-1, 0.99)
    found = middles(answered([none, (3, 0.98), (3, 0.9), none, none, (3, 0.95), none]))
    assert [(each.start, each.stop) for each in found] == [(2, 6), (10, 12)]
    assert [int(each.probabilities.argmax()) for each in found] == [3, 3]
    assert all(0.9 < each.confidence <= 1 for each in found)


def test_a_gap_that_is_doubtful_makes_both_neighbours_doubtful() -> None:
    sure, doubt = (
        middles(answered([(-1, 0.99), (1, 0.99), (-1, gap), (7, 0.99), (-1, 0.99)]))
        for gap in (0.99, 0.6)
    )
    assert min(each.confidence for each in sure) > 0.9
    assert max(each.confidence for each in doubt) < 0.65


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_middles_are_apart_from_left_to_right(seed: int, columns: int) -> None:
    answers = np.random.default_rng(seed).dirichlet(np.full(11, 0.2), columns).T
    found = middles(answers.astype(np.float32))
    edges = [edge for each in found for edge in (each.start, each.stop)]
    assert edges == sorted(set(edges))
    assert all(0 <= edge <= STEP * columns for edge in edges)
    for each in found:
        assert each.probabilities.shape == (10,)
        assert 0 <= each.probabilities.sum() <= 1.0001


def test_strips_are_read_together_and_each_as_wide_as_it_is() -> None:
    seen: list[tuple[int, ...]] = []

    def network(strips: Grey) -> Answers:
        """Find a 5 in every column that has ink."""
        seen.append(strips.shape)
        inked = strips.max(axis=1).reshape(len(strips), -1, STEP).max(axis=2) > 100
        answers = np.zeros((len(strips), 11, inked.shape[1]), np.float32)
        answers[:, 0], answers[:, 6] = ~inked, inked
        return answers

    crops = [np.zeros((30, width), np.uint8) for width in (200, 20, 90)]
    for crop in crops:
        crop[1:-1, 1:-1] = 255
        crop[4:-4, 4:-4] = 0
    found = read_strips(crops, network)
    assert [len(each) for each in found] == [1, 1, 1]
    assert len(seen) == 1
    for crop, (only,) in zip(crops, found, strict=True):
        assert only.stop <= STEP * answers_for(as_strip(crop))
        assert only.stop - only.start == pytest.approx(24 / 28 * (crop.shape[1] - 2), abs=4)


@pytest.mark.parametrize("height", [30, 80, 300])
def test_touching_rings_are_cut_where_they_touch(height: int) -> None:
    ink = rings(height=height, pen=height // 10, overlap=height // 20)
    (columns,) = cut_between(ink, [(0.6 * height, 1.4 * height)])
    assert columns.shape == (ink.shape[0],)
    where = columns[ink.shape[0] // 2]
    assert where == pytest.approx(ink.shape[1] / 2, abs=0.06 * height)


def test_a_narrow_digit_keeps_its_ink() -> None:
    """The cut to its left goes through more ink than the one to its right, and stays there."""
    ink = np.zeros((162, 142), np.uint8)
    for x in (40, 70, 100):
        cv2.line(ink, (x, 6), (x, 155), 255, 10)
    for x, y in ((40, 20), (40, 140), (70, 80)):
        cv2.line(ink, (x, y), (x + 30, y), 255, 10)
    left, right = cut_between(ink, [(45, 65), (75, 95)])
    assert 45 < left.min() <= left.max() <= 65
    assert 75 <= right.min() <= right.max() <= 96


@given(st.integers(2, 70), st.integers(2, 90), st.integers(0, 2**32 - 1))
def test_seams_never_cross(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ink = rng.integers(0, 256, (height, width), np.uint8)
    ink[height // 2, width // 2] = 255
    edges = sorted(rng.integers(0, 60, 6))
    nothing = np.zeros(10, np.float32)
    found = [Middle(int(a), int(b), nothing) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    first, second = seams(ink, found)
    assert first.shape == second.shape == (height,)
    assert (first <= second).all()
