"""From an image file to MNIST's format."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chiffres.data import image as module
from chiffres.data.image import open_image, read_digit, read_grey
from chiffres.errors import ImageError

Grey = npt.NDArray[np.uint8]


def drawing(height: int = 60, width: int = 40) -> Grey:
    """Return an asymmetric drawing, black on white: a 7 of sorts."""
    grey = np.full((height, width), 255, np.uint8)
    grey[10:16, 8:32] = 0
    grey[16:50, 24:32] = 40
    return grey


def save(path: Path, pixels: npt.NDArray[Any], **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def centre(digit: Grey) -> tuple[float, float]:
    rows, columns = np.indices(digit.shape)
    return float(np.average(rows, weights=digit)), float(np.average(columns, weights=digit))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "digit.png"


@st.composite
def papers(draw: st.DrawFn) -> Grey:
    """Draw a sheet of any size but 28×28 with one filled shape on it, clear of its border."""
    height, width = draw(st.integers(12, 150)), draw(st.integers(12, 150))
    if (height, width) == (28, 28):
        height = 29
    paper = draw(st.sampled_from([0, 20, 235, 255]))
    top, left = draw(st.integers(2, height // 2)), draw(st.integers(2, width // 2))
    bottom, right = draw(st.integers(top + 1, height - 2)), draw(st.integers(left + 1, width - 2))
    grey = np.full((height, width), paper, np.uint8)
    shape = np.ones((bottom - top, right - left), bool)
    if draw(st.booleans()):  # an ellipse instead of a rectangle
        rows, columns = np.indices(shape.shape)
        y, x = (shape.shape[0] - 1) / 2, (shape.shape[1] - 1) / 2
        shape = ((rows - y) / (y + 0.5)) ** 2 + ((columns - x) / (x + 0.5)) ** 2 <= 1
    grey[top:bottom, left:right][shape] = draw(st.sampled_from([100, 130, 160]))
    return grey


@given(papers())
def test_any_size_becomes_28_by_28_with_the_ink_in_the_middle(scratch: Path, grey: Grey) -> None:
    digit = read_digit(save(scratch, grey))
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    assert digit.max() == 255
    rows, columns = (np.flatnonzero(digit.max(axis=axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert centre(digit) == pytest.approx((14, 14), abs=1)


@given(papers())
def test_ink_and_paper_can_change_places(scratch: Path, grey: Grey) -> None:
    digit = read_digit(save(scratch, grey))
    np.testing.assert_array_equal(read_digit(save(scratch, 255 - grey)), digit)


@given(papers(), st.integers(0, 20), st.integers(0, 20))
def test_the_place_on_the_paper_does_not_matter(
    scratch: Path, grey: Grey, down: int, right: int
) -> None:
    sheet = np.full((190, 190), grey[0, 0], np.uint8)
    sheet[10 : 10 + grey.shape[0], 10 : 10 + grey.shape[1]] = grey
    digit = read_digit(save(scratch, sheet))
    moved = np.roll(sheet, (down, right), axis=(0, 1))
    np.testing.assert_array_equal(read_digit(save(scratch, moved)), digit)


def test_an_image_of_28_by_28_is_taken_as_it_is(tmp_path: Path, mnist_5k: Any) -> None:
    for number in range(20):
        image = mnist_5k.test.images[number]
        path = save(tmp_path / "digit.png", image)
        np.testing.assert_array_equal(read_digit(path), image)
        np.testing.assert_array_equal(read_digit(save(path, 255 - image)), image)


def test_mnist_s_own_digits_keep_their_form_when_enlarged(tmp_path: Path, mnist_5k: Any) -> None:
    """Four times as large on a larger sheet, then back: nearly the digit it was."""
    likeness = []
    for image in mnist_5k.test.images[:50]:
        large = np.pad(np.kron(image, np.ones((4, 4), np.uint8)), 30)
        digit = read_digit(save(tmp_path / "large.png", 255 - large))
        likeness.append(np.corrcoef(digit.ravel(), image.ravel())[0, 1])
    assert np.median(likeness) > 0.97


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", {}), (".tif", {}), (".tif", {"compression": "tiff_lzw"})],
    ids=["png", "tiff", "tiff, compressed"],
)
def test_the_exif_orientation_is_heeded(
    tmp_path: Path, orientation: int, suffix: str, options: dict[str, str]
) -> None:
    upright = drawing()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned{suffix}"
    save(path, np.ascontiguousarray(stored), exif=exif, **options)
    np.testing.assert_array_equal(read_grey(path), upright)


def test_what_is_transparent_is_white_paper(tmp_path: Path) -> None:
    grey = drawing()
    alpha = np.where(grey == 255, 0, 255).astype(np.uint8)
    expected = read_digit(save(tmp_path / "opaque.png", grey))
    black = np.where(grey == 255, 0, grey)  # the transparent pixels are black, unseen
    la = save(tmp_path / "la.png", np.stack([black, alpha], axis=2))
    rgba = save(tmp_path / "rgba.png", np.stack([black, black, black, alpha], axis=2))
    for path in (la, rgba):
        np.testing.assert_array_equal(read_grey(path), grey)
        np.testing.assert_array_equal(read_digit(path), expected)


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    grey = drawing()
    image = Image.fromarray((grey == 255).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.save(tmp_path / "palette.png", transparency=1)
    np.testing.assert_array_equal(
        read_grey(tmp_path / "palette.png"), np.where(grey == 255, 255, 0)
    )


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_read_as_8(tmp_path: Path, suffix: str) -> None:
    grey = np.arange(40 * 50).reshape(40, 50) % 256
    path = save(tmp_path / f"deep{suffix}", (grey * 257).astype(np.uint16))
    np.testing.assert_array_equal(read_grey(path), grey)


def test_a_floating_point_image_with_holes_is_read(tmp_path: Path) -> None:
    pixels = drawing().astype(np.float32)
    pixels[0, 0] = np.nan
    pixels[0, 1] = np.inf
    grey = read_grey(save(tmp_path / "holes.tif", pixels))
    np.testing.assert_array_equal(grey[1:], drawing()[1:])


def test_colours_become_grey(tmp_path: Path) -> None:
    colour = np.stack([drawing()] * 3, axis=2)
    np.testing.assert_array_equal(read_grey(save(tmp_path / "rgb.png", colour)), drawing())


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("size", [(100, 80), (28, 28), (3, 3), (1, 1)])
def test_an_empty_image_is_refused(tmp_path: Path, shade: int, size: tuple[int, int]) -> None:
    path = save(tmp_path / "blank.png", np.full(size, shade, np.uint8))
    with pytest.raises(ImageError, match=r"blank\.png: shows no digit"):
        read_digit(path)


def test_faint_noise_is_no_digit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(240, 256, (100, 80), np.uint8)
    with pytest.raises(ImageError, match="shows no digit"):
        read_digit(save(tmp_path / "noise.png", noise))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty: a file of 0 bytes"),
        (b"a,b\n1,2\n", "not an image of a known format"),
        (b"<?xml version='1.0'?>\n<svg></svg>", "SVG cannot be decoded here; save it as PNG or"),
        (b"%PDF-1.4", "PDF cannot be decoded here"),
        (b"\0\0\0\x24ftypheic\0\0\0\0mif1", "HEIC cannot be decoded here"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS is a program"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "digit.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"digit\.png: {message}"):
        read_digit(path)
    with pytest.raises(ImageError, match=f"^the picture: {message}"), open_image(content):
        pass


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png: cannot be read: No such file"):
        read_digit(tmp_path / "none.png")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_digit(tmp_path)


@given(at=st.integers(33), value=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_image_is_read_or_refused(scratch: Path, at: int, value: int, cut: bool) -> None:
    content = bytearray(save(scratch, drawing()).read_bytes())
    at %= len(content)
    content[at] ^= value
    scratch.write_bytes(content[:at] if cut else content)
    try:
        digit = read_digit(scratch)
    except ImageError:
        return
    assert digit.shape == (28, 28)


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = save(tmp_path / "long.png", drawing())
    with path.open("rb+") as file:
        file.truncate(module.MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ImageError, match=r"long\.png: 67,108,865 bytes, over the limit of 67,"):
        read_digit(path)


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@pytest.mark.parametrize("side", [10_001, 12_000, 60_000])
def test_pixels_over_the_limit_are_refused_before_decoding(tmp_path: Path, side: int) -> None:
    """The header announces them, the content is missing: decoding would say so."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    path = tmp_path / "wide.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"wide\.png: .*over the limit of 100,000,000"):
        read_digit(path)


def test_an_image_just_under_the_limit_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 60 * 40)
    assert read_grey(save(tmp_path / "digit.png", drawing())).shape == (60, 40)
    monkeypatch.setattr(module, "MAX_PIXELS", 60 * 40 - 1)
    with pytest.raises(ImageError, match=r"40×60 pixels, over the limit of 2,399"):
        read_grey(tmp_path / "digit.png")
