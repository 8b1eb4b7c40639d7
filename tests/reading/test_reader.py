"""The whole way: the digits of a picture, whatever is done to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

from chiffres.data import Dataset
from chiffres.errors import UsageError
from chiffres.reading import Reader
from tests.reading.made import Grey, Sure, as_file, enlarged, on_paper, row_of, written

FEW = settings(max_examples=25)
numbers = st.text("0123456789", min_size=1, max_size=6)


def share(right: list[bool]) -> float:
    return float(np.mean(right))


def test_digits_are_read_in_numbers(reader: Reader, sure: Sure) -> None:
    rng = np.random.default_rng(0)
    names = ["".join(map(str, rng.integers(0, 10, rng.integers(1, 9)))) for _ in range(40)]
    assert share([reader.read(on_paper(written(sure, name))).text == name for name in names]) > 0.96


@FEW
@given(
    number=numbers,
    down=st.integers(8, 200),
    right=st.integers(8, 200),
    below=st.integers(8, 200),
    beside=st.integers(8, 200),
)
@example(number="1", down=172, right=8, below=179, beside=83)
@example(number="132275", down=17, right=24, below=80, beside=167)  # the tops are no rule
@example(number="132275", down=67, right=15, below=22, beside=11)
def test_where_on_the_page_a_number_is_does_not_matter(
    reader: Reader, sure: Sure, number: str, down: int, right: int, below: int, beside: int
) -> None:
    ink = written(sure, number)
    moved = np.pad(ink, ((down, below), (right, beside)))
    reading, expected = (reader.read(on_paper(each, m)) for each, m in ((moved, 0), (ink, 30)))
    assert reading.text == expected.text
    for digit, before in zip(reading.digits, expected.digits, strict=True):
        left, top, width, height = before.box
        box = (left - 30 + right, top - 30 + down, width, height)
        assert digit.box == pytest.approx(box, abs=2)


@FEW
@given(number=numbers, paper=st.integers(0, 255), pen=st.integers(0, 255))
def test_dark_on_light_reads_as_light_on_dark(
    reader: Reader, sure: Sure, number: str, paper: int, pen: int
) -> None:
    if abs(paper - pen) < 40:
        pen = (paper + 120) % 256 if abs((paper + 120) % 256 - paper) >= 40 else 255 - pen
    if abs(paper - pen) < 40:
        return
    picture = on_paper(written(sure, number), 30, paper, pen)
    assert reader.read(picture).text == reader.read(255 - picture).text


@pytest.mark.parametrize("scale", [0.5, 0.8, 2, 5, 20])
def test_scale_does_not_matter(reader: Reader, sure: Sure, scale: float) -> None:
    same = []
    for number in ("7", "305", "914", "26", "8"):
        picture = on_paper(written(sure, number, 44), 20)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way)
        reading, expected = reader.read(scaled), reader.read(picture)
        same.append(reading.text == expected.text)
        for digit, other in zip(reading.digits, expected.digits, strict=False):
            assert digit.box == pytest.approx(np.array(other.box) * scale, abs=2 + 2 * scale)
    assert all(same)


@pytest.mark.parametrize("side", [16, 60, 300])
@pytest.mark.parametrize(("paper", "pen"), [(0, 255), (235, 30), (90, 160)])
def test_digits_that_fill_their_pictures_are_read(
    reader: Reader, sure: Sure, side: int, paper: int, pen: int
) -> None:
    """As in collections of scanned digits: each cut out, and stretched to a small square."""
    wrong = []
    for value in set(sure) - {1}:
        for digit in sure[value][:4]:
            ink = cv2.resize(enlarged(digit, 16), (16, 16), interpolation=cv2.INTER_AREA)
            ink = cv2.resize(ink, (side, side), interpolation=cv2.INTER_CUBIC)
            reading = reader.read(on_paper(ink, 0, paper, pen))
            wrong += [(value, reading.text)] if reading.text != str(value) else []
            for found in reading.digits:
                left, top, width, height = found.box
                assert left >= 0 <= top
                assert max(left + width, top + height) <= side
    assert len(wrong) <= 3, wrong  # of 36


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_file_reads_as_it_is_seen(reader: Reader, sure: Sure, orientation: int) -> None:
    turns: dict[int, Callable[[Grey], Grey]] = {
        2: np.fliplr,
        3: lambda upright: np.rot90(upright, 2),
        4: np.flipud,
        5: np.transpose,
        6: np.rot90,
        7: lambda upright: np.rot90(upright, 2).T,
        8: lambda upright: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = on_paper(written(sure, "4725"), 25)
    stored = np.ascontiguousarray(turns[orientation](picture))
    assert reader.read(as_file(stored, exif=exif)) == reader.read(picture)


def test_mnist_s_own_images_are_read_as_the_classifier_does(
    reader: Reader, mnist_5k: Dataset
) -> None:
    images = mnist_5k.validation.images[:200]
    likeliest = reader.classify(images).argmax(axis=1)
    read = [reader.read(as_file(image)) for image in images]
    same = [
        len(reading.digits) == 1 and reading.digits[0].alternatives[0][0] == value
        for reading, value in zip(read, likeliest, strict=True)
        if reading.digits
    ]
    assert share(same) > 0.99
    assert len(same) > 0.95 * len(images)


def test_several_lines_are_read_in_their_order(reader: Reader, sure: Sure) -> None:
    rows = [on_paper(written(sure, number), 15) for number in ("2045", "371", "96")]
    width = max(row.shape[1] for row in rows)
    page = np.vstack([np.pad(r, ((0, 0), (0, width - r.shape[1])), "edge") for r in rows])
    reading = reader.read(page)
    assert reading.lines == ("2045", "371", "96")
    assert reading.text == "2045\n371\n96"
    assert [digit.value for digit in reading.digits] == [2, 0, 4, 5, 3, 7, 1, 9, 6]


def test_touching_pairs_are_split(reader: Reader, sure: Sure) -> None:
    rng = np.random.default_rng(1)
    right = []
    for _ in range(60):
        first, second = (int(value) for value in rng.integers(0, 10, 2))
        pair = row_of([sure[first][0], sure[second][1]], 60, 0)
        left = enlarged(sure[first][0], 60).shape[1]
        joined = np.maximum(  # moved two pixels into each other
            np.pad(pair[:, :left], ((0, 0), (0, pair.shape[1] - left - 2))),
            np.pad(pair[:, left:], ((0, 0), (left - 2, 0))),
        )
        right.append(reader.read(on_paper(joined)).text == f"{first}{second}")
    assert share(right) > 0.85


def test_a_1_that_touches_its_neighbours_is_not_lost(reader: Reader, sure: Sure) -> None:
    """Of small numbers whose strokes run together by two pixels."""
    numbers = [name for a in range(10) for name in (f"4{a}1{(a + 3) % 10}", f"{a}1")]
    right = [
        reader.read(on_paper(run_together(sure, name, 24, first), 20)).text == name
        for first in (0, 2, 4, 6)
        for name in numbers
    ]
    assert share(right) >= 0.7


def run_together(sure: Sure, number: str, height: int, first: int = 0, overlap: int = 2) -> Grey:
    """Return the number's ink, each digit so far to the left that it overlaps the one before.

    Of each value's digits the one at ``first`` is the first one's, and so on.
    """
    digits = [sure[int(value)][at % 8] for at, value in enumerate(number, first)]
    row, *others = (enlarged(digit, height) for digit in digits)
    for digit in others:
        ends, begins = (np.flip(row >= 128, axis=1), digit >= 128)
        both = ends.any(axis=1) & begins.any(axis=1)
        room = ends.argmax(axis=1)[both] + begins.argmax(axis=1)[both]
        left = max(0, row.shape[1] - int(room.min()) - overlap)
        wide = np.zeros((height, max(row.shape[1], left + digit.shape[1])), np.uint8)
        wide[:, : row.shape[1]] = row
        part = wide[:, left : left + digit.shape[1]]
        np.maximum(part, digit, out=part)
        row = wide
    return row


def test_the_parts_of_a_reading(reader: Reader, sure: Sure) -> None:
    picture = on_paper(written(sure, "58"), 30)
    reading = reader.read(picture)
    assert reading.json("a.png")["text"] == "58"
    first, second = reading.digits
    assert (first.value, second.value) == (5, 8)
    assert first.text == "5"
    dark = picture < 130
    for digit in reading.digits:
        left, top, width, height = digit.box
        assert digit.alternatives[0] == (digit.value, digit.confidence)
        probabilities = [p for _, p in digit.alternatives]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0.97 < sum(probabilities) <= 1.0001
        dark[top : top + height, left : left + width] = False
    assert not dark.any()  # the boxes hold all the ink


def test_what_is_unsure_is_rejected(reader: Reader, sure: Sure) -> None:
    picture = on_paper(written(sure, "72"), 30)
    bar = max(digit.confidence for digit in reader.read(picture).digits)
    strict = Reader(threads=1, reject_below=bar)
    reading = strict.read(picture)
    assert sorted(reading.text)[0] in "27?"
    assert any(digit.value is not None for digit in reading.digits)
    for digit in reading.digits:
        assert (digit.value is None) == (digit.confidence < bar)
        assert digit.text == ("?" if digit.value is None else str(digit.value))


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (5, 300), (300, 5), (400, 300)])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_on_a_blank_page_nothing_is_read(reader: Reader, size: tuple[int, int], shade: int) -> None:
    reading = reader.read(np.full(size, shade, np.uint8))
    assert (reading.text, reading.lines, reading.digits) == ("", (), ())


def test_in_a_page_of_text_nothing_is_read(reader: Reader) -> None:
    page = Image.new("L", (700, 420), 240)
    text = "The quick brown fox jumps\nover the lazy dog; what was\nwritten here has words\nalone"
    ImageDraw.Draw(page).multiline_text((30, 30), text, 20, ImageFont.load_default(42))
    assert reader.read(page).text == ""


@pytest.mark.parametrize("seed", range(4))
def test_in_texture_nothing_is_read(reader: Reader, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rough = cv2.resize(rng.normal(0, 1, (60, 80)), (640, 480), interpolation=cv2.INTER_CUBIC)
    fine = rng.normal(0, 0.3, (480, 640))
    assert reader.read(np.clip(128 + 45 * (rough + fine), 0, 255).astype(np.uint8)).text == ""


def drawn(*strokes: list[tuple[int, int]], size: tuple[int, int] = (200, 240)) -> Image.Image:
    """Return a page with strokes of a pen on it."""
    page = Image.new("L", size, 250)
    for stroke in strokes:
        ImageDraw.Draw(page).line([(60 + x, 60 + y) for x, y in stroke], 30, 9, joint="curve")
    return page


FORMS = {
    "barred 7": [[(10, 12), (60, 10), (30, 90)], [(22, 50), (56, 46)]],
    "1 with a base": [[(15, 30), (40, 8), (40, 92)], [(12, 92), (68, 92)]],
    "French 1": [[(8, 48), (44, 8), (46, 92)]],
    "open 4": [[(40, 8), (10, 60), (66, 58)], [(50, 30), (46, 92)]],
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_that_are_not_mnist_s(reader: Reader, form: str) -> None:
    """As they are written by hand, with a pen."""
    assert reader.read(drawn(*FORMS[form])).text in form.split()


def test_what_is_likely_is_read_where_it_is_all_there_is(reader: Reader) -> None:
    page = drawn([(0, 36), (44, 8), (24, 92)])
    (digit,) = reader.read(page).digits
    above = (1 + digit.confidence) / 2
    asking = Reader(threads=1)
    asking.reject_below = above
    assert [found.value for found in asking.read(page).digits] == [1]
    assert not Reader(threads=1, reject_below=above).read(page).digits


@pytest.mark.parametrize(
    "strokes",
    [
        [[(0, 0), (30, 90), (60, 0)]],
        [[(0, 90), (0, 0), (60, 90), (60, 0)]],
        [[(0, 0), (60, 90)], [(60, 0), (0, 90)]],
        [[(-60, -60), (-58, 120)]],
        [[(-80, 170), (170, 176)]],
    ],
    ids=["V", "N", "X", "a bar in the corner", "a line"],
)
def test_what_is_no_digit_is_not_read(reader: Reader, strokes: list[list[tuple[int, int]]]) -> None:
    assert reader.read(drawn(*strokes)).text == ""


def test_light_paper_on_a_dark_table_is_not_the_ink(reader: Reader, sure: Sure) -> None:
    table = np.full((500, 900), 25, np.uint8)
    page = on_paper(written(sure, "4507"), 40, 230, 60)
    table[100 : 100 + page.shape[0], 200 : 200 + page.shape[1]] = page
    assert reader.read(table).text == "4507"


@pytest.mark.parametrize("slope", [0, 100, 200])
@pytest.mark.parametrize("length", [0.7, 1])
def test_a_table_in_the_shape_of_a_7_hides_no_small_digits(
    reader: Reader, sure: Sure, slope: int, length: float
) -> None:
    picture = np.full((1500, 1250), 190, np.uint8)
    above = [(0, 0), (1250, 0), (1250, 160), (0, 160 + slope)]
    beside = [(1090, 0), (1250, 0), (1250, int(1500 * length)), (1218, int(1500 * length))]
    for part in (above, beside):
        cv2.fillPoly(picture, [np.array(part)], 70)
    ink = on_paper(written(sure, "32686360", 44, 14), 0, 190, 90)
    picture[420 : 420 + ink.shape[0], 350 : 350 + ink.shape[1]] = ink
    assert reader.read(picture).text == "32686360"


@pytest.mark.parametrize(("contrast", "lines"), [(60, ("95758",)), (120, ("7", "95758"))])
def test_a_single_digit_is_read_where_it_is_nearly_as_strong_as_the_others(
    reader: Reader, sure: Sure, contrast: int, lines: tuple[str, ...]
) -> None:
    sheet = np.full((700, 800), 235, np.uint8)
    for ink, strength, top, left in (
        (written(sure, "95758", 60, 14), 170, 400, 250),
        (written(sure, "7", 55), contrast, 100, 80),
    ):
        part = on_paper(ink, 0, 235, 235 - strength)
        sheet[top : top + part.shape[0], left : left + part.shape[1]] = part
    assert reader.read(sheet).lines == lines


def test_a_crease_is_no_1_in_a_line_of_its_own(reader: Reader, sure: Sure) -> None:
    sheet = np.full((900, 800), 225, np.uint8)
    cv2.line(sheet, (300, 200), (312, 270), 173, 3, cv2.LINE_AA)
    ink = on_paper(written(sure, "95758", 60, 14), 0, 225, 125)
    sheet[500 : 500 + ink.shape[0], 250 : 250 + ink.shape[1]] = ink
    assert reader.read(sheet).lines == ("95758",)


def test_the_petals_of_a_flower_are_no_digits(reader: Reader) -> None:
    flower = load_sample_image("flower.jpg")
    half = cv2.resize(flower, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert reader.read(np.ascontiguousarray(half[:, : half.shape[1] // 2])).text == ""


def test_a_crowded_number_on_its_underline_is_read(reader: Reader, sure: Sure) -> None:
    """Around its broad strokes is more ink than around the digits of most lines."""
    ink = cv2.dilate(np.pad(written(sure, "97540638", 50, 14), 4), np.ones((5, 5), np.uint8))
    under = np.full((12, ink.shape[1]), 255, np.uint8)
    page = on_paper(np.vstack([ink, under[:4] * 0, under]), 60)
    assert reader.read(page).text == "97540638"


def test_the_edge_of_a_table_is_no_1_before_a_number(reader: Reader, sure: Sure) -> None:
    sheet = on_paper(written(sure, "75", 50), 90, 220, 100)
    cv2.line(sheet, (2, 90), (8, 140), 100, 8, cv2.LINE_AA)
    assert reader.read(sheet).text == "75"


def test_hairlines_do_not_make_a_number_text(reader: Reader, sure: Sure) -> None:
    """The number is cut from touching digits, and what is around it is no writing of its pen."""
    sheet = np.full((900, 900), 228, np.uint8)
    for x in (100, 400, 700):
        for y in (60, 700):
            fold = np.array([(x, y + 90), (x, y), (x + 70, y + 90), (x + 70, y)])
            cv2.polylines(sheet, [fold], False, 190, 1, cv2.LINE_AA)
    left, right = written(sure, "359", 70), written(sure, "28", 70)
    both = np.pad(left, ((0, 0), (0, right.shape[1] - 10)))
    both[:, -right.shape[1] :] = np.maximum(both[:, -right.shape[1] :], right)
    ink = on_paper(both, 12, 228, 90)
    sheet[400 : 400 + ink.shape[0], 240 : 240 + ink.shape[1]] = ink
    assert reader.read(sheet).text == "35928"


def test_what_is_left_of_a_rule_does_not_make_a_digit_a_frame(reader: Reader, sure: Sure) -> None:
    """A straight bit of it inside is a 1, but far weaker."""
    for digit in sure[0]:
        ink = enlarged(digit, 300)
        bit = ink[60:210, ink.shape[1] // 2 :][:, :6]
        np.maximum(bit, 70, out=bit)
        assert reader.read(on_paper(ink, 80)).text == "0"


def test_the_stems_of_bold_print_are_no_1s(reader: Reader) -> None:
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    page = Image.new("L", (480, 330), 255)
    bold = ImageFont.truetype(fonts / "DejaVuSerif-Bold.ttf", 64)
    ImageDraw.Draw(page).multiline_text((36, 50), "Signature\nSignature", 35, bold, spacing=36)
    assert reader.read(page).text == ""


@pytest.mark.parametrize("word", ["Order", "Order Invoice", "Total"])
def test_a_printed_word_below_a_number_is_no_number(reader: Reader, sure: Sure, word: str) -> None:
    """Its letters are lower than the digits, and some of them look like digits."""
    number = np.pad(written(sure, "92505", 100), ((0, 200), (0, 300)))
    sheet = Image.fromarray(on_paper(number))
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    bold = ImageFont.truetype(fonts / "DejaVuSerif-BoldItalic.ttf", 78)
    ImageDraw.Draw(sheet).text((50, 240), word, 30, bold)
    assert reader.read(sheet).text == "92505"


def test_an_underline_is_no_part_of_its_digit(reader: Reader, sure: Sure) -> None:
    wrong = []
    for value, gap in itertools.product(range(10), (14, 20, 26)):
        for digit in sure[value]:
            ink = np.pad(enlarged(digit, 100), ((0, gap + 14), (40, 40)))
            ink[-14:, 30:-30] = 255
            text = reader.read(on_paper(ink, 60)).text
            wrong += [(value, text)] if text != str(value) else []
    assert len(wrong) <= 3, wrong  # of 240


@pytest.mark.parametrize("slope", [-0.2, 0, 0.3])
@pytest.mark.parametrize("soft", [15, 41, 81])
def test_the_band_of_a_shadow_is_no_digit(reader: Reader, slope: float, soft: int) -> None:
    down, across = np.mgrid[:600, :800]
    band = np.abs(across - 400 - slope * (down - 300)) < 110
    light = cv2.blur(np.where(band, 0.62, 1.0), (soft, soft))
    assert reader.read(np.rint(220 * light).astype(np.uint8)).text == ""


def test_holes_along_the_edge_do_not_make_a_1_a_bar(reader: Reader, sure: Sure) -> None:
    for digit in sure[1][:4]:
        sheet = on_paper(np.pad(enlarged(digit, 120), ((120, 200), (250, 100))), 0)
        for row in (40, 160, 280, 400):
            cv2.circle(sheet, (8, row), 34, 40, -1)
        assert reader.read(sheet).text == "1"


def test_a_bit_of_a_letter_is_no_1(reader: Reader) -> None:
    """Beside letters that are far taller."""
    letters = drawn(
        [(0, 0), (20, 90), (40, 20), (60, 90), (80, 0)],
        [(120, 0), (120, 90), (165, 90)],
        [(120, 0), (165, 0)],
        [(120, 44), (155, 44)],
        [(-25, 46), (-25, 84)],
        size=(300, 220),
    )
    assert reader.read(letters).text == ""


def test_a_faint_bar_beside_a_spaced_number_does_not_make_it_text(
    reader: Reader, sure: Sure
) -> None:
    """On a page with words, a line with nothing else than a number is read."""
    number = np.pad(written(sure, "49503", 60, 70), ((0, 300), (120, 60)))
    sheet = Image.fromarray(on_paper(number))
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    sans = ImageFont.truetype(fonts / "DejaVuSans.ttf", 60)
    ImageDraw.Draw(sheet).multiline_text((60, 170), "Name, Vorname\nHerr Kraft", 30, sans)
    ImageDraw.Draw(sheet).line([(60, 46), (58, 96)], 195, 4)
    assert reader.read(sheet).text == "49503"


def test_light_between_shadows_is_no_digit_beside_far_stronger_ink(
    reader: Reader, sure: Sure
) -> None:
    """On a dark table, where light ink is looked for first, on a sheet with a shadow."""
    table = np.full((230, 260), 50, np.uint8)
    ink = on_paper(written(sure, "8", 90), 40, 175, 20)
    height, width = ink.shape
    table[20 : 20 + height, 60 : 60 + width] = ink
    lit = np.array([(62, 22), (118, 24), (96, 100), (84, 98), (104, 40), (62, 40)])
    shade = np.zeros(table.shape, np.uint8)
    cv2.fillPoly(shade, [lit], 25)
    table = np.where(table > 160, table + shade, table).astype(np.uint8)
    assert reader.read(table).text == "8"


def test_threads_share_a_reader(sure: Sure) -> None:
    reader = Reader()
    pages = [on_paper(written(sure, f"{value}{9 - value}"), 10 + value) for value in range(10)]
    expected = [reader.read(page) for page in pages]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reader.read, pages * 4)) == expected * 4


def test_images_in_mnist_s_format_are_classified(reader: Reader, mnist_5k: Dataset) -> None:
    images, labels = mnist_5k.validation.images[:150], mnist_5k.validation.labels[:150]
    probabilities = reader.classify(images)
    assert probabilities.shape == (150, 10)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert share(list(probabilities.argmax(axis=1) == labels)) > 0.98
    assert reader.classify(images[:0]).shape == (0, 10)
    assert reader.read(images[0]).digits


@pytest.mark.parametrize(
    "images", [np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28)), np.zeros((1, 27, 28), np.uint8)]
)
def test_images_of_another_shape_or_type_are_refused(reader: Reader, images: Grey) -> None:
    with pytest.raises(UsageError, match=r"expected \(n, 28, 28\) of uint8"):
        reader.classify(images)


def test_a_dark_shadow_with_a_hard_edge_across_a_digit_is_no_stroke(
    reader: Reader, sure: Sure
) -> None:
    right = []
    for value in range(10):
        for digit in sure[value][:2]:
            ink = np.pad(enlarged(digit, 90), 45) / 255
            down, across = np.mgrid[: ink.shape[0], : ink.shape[1]]
            far = 150 * across / ink.shape[1] + 0.5 * down
            light = cv2.blur(np.where((far > 90) & (far < 160), 0.6, 1.0), (3, 3))
            sheet = np.rint(light * (200 - 100 * ink)).astype(np.uint8)
            right.append(reader.read(sheet).text == str(value))
    assert share(right) > 0.7
