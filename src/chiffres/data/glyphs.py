"""Characters from the fonts that matplotlib ships, distorted until they look made by hand."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt, map_coordinates

from chiffres.data.image import BOX, normalize
from chiffres.data.pen import Floats, Grey, slant, smooth_noise
from chiffres.errors import MissingExtraError

LIGHT = ("DejaVuSans", "DejaVuSans-Oblique")
SANS = (*LIGHT, "DejaVuSans-Bold", "DejaVuSans-BoldOblique")
MONO = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "cmtt10", "cmss10")
SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic")
BOOK = ("STIXGeneral", "STIXGeneralBol", "cmr10", "cmb10")
ITALIC = ("STIXGeneralItalic", "STIXGeneralBolIta", "cmti10", "cmmi10")
EVEN = {*SANS, *MONO}
"""Fonts whose strokes are all of one thickness, so that thinning leaves none out."""

FULL, LONGEST = 72, 48
"""The side of a glyph's raster and the longest side of the glyph in it, in pixels."""
NARROWEST = 0.7
"""Narrower characters are widened to this share of their height: they might be a 1."""
REACH = 27
"""How far a distorted glyph reaches from the centre of its raster."""


class Glyph(NamedTuple):
    """A character, large and centred.

    ``field`` is ``(72, 72)``: how far, in pixels, each pixel is inside the ink, negative outside;
    ``reach`` how far the ink reaches right and down of the centre; ``pen`` its thickest stroke;
    ``even`` whether all its strokes are as thick.
    """

    field: npt.NDArray[np.float32]
    reach: Floats
    pen: float
    even: bool


def distorted(
    rng: np.random.Generator, glyph: Glyph, thickest: float = 3.6, stretch: float = 1.35
) -> Grey:
    """Draw the glyph turned, slanted, stretched, wobbled and with another pen.

    Args:
        rng: where it takes its chance from.
        glyph: what to draw.
        thickest: the widest pen, in pixels of the image; the finest is 1.5.
        stretch: the largest, of one side against the other.
    """
    narrow = glyph.reach[0] / glyph.reach[1]
    matrix = slant(rng, stretch=stretch) @ np.diag([max(1, NARROWEST / narrow), 1])
    matrix *= REACH / (np.abs(matrix) @ glyph.reach).max()
    scale = np.sqrt(np.linalg.det(matrix))
    rows, columns = np.indices((FULL, FULL)) - (FULL - 1) / 2
    x, y = np.tensordot(np.linalg.inv(matrix), np.stack([columns, rows]), axes=1)
    wobble = rng.uniform(0, 2.5)
    x, y = (axis + wobble * smooth_noise(rng, FULL, 5) + (FULL - 1) / 2 for axis in (x, y))
    inside = map_coordinates(glyph.field, [y, x], order=1, mode="nearest") * scale
    wanted = rng.uniform(1.5, thickest) * (2 * REACH / BOX)
    had = glyph.pen * scale
    thicker = max((wanted - had) / 2, -0.2 * had if glyph.even else 0)
    return normalize(np.clip(inside + 0.5 + thicker, 0, 1))


@functools.cache
def character(text: str, font: str) -> Glyph:
    """Return the character of the font, drawn once and kept."""
    return glyph_of(typeset(text, font), even=font in EVEN)


def typeset(text: str, font: str) -> Image.Image:
    """Return the text in the font, white on black, cropped to its ink.

    Raises:
        MissingExtraError: matplotlib, which brings the fonts, is not installed.
    """
    face = _font(font)
    left, top, right, bottom = (round(edge) for edge in face.getbbox(text))
    sheet = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(sheet).text((-left, -top), text, 255, face)
    return sheet.crop(sheet.getbbox())


def glyph_of(ink: Image.Image, even: bool) -> Glyph:
    """Return the glyph whose ink is light in the image, however large it is there."""
    width, height = (max(1, round(side * LONGEST / max(ink.size))) for side in ink.size)
    left, top = (FULL - width) // 2, (FULL - height) // 2
    shape = np.zeros((FULL, FULL), bool)
    small = np.asarray(ink.resize((width, height), Image.Resampling.BOX))
    shape[top : top + height, left : left + width] = small > 127
    field = distance_transform_edt(shape) - distance_transform_edt(~shape)
    return Glyph(field.astype(np.float32), np.array([width, height]) / 2, 2 * field.max(), even)


@functools.cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtraError("drawing letters", "train", error.name) from error
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    return ImageFont.truetype(path, 128, layout_engine=ImageFont.Layout.BASIC)
