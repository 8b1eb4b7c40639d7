"""Pages: what is said about a picture is true of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chiffres.data import Dataset
from chiffres.data.pages import NARROWEST, WIDEST, Page, clutter, media, page
from chiffres.data.pages.blank import KINDS, blank
from chiffres.data.pages.paper import PAPERS, RULINGS
from chiffres.data.pages.pens import PENS
from chiffres.data.pages.shapes import Source, of_digits
from chiffres.data.pages.sketch import sketch
from chiffres.data.pages.writing import written, written_in_boxes

seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def source(mnist_5k: Dataset) -> Source:
    return of_digits(mnist_5k.validation)


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    """Make small pictures, which take less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chiffres.data.pages.WIDEST", 600)
        patch.setattr("chiffres.data.pages.blank.WIDEST", 600)
        yield


def same(one: Page, other: Page) -> bool:
    pictures = np.array_equal(one.picture, other.picture)
    return pictures and (one.marks, one.made) == (other.marks, other.made)


def test_the_seed_decides(source: Source) -> None:
    made = [page(np.random.default_rng(seed), source, [3]) for seed in (5, 5, 6)]
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


@given(seeds, st.lists(st.integers(1, 12), min_size=1, max_size=4), st.booleans())
@settings(max_examples=15)
def test_a_page_is_what_it_says(
    source: Source, seed: int, counts: list[int], touching: bool
) -> None:
    made = page(np.random.default_rng(seed), source, counts, touching)
    height, width, channels = made.picture.shape
    assert made.picture.dtype == np.uint8
    assert channels == 3
    assert NARROWEST <= width <= WIDEST
    assert NARROWEST <= height <= WIDEST
    assert [len(line) for line in made.lines] == counts
    assert made.text == "\n".join(made.lines)
    for mark in made.marks:
        x, y, wide, high = mark.box
        assert 0 <= x < x + wide <= width
        assert 0 <= y < y + high <= height
    for line, count in enumerate(counts):
        touches = [mark.touches for mark in made.marks if mark.line == line]
        assert any(touches) == (touching and count > 1)


@given(seeds, st.integers(1, 8))
@settings(max_examples=15)
def test_digits_are_written_in_boxes(source: Source, seed: int, count: int) -> None:
    writing = written_in_boxes(np.random.default_rng(seed), source, count, height=40, pen=5)
    height, width = writing.ink.shape
    assert len(writing.letters) == len(writing.boxes) == count
    ends = 0.0
    for letter, (left, top, side) in zip(writing.letters, writing.boxes, strict=True):
        assert ends <= left + 1e-6
        ends = left + side
        assert ends < width
        assert 0 < top < top + side < height
        middle = (letter.hull.min(axis=0) + letter.hull.max(axis=0)) / 2
        assert np.abs(middle - (np.array([left, top]) + side / 2)).max() <= 0.12 * 40 + 2


@given(seeds, st.integers(1, 8))
@settings(max_examples=5)
def test_a_page_of_boxes_is_what_it_says(source: Source, seed: int, count: int) -> None:
    made = page(np.random.default_rng(seed), source, [count], boxed=True)
    assert max(made.picture.shape) <= WIDEST
    assert [len(line) for line in made.lines] == [count]
    assert made.made["spacing"] == "in boxes"
    assert not any(mark.touches for mark in made.marks)


class Untouched:
    """Leaves the sheet as it is, but for the ink."""

    @pytest.fixture(autouse=True)
    def _flat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        medium = dataclasses.replace(media.MEDIA["screen"], photographed=0, scanned=0)
        monkeypatch.setattr(media, "MEDIA", {"screen": medium})
        monkeypatch.setattr("chiffres.data.pages.camera.jpeg", lambda rng, picture, *_: picture)


