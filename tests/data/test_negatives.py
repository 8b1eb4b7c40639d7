"""What is no digit: what the reader learns to refuse, and what it is measured on."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font

from chiffres.data import Dataset, glyphs, negatives, strangers
from chiffres.data.image import normalize
from chiffres.data.pen import Maker, paint, written_strokes
from chiffres.errors import MissingExtraError

Gallery = tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]]
DRAW = {"training": negatives.training_negatives, "strangers": strangers.strangers}
KINDS = {"training": negatives.KINDS, "strangers": strangers.KINDS}
BLANK = {"empty"}
RAW = {"speck", "texture", "empty"}
"""The kinds that fill the frame, or nothing."""
LIKE_DIGITS = "OoDQUuIilJjZzdBYySsGbgqa"

sets = pytest.mark.parametrize("name", DRAW)


@pytest.fixture(scope="module")
def galleries() -> dict[str, Gallery]:
    return {name: draw(1200, seed=5) for name, draw in DRAW.items()}


@sets
def test_images_are_like_mnists(galleries: dict[str, Gallery], name: str) -> None:
    images, kinds = galleries[name]
    assert images.shape == (1200, 28, 28)
    assert images.dtype == np.uint8
    assert kinds.shape == (1200,)
    assert kinds.dtype.kind == "U"


@sets
def test_each_kind_has_its_share(galleries: dict[str, Gallery], name: str) -> None:
    shares = {kind: share for kind, (share, _) in KINDS[name].items()}
    assert sum(shares.values()) == pytest.approx(1)
    _, kinds = galleries[name]
    assert set(kinds) == set(shares)
    for kind, share in shares.items():
        error = np.sqrt(share * (1 - share) / len(kinds))
        assert np.mean(kinds == kind) == pytest.approx(share, abs=4 * error)


@sets
def test_only_the_empty_ones_are_blank(galleries: dict[str, Gallery], name: str) -> None:
    images, kinds = galleries[name]
    for kind in KINDS[name]:
        ink = images[kinds == kind].max(axis=(1, 2))
        assert ink.max() < 32 if kind in BLANK else ink.min() > 32


@sets
def test_drawings_have_a_digits_size_and_place(galleries: dict[str, Gallery], name: str) -> None:
    images, kinds = galleries[name]
    drawn = images[~np.isin(kinds, list(RAW))]
    rows, columns = (np.ptp(_span(drawn, axis), axis=1) + 1 for axis in (2, 1))
    assert np.all(np.maximum(rows, columns) == 20)
    weights = drawn / drawn.sum(axis=(1, 2), keepdims=True)
    centres = np.stack([(weights * axis).sum(axis=(1, 2)) for axis in np.indices((28, 28))])
    assert np.quantile(np.abs(centres - 14), 0.99) <= 0.51
    assert np.all(drawn.max(axis=(1, 2)) == 255)


def _span(images: npt.NDArray[np.uint8], axis: int) -> npt.NDArray[np.int64]:
    """Return the first and the last row (or column) with ink, ``(n, 2)``."""
    ink = images.max(axis=axis) > 0
    return np.stack([ink.argmax(axis=1), 27 - ink[:, ::-1].argmax(axis=1)], axis=1)


@sets
@given(seed=st.integers(0, 2**32), few=st.integers(0, 4), more=st.integers(0, 4))
@settings(max_examples=15)
def test_the_seed_decides_and_more_adds(name: str, seed: int, few: int, more: int) -> None:
    images, kinds = DRAW[name](few, seed)
    assert len(images) == len(kinds) == few
    larger, larger_kinds = DRAW[name](few + more, seed)
    np.testing.assert_array_equal(larger[:few], images)
    np.testing.assert_array_equal(larger_kinds[:few], kinds)


@sets
def test_another_seed_draws_others(galleries: dict[str, Gallery], name: str) -> None:
    images, _ = DRAW[name](20, seed=6)
    inked = images[images.max(axis=(1, 2)) > 0]
    assert not _bytes(inked) & _bytes(galleries[name][0])


def test_the_reader_is_never_measured_on_what_it_was_taught(galleries: dict[str, Gallery]) -> None:
    assert not _bytes(galleries["training"][0]) & _bytes(galleries["strangers"][0])


def _bytes(images: npt.NDArray[np.uint8]) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.mark.parametrize(
    "letters",
    [negatives.LETTERS, negatives.FOREIGN, list(strangers.LETTERS)],
    ids=["training", "foreign", "strangers"],
)
def test_letters_that_look_like_digits_are_left_out(letters: str | list[str]) -> None:
    plain = {unicodedata.normalize("NFD", letter)[0] for letter in letters}
    assert not plain & set(LIKE_DIGITS + negatives.DIGITS)
    assert len(set(letters)) == len(letters) >= 20


def test_signs_that_look_like_digits_are_left_out() -> None:
    assert not set(negatives.SYMBOLS) & set("!|/\\()[]'.,;†⊥>¬}∃¿$§¶£∩◊" + negatives.DIGITS)


@pytest.mark.parametrize("kept", negatives.HALVES.values(), ids=negatives.HALVES)
def test_no_half_of_a_1_7_or_9_is_a_negative(kept: str) -> None:
    assert not set(kept) & set("179")


EVERY_FONT = (*glyphs.SANS, *glyphs.MONO, *glyphs.SERIF, *glyphs.BOOK, *glyphs.ITALIC)


@pytest.mark.parametrize(
    ("text", "fonts"),
    [
        (negatives.LETTERS, EVERY_FONT),
        (negatives.FOREIGN, glyphs.SANS + glyphs.SERIF),
        (negatives.SYMBOLS, glyphs.SANS),
        (negatives.DIGITS, glyphs.SANS + glyphs.MONO),
    ],
    ids=["letters", "foreign", "symbols", "digits"],
)
def test_every_font_has_its_characters(text: str, fonts: tuple[str, ...]) -> None:
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    for font in fonts:
        known = FT2Font(str(folder / f"{font}.ttf")).get_charmap()
        # a missing one would be drawn as an empty box, which is a 0
        assert not {letter for letter in text if ord(letter) not in known}, font


def test_a_character_is_centred_in_its_raster() -> None:
    glyph = glyphs.character("H", "DejaVuSans")
    rows, columns = np.nonzero(glyph.field > 0)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == glyphs.LONGEST
    assert (rows.min() + rows.max(), columns.min() + columns.max()) == pytest.approx(
        (71, 71), abs=1
    )
    assert glyph.even
    assert not glyphs.character("H", "cmr10").even


def test_narrow_characters_are_widened() -> None:
    narrow = glyphs.character("f", "DejaVuSansMono")._replace(reach=np.array([6.0, 24.0]))
    image = glyphs.distorted(np.random.default_rng(0), narrow, stretch=1)
    wide = glyphs.distorted(
        np.random.default_rng(0), narrow._replace(reach=np.array([24.0, 24.0])), stretch=1
    )
    (left, right), (wide_left, wide_right) = _span(np.stack([image, wide]), axis=1)
    assert right - left > wide_right - wide_left


def test_a_single_line_lies() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        (line,) = negatives._lying(rng)
        width, height = np.abs(line[1] - line[0])
        assert height < 0.5 * width


def test_a_corner_is_no_7() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        image = normalize(paint(negatives._corner(rng), 2)) > 127
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        top, left = image[rows[:4]], image[:, columns[:4]]
        bar_on_top = top.any(axis=0).sum() > 0.7 * len(columns)
        stem_on_the_left = left.any(axis=1).sum() > 0.5 * len(rows)
        assert not bar_on_top or stem_on_the_left


def test_a_blob_lies() -> None:
    rng = np.random.default_rng(0)
    spans = np.stack([negatives.blob(rng) for _ in range(50)])
    rows, columns = (np.ptp(_span(spans, axis), axis=1) for axis in (2, 1))
    assert np.all(rows <= columns)


def test_scribbles_and_grain_are_more_tangled_than_digits(mnist_5k: Dataset) -> None:
    rng = np.random.default_rng(0)
    for make in (negatives.scribble, negatives.grain):
        for _ in range(20):
            assert negatives._strokes_crossed(make(rng)) >= negatives.TANGLED
    digits = mnist_5k.development.images[:1000]
    crossed = [negatives._strokes_crossed(image) for image in digits]
    assert np.mean(np.array(crossed) < negatives.TANGLED) > 0.94


@pytest.mark.parametrize("maker", [draw for _, draw in strangers.KINDS.values()])
def test_no_two_are_alike(maker: Maker) -> None:
    rng = np.random.default_rng(0)
    assert len(_bytes(np.stack([maker(rng) for _ in range(60)]))) == 60


@pytest.mark.parametrize("table", [strangers.LETTERS, strangers.DRAWINGS], ids=["pen", "drawings"])
def test_strokes_lie_on_their_grid(table: dict[str, str]) -> None:
    for text in table.values():
        for _, points in written_strokes(text):
            assert points.shape[1] == 2
            assert len(points) >= 2
            assert points.min() >= 0
            assert points.max() <= 8


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib.*chiffres\[train\]"):
        glyphs._font.__wrapped__("DejaVuSans")
