"""What is around digits and not one of them: other pens, small print, papers, holes."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from chiffres.reading import Reader
from chiffres.reading.ink import Ink
from chiffres.reading.page import STICK, Page
from chiffres.reading.segment import Piece
from chiffres.reading.surroundings import stands_out
from chiffres.reading.usual import usual_digit
from tests.reading.made import (
    BLUE,
    Grey,
    Sure,
    enlarged,
    found,
    in_colour,
    on_paper,
    touching,
    written,
)

Shade = int | tuple[int, int, int]
RED, BLACK = (190, 40, 50), (45, 45, 50)


def printed(sheet: Grey, word: str, where: tuple[int, int], size: int, shade: Shade) -> Grey:
    """Return the sheet with a word on it."""
    picture = Image.fromarray(sheet)
    font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")
    ImageDraw.Draw(picture).text(where, word, shade, ImageFont.truetype(font, size))
    return np.asarray(picture)


def write(sheet: Grey, digit: Grey, height: int, where: tuple[int, int], strength: int) -> None:
    """Write a digit on a sheet, its upper left corner ``where``, so much darker than the paper."""
    ink = enlarged(digit, height) / 255
    left, top = where
    part = sheet[top : top + height, left : left + ink.shape[1]]
    part[:] = np.rint(part - ink * strength)


def test_a_stroke_of_a_finer_pen_is_no_doubtful_digit(reader: Reader, sure: Sure) -> None:
    sheet = on_paper(np.pad(written(sure, "8735", 100, 25), ((30, 30), (250, 0))))
    hook = np.array([(110, 90), (70, 62), (66, 80), (150, 160)])
    cv2.polylines(sheet, [hook], False, 70, 3, cv2.LINE_AA)
    assert reader.read(sheet).text == "8735"


def test_what_is_doubtful_far_from_a_number_is_not_of_it(reader: Reader, sure: Sure) -> None:
    sheet = on_paper(np.pad(written(sure, "75897", 80), ((0, 0), (450, 0))))
    cv2.polylines(sheet, [np.array([(50, 60), (70, 110), (90, 60)])], False, 90, 7, cv2.LINE_AA)
    assert reader.read(sheet).text == "75897"


@pytest.mark.parametrize("word", ["Floor", "Student", "Page", "jatte", "Order"])
@pytest.mark.parametrize("at", [(30, 70), (30, 130)])
def test_a_small_word_beside_a_number_is_not_read(
    reader: Reader, sure: Sure, word: str, at: tuple[int, int]
) -> None:
    sheet = on_paper(np.pad(written(sure, "27342", 100), ((0, 60), (260, 0))))
    sheet = printed(sheet, word, at, 60, 90)
    assert reader.read(sheet).text == "27342"


def test_1s_beside_a_digit_that_lies_on_its_side_are_read(reader: Reader, sure: Sure) -> None:
    lying = cv2.resize(enlarged(sure[5][0], 145), (277, 145), interpolation=cv2.INTER_LINEAR)
    bars = np.pad(written(sure, "11", 213, 200), ((0, 0), (160, 0)))
    ink = np.hstack([np.pad(lying, ((50, 18), (0, 0))), bars])
    assert reader.read(on_paper(ink, 60)).text == "511"


@pytest.mark.parametrize(("radius", "below"), [(90, 500), (120, 800), (200, 800)])
def test_a_hole_is_no_0(reader: Reader, sure: Sure, radius: int, below: int) -> None:
    """Nor is its rim, where the paper is looked for with a finer kernel."""
    ink = np.pad(written(sure, "4165", 300, 90), ((60, below), (300, 60)))
    sheet = on_paper(ink, 0, 5, 200)
    cv2.circle(sheet, (260, 360 + below // 2), radius, 230, -1, cv2.LINE_AA)
    assert reader.read(sheet).text == "4165"


@pytest.mark.parametrize("number", ["28917", "40387"])
def test_a_hole_beside_digits_that_touch_is_none_of_them(
    reader: Reader, sure: Sure, number: str
) -> None:
    sheet = on_paper(np.pad(touching(sure, number, 66), ((100, 300), (90, 150))), 10, 235, 90)
    for below in (140, 370):
        cv2.circle(sheet, (60, below), 19, 100, -1, cv2.LINE_AA)
    assert reader.read(sheet).text == number


@pytest.mark.parametrize("number", ["0571", "7623", "1057"])
def test_a_large_faint_0_is_the_ring_of_a_cup(reader: Reader, sure: Sure, number: str) -> None:
    ink = np.pad(written(sure, number, 150, 100), ((330, 300), (420, 300)))
    sheet = on_paper(ink, 40, 190, 60)
    cv2.ellipse(sheet, (230, 290), (150, 190), 0, 0, 360, 165, 20, cv2.LINE_AA)
    assert reader.read(sheet).text == number


@pytest.mark.parametrize("number", ["230", "910", "4628"])
def test_a_number_in_one_stroke_is_larger_than_the_print(
    reader: Reader, sure: Sure, number: str
) -> None:
    ink = touching(sure, number, 42)
    sheet = on_paper(np.pad(ink, ((5, 25), (220, 260))), 10, 30, 190)
    sheet = printed(sheet, "dog les", (30, 8), 14, 140)
    sheet = printed(sheet, "Room postal", (250 + ink.shape[1], 55), 14, 140)
    assert reader.read(sheet).text == number


@pytest.mark.parametrize("number", ["4628", "2675"])
def test_larger_digits_that_touch_are_in_reading_order(
    reader: Reader, sure: Sure, number: str
) -> None:
    large, small = touching(sure, number, 150), written(sure, "845", 60)
    small = np.pad(small, ((80, 80), (0, large.shape[1] - small.shape[1])))
    assert reader.read(on_paper(np.vstack([large, small]))).lines == (number, "845")
    assert reader.read(on_paper(np.vstack([small, large]))).lines == ("845", number)


@pytest.mark.parametrize("number", ["83", "90", "69"])
def test_the_edge_of_a_paper_is_no_measure_of_digits(
    reader: Reader, sure: Sure, number: str
) -> None:
    ink = np.pad(touching(sure, number, 77), ((170, 250), (110, 260)))
    sheet = on_paper(ink, 10, 205, 120)
    cv2.fillPoly(sheet, [np.array([(0, 120), (4, 120), (20, 497), (0, 497)])], 170)
    assert reader.read(sheet).text == number


@pytest.mark.parametrize("word", ["Total", "Room", "Montant"])
@pytest.mark.parametrize(("number", "pen"), [("7", RED), ("8163", BLUE)])
def test_writing_in_colour_is_read_beside_print_as_large(
    reader: Reader, sure: Sure, word: str, number: str, pen: tuple[int, int, int]
) -> None:
    sheet = in_colour(np.pad(written(sure, number), ((0, 0), (260, 0))), pen)
    assert reader.read(printed(sheet, word, (10, 15), 50, BLACK)).text == number


@pytest.mark.parametrize("number", ["79", "6041"])
def test_writing_in_colour_is_read_in_broad_black_boxes(
    reader: Reader, sure: Sure, number: str
) -> None:
    cells = [np.pad(written(sure, value, 50), 26) for value in number]
    sheet = in_colour(np.hstack(cells), (30, 120, 80))
    right = 20
    for cell in cells:
        left, right = right, right + cell.shape[1]
        cv2.rectangle(sheet, (left + 12, 32), (right - 13, 20 + len(cell) - 13), BLACK, 8)
    assert reader.read(cv2.GaussianBlur(sheet, (0, 0), 1.5)).text == number


@pytest.mark.parametrize("dark", [0.6, 0.8])
def test_writing_in_colour_is_read_across_a_shadow(reader: Reader, sure: Sure, dark: float) -> None:
    sheet = in_colour(np.pad(written(sure, "4807"), ((0, 0), (260, 0))), BLUE)
    sheet = printed(sheet, "Total", (10, 15), 50, BLACK)
    light = np.where(np.arange(sheet.shape[1]) < sheet.shape[1] - 150, 1, dark)
    assert reader.read(np.rint(sheet * light[:, None]).astype(np.uint8)).text == "4807"


def test_a_number_in_black_is_read_beside_one_in_colour(reader: Reader, sure: Sure) -> None:
    black, red = (in_colour(written(sure, each), pen) for each, pen in (("27", BLACK), ("5", RED)))
    assert reader.read(np.hstack([black, red])).text == "275"


def test_the_paper_around_a_digit_is_none(reader: Reader, sure: Sure) -> None:
    """Light on a darker table, it is looked at first."""
    wrong = []
    for value in (2, 3, 4, 5, 6, 8, 9):
        for digit in sure[value][:4]:
            sheet = np.full((164, 144), 105, np.uint8)
            corners = np.array([(26, 12), (144, 38), (116, 118), (12, 96)])
            cv2.fillPoly(sheet, [corners], 190, cv2.LINE_AA)
            write(sheet, digit, 46, (62, 40), 100)
            wrong += [] if reader.read(sheet).text == str(value) else [value]
    assert len(wrong) <= 2, wrong  # of 28; 4 where the paper was taken for a digit


def test_a_digit_on_light_paper_on_a_black_table_is_read(reader: Reader, sure: Sure) -> None:
    """Its loop is a light 0 on darker ink, and half of the paper is in a shadow."""
    for digit in sure[6][:4]:
        sheet = np.full((323, 288), 25, np.uint8)
        cv2.fillPoly(sheet, [np.array([(25, 28), (260, 26), (266, 300), (32, 304)])], 190)
        sheet[150:][sheet[150:] > 100] = 150
        write(sheet, digit, 165, (110, 80), 80)
        assert reader.read(sheet).text == "6"


def test_a_stain_that_a_digit_lies_on_is_no_part_of_it(reader: Reader, sure: Sure) -> None:
    wrong = []
    for value, (pen, left) in itertools.product((2, 5, 8), ((14, 380), (26, 380), (40, 130))):
        for digit in sure[value][:4]:
            sheet = np.full((500, 700), 225, np.uint8)
            cv2.ellipse(sheet, (300, 250), (170, 150), 0, 40, 300, 196, pen, cv2.LINE_AA)
            write(sheet, digit, 150, (left, 250), 120)
            text = reader.read(sheet).text
            wrong += [] if text == str(value) else [(value, pen, text)]
    assert len(wrong) <= 4, wrong  # of 36; 23 where the stain was ink like any other


@pytest.mark.parametrize("number", ["77", "74", "70", "75"])
def test_digits_that_touch_are_read_beside_print(reader: Reader, sure: Sure, number: str) -> None:
    left, right = (enlarged(sure[int(value)][at], 120) for at, value in enumerate(number))
    ink = np.pad(left, ((0, 260), (0, right.shape[1] + 294)))
    both = ink[:120, left.shape[1] - 6 : left.shape[1] - 6 + right.shape[1]]
    np.maximum(both, right, out=both)
    sheet = printed(on_paper(ink, 60), "Rue Total", (60, 300), 76, 110)
    assert reader.read(sheet).text == number


def test_a_paper_that_leaves_the_picture_on_three_sides_is_no_7(reader: Reader) -> None:
    sheet = np.full((766, 1044), 40, np.uint8)
    cv2.fillPoly(sheet, [np.array([(0, 0), (540, 0), (1044, 90), (930, 766), (0, 700)])], 200)
    assert reader.read(sheet).text == ""


@pytest.mark.parametrize(("around", "is_out"), [(40, True), (200, False)])
def test_what_is_within_strokes_does_not_stand_out(around: int, is_out: bool) -> None:
    """A light square, in a dark frame, on dark paper or on light."""
    shades = np.full((300, 300), around, np.uint8)
    shades[90:210, 90:210] = 40
    shades[100:200, 100:200] = 200
    inked = np.zeros(shades.shape, np.uint8)
    inked[100:200, 100:200] = 255
    ink = Ink(inked, inked, 0, 255 - shades, dark=False, certain=True)
    square = found(0, Piece((1,), 100, 100, 200, 200, 10_000), 160)
    assert stands_out([square], Page(ink, inked, [[square]], [square])) is is_out


def test_of_bars_alone_the_usual_is_the_strong_one_not_the_long_one() -> None:
    short = found(STICK, Piece((1,), 60, 45, 130, 111, 500), 139)
    edge = found(STICK, Piece((2,), 28, 1, 48, 125, 300), 45)
    usual = usual_digit([short, edge], at_edge=lambda _: False)
    assert usual is not None
    assert usual.strength == 139


@pytest.mark.parametrize("seed", range(20))
def test_a_speck_of_a_few_pixels_is_no_digit(reader: Reader, seed: int) -> None:
    sheet = np.full((130, 360), 220, np.uint8)
    speck = np.random.default_rng(seed).random((3, 2)) < 0.7
    sheet[60:63, 70:72][speck] = 90
    assert reader.read(sheet).text == ""