class TestBoxes(Untouched):
    @given(seeds, st.integers(1, 6), st.booleans())
    @settings(max_examples=20)
    @example(331, 4, False)
    def test_all_ink_lies_in_the_boxes_and_fills_them(
        self, source: Source, seed: int, count: int, touching: bool
    ) -> None:
        made = page(np.random.default_rng(seed), source, [count], touching, cluttered=False)
        paper = np.median(made.picture.reshape(-1, 3), axis=0)
        away = np.abs(made.picture - paper).max(axis=2)
        ink = away > 0.5 * away.max()
        outside, faint = ink.copy(), away > 0.25 * away.max()  # a stroke may end softly
        for x, y, wide, high in (mark.box for mark in made.marks):
            inside = faint[y : y + high, x : x + wide]
            for edge in (inside[:2], inside[-2:], inside[:, :2], inside[:, -2:]):
                assert edge.any()
            outside[y : y + high, x : x + wide] = False
        assert not outside.any()


@given(seeds, st.integers(2, 8))
@settings(max_examples=20)
def test_digits_touch_only_where_they_are_said_to(source: Source, seed: int, count: int) -> None:
    import cv2

    for touching in (False, True):
        rng = np.random.default_rng(seed)
        writing = written(rng, _blocks, [count], height=40, pen=5, touching=touching)
        pieces = cv2.connectedComponents((writing.ink > 0.3).astype(np.uint8))[0] - 1
        touches = sum(letter.touches for letter in writing.letters)
        assert (touches > 0) == touching
        assert pieces == count - touches


def _blocks(rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Draw a digit in one piece: a 0."""
    from chiffres.data.pages.forms import FORMS
    from chiffres.data.pages.shapes import from_strokes
    from chiffres.data.pen import penned

    return from_strokes(penned(rng, FORMS["0"], 0.2, np.diag([0.8, 1.0])), 0, 2.0)


def test_lines_stand_apart_from_the_top(source: Source) -> None:
    writing = written(np.random.default_rng(1), source, [3, 5, 2], 30, 3, touching=False)
    spans = [
        (min(each.hull[:, 1].min() for each in line), max(each.hull[:, 1].max() for each in line))
        for line in (
            [letter for letter in writing.letters if letter.line == number] for number in range(3)
        )
    ]
    assert spans[0][1] < spans[1][0] < spans[1][1] < spans[2][0]


def test_the_largest_page_is_as_large_as_allowed(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chiffres.data.pages.WIDEST", WIDEST)
    monkeypatch.setattr("chiffres.data.pages.NARROWEST", WIDEST)
    made = page(np.random.default_rng(0), source, [12])
    assert max(made.picture.shape) == WIDEST


def test_every_name_is_known_and_every_share_adds_up() -> None:
    for medium in media.MEDIA.values():
        assert set(medium.papers) <= set(PAPERS)
        assert set(medium.rulings) <= set(RULINGS)
        assert set(medium.pens) <= set(PENS)
        assert medium.photographed + medium.scanned <= 1
    assert sum(medium.share for medium in media.MEDIA.values()) == pytest.approx(1)
    assert sum(share for share, _ in KINDS.values()) == pytest.approx(1)


def test_many_pages_have_all_there_is(source: Source) -> None:
    made = [page(np.random.default_rng([8, seed]), source) for seed in range(40)]
    assert {each.made["medium"] for each in made} == set(media.MEDIA)
    assert {each.made["taken"] for each in made} == {"photograph", "scan", "drawing"}
    assert {each.made["light on dark"] for each in made} == {True, False}
    widths = [each.picture.shape[1] for each in made]
    assert min(widths) < 60
    assert max(widths) > 300


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_blank_page_has_no_digit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chiffres.data.pages.blank.KINDS", {kind: (1.0, KINDS[kind][1])})
    one, again = (blank(np.random.default_rng(4)) for _ in range(2))
    assert one.made["kind"] == kind
    assert (one.lines, one.text) == ([], "")
    assert one.picture.dtype == np.uint8
    assert min(one.picture.shape[:2]) >= NARROWEST
    assert same(one, again)


def test_no_printed_word_has_a_digit() -> None:
    assert not any(letter.isdigit() for word in clutter.WORDS for letter in word)


@given(seeds)
def test_a_sketch_fits_its_canvas(seed: int) -> None:
    made = sketch(np.random.default_rng(seed))
    (mark,) = made.marks
    x, y, wide, high = mark.box
    inside = made.picture[y : y + high, x : x + wide]
    assert inside.size
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) >= 2
    paper = made.picture[0, 0]
    covered = made.picture.copy()
    covered[y : y + high, x : x + wide] = paper
    assert (covered == paper).all()
