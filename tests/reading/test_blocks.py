"""Pictures enlarged without smoothing: each block is one pixel again."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from chiffres.data import Dataset
from chiffres.reading import Reader
from chiffres.reading.blocks import without_blocks
from chiffres.reading.drawing import READ, annotated
from chiffres.reading.picture import load
from tests.reading.made import Grey, Sure, as_file, enlarged, on_paper


@pytest.fixture
def optical(mnist_5k: Dataset) -> Grey:
    """A 5, of 8×8 pixels of any shade, ink to its edges."""
    images = mnist_5k.validation.images[mnist_5k.validation.labels == 5]
    return np.asarray(cv2.resize(images[0][4:24, 4:24], (8, 8), interpolation=cv2.INTER_AREA))


@given(
    st.integers(6, 30),
    st.integers(6, 30),
    st.one_of(st.just(2.0), st.floats(3, 30)),
    st.floats(1, 1.25),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_blocks_are_pixels_again(
    height: int, width: int, size: float, stretched: float, channels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height, width, channels), np.uint8).squeeze()
    across, down = round(width * size), round(height * max(3, size * stretched))
    large = cv2.resize(small, (across, down), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(without_blocks(large), small)


def test_a_picture_of_pixels_stays(sure: Sure) -> None:
    photo = cv2.GaussianBlur(on_paper(enlarged(sure[8][0], 300)), (0, 0), 2)
    assert without_blocks(photo) is photo


def test_straight_lines_are_no_blocks() -> None:
    """They end where the corners of blocks would be; it is drawn in two shades, for all that."""
    seven = np.full((90, 70), 235, np.uint8)
    seven[20:30, 20:50] = 40
    seven[30:70, 40:50] = 40
    assert without_blocks(seven) is seven


@pytest.mark.parametrize("size", [2, 5, 13.2, 40])
@pytest.mark.parametrize("margin", [0, 30])
def test_a_digit_of_blocks_is_read(reader: Reader, optical: Grey, size: float, margin: int) -> None:
    side = round(8 * size)
    large = cv2.resize(optical, (side, side), interpolation=cv2.INTER_NEAREST)
    assert reader.read(np.pad(large, margin)).text == "5"
    assert reader.read(255 - np.pad(large, margin)).text == "5"


@pytest.mark.parametrize("size", [8, 13.2, 37])
def test_a_digit_of_blocks_is_read_from_a_jpeg(reader: Reader, optical: Grey, size: float) -> None:
    side = round(12 * size)
    large = cv2.resize(np.pad(optical, 2), (side, side), interpolation=cv2.INTER_NEAREST)
    assert reader.read(as_file(large, "JPEG", quality=80)).text == "5"


@pytest.mark.parametrize("colours", ["gray", "gray_r", "viridis"])
def test_a_plot_of_a_digit_is_read(reader: Reader, optical: Grey, colours: str) -> None:
    """As Matplotlib draws it, a light digit up to the white around the plot."""
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.imshow(optical, cmap=colours)
    axes.axis("off")
    file = io.BytesIO()
    figure.savefig(file)
    assert reader.read(file.getvalue()).text == "5"


def test_a_digit_is_where_it_is_in_the_whole_picture(reader: Reader, sure: Sure) -> None:
    large = sure[3][0].repeat(10, axis=0).repeat(10, axis=1)
    (digit,) = reader.read(Image.fromarray(large)).digits
    (plain,) = reader.read(sure[3][0]).digits
    assert digit.value == plain.value == 3
    assert digit.confidence == plain.confidence
    assert digit.box == tuple(10 * edge for edge in plain.box)


def test_what_was_read_is_drawn_on_the_whole_picture(reader: Reader, optical: Grey) -> None:
    picture = load(np.pad(optical, 2).repeat(20, axis=0).repeat(20, axis=1))
    reading = reader.reading(picture, reader.page(picture))
    drawn = np.asarray(annotated(picture, reading))
    assert drawn.shape == (240, 240, 3)
    (digit,) = reading.digits
    left, top, width, height = digit.box
    below = drawn[top + height, left + width // 2]
    assert below.tolist() == list(READ)
