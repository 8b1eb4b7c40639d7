"""The lines of the paper go, the strokes of the digits stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from chiffres.data.strokes import CONTOUR
from chiffres.reading.rules import find_rules, without_rules
from tests.reading.made import Grey, enlarged, row_of


@pytest.fixture(scope="module")
def strokes(sure: dict[int, list[Grey]]) -> Grey:
    """A line of digits on a map of 200×500."""
    written = row_of([sure[value][2] for value in (3, 5, 8)], 80, 40)
    top, left = (200 - written.shape[0]) // 2, (500 - written.shape[1]) // 2
    sheet = np.zeros((200, 500), np.uint8)
    sheet[top : top + written.shape[0], left : left + written.shape[1]] = written
    return sheet


def kept(clean: Grey, strokes: Grey) -> float:
    return float((clean >= CONTOUR)[strokes >= CONTOUR].mean())


def ruled(sheet: Grey, step: int, *, squared: bool, slope: float = 0.0) -> Grey:
    """Return the map with lines two pixels wide every ``step`` pixels."""
    sheet = sheet.copy()
    rows, columns = np.indices(sheet.shape)
    lines = (rows + np.rint(slope * columns).astype(int)) % step < 2
    if squared:
        lines |= (columns - np.rint(slope * rows).astype(int)) % step < 2
    sheet[lines] = np.maximum(sheet[lines], 180)
    return sheet


@pytest.mark.parametrize("slope", [0.0, 0.04, -0.07])
@pytest.mark.parametrize("squared", [False, True])
def test_ruled_and_squared_paper(strokes: Grey, squared: bool, slope: float) -> None:
    clean = without_rules(ruled(strokes, 33, squared=squared, slope=slope))
    assert kept(clean, strokes) > 0.93
    left_over = (clean >= CONTOUR) & (strokes < CONTOUR)
    added = ruled(np.zeros_like(strokes), 33, squared=squared, slope=slope) >= CONTOUR
    assert left_over.sum() < 0.2 * added.sum()


def test_one_line_below_the_writing(strokes: Grey) -> None:
    sheet = strokes.copy()
    sheet[150:153] = 255
    clean = without_rules(sheet)
    assert clean[148:155].max() < CONTOUR
    assert kept(clean, strokes) == 1


def test_a_line_that_a_crease_runs_into(strokes: Grey) -> None:
    sheet = strokes.copy()
    cv2.line(sheet, (280, 180), (499, 165), 170, 3)
    sheet[180:184] = 255
    clean = without_rules(sheet)
    assert clean[180:184].mean() < 0.1 * 255
    assert kept(clean, strokes) == 1


@pytest.mark.parametrize(("across", "down"), [(26, 24), (30, 30), (34, 24)])
def test_a_stroke_along_much_of_a_faint_rule_stays(across: int, down: int) -> None:
    """A large 0 that a rule of squared paper touches."""
    ring = np.zeros((90, 100), np.uint8)
    cv2.ellipse(ring, (46, 46), (across, down), 0, 0, 360, 255, 3)
    sheet = ring.copy()
    for column in (44 + across, 8, 94):
        np.maximum(sheet[:, column : column + 3], 140, out=sheet[:, column : column + 3])
    clean = without_rules(sheet)
    assert kept(clean, ring) == 1


def test_digits_alone_are_left_alone(strokes: Grey, sure: dict[int, list[Grey]]) -> None:
    np.testing.assert_array_equal(without_rules(strokes), strokes)
    one = np.pad(enlarged(sure[1][0], 150), 12)
    seven = np.pad(enlarged(sure[7][0], 100), 10)
    for digit in (one, seven):
        assert kept(without_rules(digit), digit) > 0.97


@pytest.mark.parametrize(("height", "width"), [(200, 500), (1500, 2003)])
def test_where_a_rule_runs(height: int, width: int) -> None:
    sheet = np.zeros((height, width), np.uint8)
    sheet[120:124, 5:] = 200
    assert not without_rules(sheet).any()
    lying, upright = find_rules(sheet)
    assert not upright
    (rule,) = lying
    assert rule.start == pytest.approx(5, abs=10)
    assert rule.stop == pytest.approx(width, abs=10)
    assert rule.rows == pytest.approx(121.5, abs=1)
    assert rule.width == pytest.approx(4, abs=1)
    assert rule.strength == pytest.approx(200, abs=1)
