"""Loading: every way to give the same picture gives the same pixels, upright."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chiffres.errors import ImageError
from chiffres.reading import picture as module
from chiffres.reading.picture import load
from tests.reading.made import as_file


def drawing() -> npt.NDArray[np.uint8]:
    """Return an asymmetric drawing, ``(30, 20)``."""
    pixels = np.full((30, 20), 250, np.uint8)
    pixels[4:8, 3:15] = 20
    pixels[8:25, 11:15] = 60
    return pixels


def colours() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)


def grey(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return pixels if pixels.ndim == 2 else pixels[..., 1]


def test_a_path_bytes_an_image_and_an_array_are_the_same_picture(tmp_path: Path) -> None:
    for pixels in (drawing(), colours()):
        content = as_file(pixels)
        path = tmp_path / "picture.png"
        path.write_bytes(content)
        for source in (path, str(path), content, Image.fromarray(pixels), pixels):
            loaded = load(source)
            np.testing.assert_array_equal(loaded.pixels, pixels)
            assert (loaded.width, loaded.height, loaded.scale) == (20, 30, (1, 1))


@pytest.mark.parametrize(
    "array",
    [
        drawing().astype(np.uint16) * 257,
        drawing().astype(np.float32) / 255,
        drawing().astype(np.float64),
        drawing()[..., None],
        np.dstack([drawing(), np.full_like(drawing(), 255)]),
    ],
    ids=["16 bits", "0 to 1", "0 to 255", "one channel", "grey and alpha"],
)
def test_an_array_of_any_depth(array: npt.NDArray[Any]) -> None:
    np.testing.assert_array_equal(grey(load(array).pixels), drawing())


def test_a_bool_array_is_black_and_white() -> None:
    np.testing.assert_array_equal(load(drawing() > 100).pixels, np.where(drawing() > 100, 255, 0))


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((3, 4, 5), np.uint8), r"an array \(3, 4, 5\) of uint8 is no picture"),
        (np.zeros(9, np.uint8), r"an array \(9,\) of uint8"),
        (np.zeros((9, 9), complex), "of complex128"),
        (np.array([["a"]]), "of <U1"),
        (np.zeros((0, 9), np.uint8), "the picture is empty: 9×0 pixels"),
        (np.broadcast_to(np.uint8(0), (10_001, 10_000)), "over the limit of 100,000,000"),
    ],
)
def test_an_array_that_is_no_picture(array: npt.NDArray[Any], problem: str) -> None:
    with pytest.raises(ImageError, match=problem):
        load(array)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(kind: str, orientation: int) -> None:
    turns = {
        1: lambda upright: upright,
        2: lambda upright: upright[:, ::-1],
        3: lambda upright: upright[::-1, ::-1],
        4: lambda upright: upright[::-1],
        5: lambda upright: upright.T,
        6: lambda upright: np.rot90(upright),
        7: lambda upright: upright[::-1, ::-1].T,
        8: lambda upright: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turns[orientation](drawing()))
    loaded = load(as_file(stored, kind, exif=exif))
    assert (loaded.width, loaded.height) == (20, 30)
    assert np.abs(grey(loaded.pixels).astype(int) - drawing()).mean() < 8  # JPEG and WebP are lossy


def test_transparent_pixels_are_paper() -> None:
    alpha = np.where(drawing() == 250, 0, 255).astype(np.uint8)
    unseen = np.where(drawing() == 250, 0, drawing()).astype(np.uint8)
    loaded = load(np.dstack([unseen, unseen, unseen, alpha])).pixels
    np.testing.assert_array_equal(loaded[..., 0], np.where(alpha > 0, drawing(), 255))


def test_cmyk_and_palettes_are_colours() -> None:
    for mode in ("CMYK", "P", "YCbCr", "HSV", "LAB"):
        image = Image.fromarray(colours()).convert("RGB")
        loaded = load(image if mode == "LAB" else image.convert(mode)).pixels
        assert loaded.shape == (30, 20, 3)
    black = Image.new("CMYK", (5, 5), (0, 0, 0, 255))
    assert load(black).pixels.max() < 40


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.fromarray(drawing()), Image.fromarray(255 - drawing())]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        file = io.BytesIO()
        lossless = {"lossless": True} if kind == "WEBP" else {}
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], **lossless)
        np.testing.assert_array_equal(grey(load(file.getvalue()).pixels), drawing())


@given(width=st.integers(1, 300), height=st.integers(1, 300), most=st.integers(1, 5000))
def test_a_large_picture_is_reduced_and_keeps_its_shape(width: int, height: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_PIXELS", most)
        loaded = load(np.zeros((height, width), np.uint8))
    rows, columns = loaded.pixels.shape
    assert (loaded.width, loaded.height) == (width, height)
    # each side is rounded, to 1 at least
    assert (rows - 0.5) * (columns - 0.5) <= most or 1 in (rows, columns)
    if width * height <= most:
        assert (rows, columns) == (height, width)


def test_a_large_jpeg_is_decoded_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded at an eighth and no further, so that it is averaged down, not up."""
    large = np.kron(drawing(), np.ones((40, 40), np.uint8))
    monkeypatch.setattr(module, "MOST_PIXELS", 60 * 40)
    loaded = load(as_file(large, "JPEG"))
    assert loaded.pixels.shape == (60, 40)
    assert tuple(loaded.scale) == (20, 20)
    assert np.abs(loaded.pixels[::2, ::2].astype(int) - drawing()).mean() < 8
