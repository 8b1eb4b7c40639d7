"""Digits in the boxes of a form, one in each, whose strokes touch the sides and cross them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from chiffres.reading import Reader
from chiffres.reading.rules import find_rules, without_rules
from tests.reading.made import Grey, enlarged

SIDE = 92


def form(digits: list[Grey], apart: int, rng: np.random.Generator) -> Grey:
    """Return a sheet with a digit of 76 pixels in each box, up to eight off its middle."""
    sheet = np.full((SIDE + 128, len(digits) * (SIDE + apart) + 128), 235, np.uint8)
    for place, digit in enumerate(digits):
        left = 64 + place * (SIDE + apart)
        cv2.rectangle(sheet, (left, 64), (left + SIDE, 64 + SIDE), 110, 3)
        ink = enlarged(digit, 76)
        across, down = rng.integers(-8, 9, 2) + (SIDE - np.array(ink.shape[::-1])) // 2
        part = sheet[64 + down :, left + across :][:76, : ink.shape[1]]
        np.minimum(part, (235 - 205 * (ink / 255)).astype(np.uint8), out=part)
    return sheet


@pytest.mark.parametrize("apart", [0, 24])
def test_digits_in_the_boxes_of_a_form_are_read(
    reader: Reader, sure: dict[int, list[Grey]], apart: int
) -> None:
    rng = np.random.default_rng(3)
    wrong = []
    for _ in range(20):
        number = rng.integers(0, 10, rng.integers(1, 9)).tolist()
        digits = [sure[value][rng.integers(8)] for value in number]
        name, read = "".join(map(str, number)), reader.read(form(digits, apart, rng)).text
        wrong += [(name, read)] if name != read else []
    assert len(wrong) <= 4, wrong  # of 20


@pytest.mark.parametrize("lean", [0, 0.2, -0.12])
@pytest.mark.parametrize("apart", [0, 3])
def test_boxes_may_have_broad_sides_and_be_askew(
    reader: Reader, sure: dict[int, list[Grey]], apart: int, lean: float
) -> None:
    """Broad sides are too short, for their width, to be taken for lines one by one."""
    rng = np.random.default_rng(11)
    wrong = []
    for _ in range(8):
        number = rng.integers(0, 10, rng.integers(3, 8)).tolist()
        sheet = np.full((190, 66 * len(number) + 120), 220, np.uint8)
        for place, value in enumerate(number):
            left = 60 + place * (66 + apart)
            cv2.rectangle(sheet, (left, 60), (left + 66, 126), 70, 7)
            ink = enlarged(sure[value][rng.integers(8)], 42)
            part = sheet[72:114, left + (66 - ink.shape[1]) // 2 :][:, : ink.shape[1]]
            np.minimum(part, (220 - 170 * (ink / 255)).astype(np.uint8), out=part)
        slant = np.array([[1, lean, -60 * lean], [0.06, 1, -6]])
        size = sheet.shape[::-1]
        sheet = np.asarray(cv2.warpAffine(sheet, slant, size, borderValue=(220,)), np.uint8)
        name, read = "".join(map(str, number)), reader.read(sheet).text
        wrong += [(name, read)] if name != read else []
    assert len(wrong) <= 2, wrong  # of 8


def boxes(*hidden: tuple[int, int, int, int]) -> Grey:
    """Return a map of three boxes beside each other, with ink over parts of it."""
    ink = np.zeros((180, 400), np.uint8)
    for left in (60, 150, 240):
        cv2.rectangle(ink, (left, 50), (left + 90, 130), 200, 3)
    for left, top, right, bottom in hidden:
        cv2.rectangle(ink, (left, top), (right, bottom), 255, -1)
    return ink


def test_sides_are_found() -> None:
    lying, upright = find_rules(boxes())
    assert sorted({round(float(line.rows.mean())) for line in lying}) == [50, 130]
    assert sorted({round(float(line.rows.mean())) for line in upright}) == [60, 150, 240, 330]
    assert without_rules(boxes()).mean() < 0.05 * boxes().mean()


@pytest.mark.parametrize(
    "hidden", [(50, 118, 100, 140), (135, 70, 160, 84), (190, 44, 215, 60), (322, 100, 340, 138)]
)
def test_sides_that_writing_hides_in_part_are_found(hidden: tuple[int, int, int, int]) -> None:
    written = boxes(hidden)
    clean = without_rules(written)
    left, top, right, bottom = hidden
    assert (clean[top : bottom + 1, left : right + 1] == 255).mean() > 0.8
    clean[top - 12 : bottom + 13, left - 12 : right + 13] = 0
    assert clean.mean() < 0.1 * boxes().mean()


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("pen", [3, 5, 9])
def test_the_straight_strokes_of_a_4_and_a_5_are_no_sides(
    reader: Reader, pen: int, scale: int
) -> None:
    strokes = {
        "4": [[(0, 0), (0, 50), (60, 50)], [(60, 0), (60, 100)]],
        "5": [[(60, 0), (0, 0), (0, 50), (60, 50), (60, 100), (0, 100)]],
    }
    for name, lines in strokes.items():
        page = Image.new("L", (240 * scale, 260 * scale), 250)
        for line in lines:
            points = [((60 + x) * scale, (60 + y) * scale) for x, y in line]
            ImageDraw.Draw(page).line(points, 30, pen, joint="curve")
        assert reader.read(page).text == name
