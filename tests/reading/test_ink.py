"""From a picture to its ink: the same strokes, whatever the paper and the light."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chiffres.data.strokes import CONTOUR
from chiffres.reading.components import components
from chiffres.reading.ink import find_ink
from chiffres.reading.shades import to_shades
from tests.reading.made import Grey, on_paper, row_of


@pytest.fixture(scope="module")
def strokes(sure: dict[int, list[Grey]]) -> Grey:
    """A line of digits, 0 to 255, with a margin."""
    return np.pad(row_of([sure[value][1] for value in (4, 0, 7, 2)], 70), 40)


def agreement(map_: Grey, strokes: Grey) -> float:
    """Return the share of the pixels that either counts as ink that both do."""
    found, there = map_ >= CONTOUR, strokes > 127
    return float((found & there).sum() / (found | there).sum())


@pytest.mark.parametrize(("paper", "pen"), [(235, 30), (20, 240), (250, 190), (70, 40), (128, 200)])
def test_ink_is_found_in_either_polarity_and_contrast(strokes: Grey, paper: int, pen: int) -> None:
    ink = next(find_ink(on_paper(strokes, 0, paper, pen)))
    assert ink.dark == (pen < paper)
    assert agreement(ink.map, strokes) > 0.8


def test_ink_is_found_in_a_shadow(strokes: Grey) -> None:
    light = np.linspace(1, 0.25, strokes.shape[1])
    picture = np.rint(on_paper(strokes, 0) * light).astype(np.uint8)
    assert agreement(next(find_ink(picture)).map, strokes) > 0.8


def test_ink_is_found_in_noise(strokes: Grey) -> None:
    noise = np.random.default_rng(0).normal(0, 15, strokes.shape)
    picture = np.clip(on_paper(strokes, 0) + noise, 0, 255).astype(np.uint8)
    assert agreement(next(find_ink(picture)).map, strokes) > 0.7


def test_ink_as_light_as_its_paper_is_seen_by_its_colour(strokes: Grey) -> None:
    """Red on green, both of the same grey level."""
    share = (strokes / 255)[..., None]
    red, green = np.array([215, 110, 110]), np.array([100, 168, 90])
    picture = np.rint(green + share * (red - green)).astype(np.uint8)
    shades = to_shades(picture).astype(int)
    paper, written = np.median(shades[strokes == 0]), np.median(shades[strokes > 250])
    assert abs(written - paper) > 60
    assert agreement(next(find_ink(to_shades(picture))).map, strokes) > 0.8


def test_grey_in_three_channels_is_grey(strokes: Grey) -> None:
    grey = on_paper(strokes, 0)
    np.testing.assert_array_equal(to_shades(np.dstack([grey] * 3)), grey)


@pytest.mark.parametrize("shade", [0, 90, 255])
def test_a_sheet_of_one_shade_has_no_ink(shade: int) -> None:
    for ink in find_ink(np.full((80, 120), shade, np.uint8)):
        assert ink.map.max() < CONTOUR


def test_the_noise_of_paper_is_no_ink() -> None:
    noise = np.random.default_rng(0).normal(200, 8, (300, 400))
    for ink in find_ink(np.clip(noise, 0, 255).astype(np.uint8)):
        assert (ink.map >= CONTOUR).mean() < 1e-3
        assert 2 < ink.noise < 9  # 8, smoothed


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_any_picture_has_maps_of_its_shape_and_inverted_the_same(
    height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    picture: npt.NDArray[np.uint8] = rng.integers(0, 256, (height, width), np.uint8)
    found, inverted = list(find_ink(picture)), list(find_ink(255 - picture))
    assert {ink.dark for ink in found} == {True, False}
    for ink in found:
        assert ink.map.shape == ink.contrast.shape == picture.shape
        twin = [other for other in inverted if other.dark != ink.dark]
        assert all((other.map == ink.map).all() for other in twin)


@given(
    inked=arrays(
        np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.booleans()
    )
)
def test_components_are_those_of_opencv(inked: Grey) -> None:
    count, labels, stats = components(inked)
    counted, labelled, measured, _ = cv2.connectedComponentsWithStats(inked, ltype=cv2.CV_32S)
    pairs = {(int(one), int(other)) for one, other in zip(labels.flat, labelled.flat, strict=True)}
    inks = [pair for pair in pairs if pair != (0, 0)]
    assert count == counted
    assert len(inks) == count - 1  # the same ones, perhaps in another order
    for one, other in inks:
        np.testing.assert_array_equal(stats[one], measured[other])
    assert stats[0].tolist() == [0, 0, *inked.shape[::-1], int((inked == 0).sum())]
