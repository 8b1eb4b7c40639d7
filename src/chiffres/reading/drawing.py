"""What a reading looks like: boxes drawn on the picture, and the stages side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chiffres.data.dataset import SIDE
from chiffres.data.strokes import CONTOUR
from chiffres.reading.lattice import Found
from chiffres.reading.page import Page
from chiffres.reading.picture import Picture, Pixels, reduced_size
from chiffres.reading.result import ReadDigit, Reading

READ, UNSURE, PAPER, WORDS = (0, 130, 60), (200, 60, 0), (255, 255, 255), (40, 40, 40)
"""Colours: of what was read, of what was rejected, of the sheet and of what is written on it."""
STAGES = ("stage_picture", "stage_ink", "stage_pieces", "stage_digits")
"""The keys of the captions of an explanation."""
HEIGHT, MARGIN = 360, 12
"""The height of a stage and what is left between two, in pixels."""
THUMB = 2 * SIDE
"""The side of a digit as the classifier sees it, drawn large."""
SMALLEST_TEXT = 11


def annotated(picture: Picture, reading: Reading) -> Image.Image:
    """Return the picture, reduced as it was read, or in its blocks, with each digit in its box."""
    image = _rgb(picture.pixels)
    whole = reduced_size(picture.width, picture.height)
    if 2 * image.width <= whole[0]:
        image = image.resize(whole, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    across, down = picture.width / image.width, picture.height / image.height
    width = max(1, round(min(image.size) / 300))
    for digit in reading.digits:
        left, top, wide, high = digit.box
        box = left / across, top / down, (left + wide) / across, (top + high) / down
        colour = UNSURE if digit.value is None else READ
        draw.rectangle(_outside(box, width), outline=colour, width=width)
        size = max(SMALLEST_TEXT, round(0.45 * (box[3] - box[1])))
        draw.text((box[0], max(0, box[1] - 1.2 * size)), digit.text, colour, _font(size))
    return image


def explained(
    picture: Picture, page: Page, reading: Reading, captions: Mapping[str, str]
) -> Image.Image:
    """Return the stages from the picture to the reading, side by side.

    Args:
        picture: what was read.
        page: what was found in it.
        reading: what came of it.
        captions: what to write above each of ``STAGES``.
    """
    found = [each for line in page.lines for each in line]
    stages = [
        _fitted(annotated(picture, reading)),
        _fitted(Image.fromarray(255 - page.ink.map)),
        _fitted(_pieces(page, found)),
        _thumbs(found, reading.digits),
    ]
    size = 16
    font = _font(size)
    widths = [
        max(stage.width, math.ceil(font.getlength(captions[key])))
        for stage, key in zip(stages, STAGES, strict=True)
    ]
    whole = Image.new(
        "RGB", (sum(widths) + MARGIN * (len(stages) + 1), HEIGHT + 3 * MARGIN + size), PAPER
    )
    draw = ImageDraw.Draw(whole)
    left = MARGIN
    for stage, key, width in zip(stages, STAGES, widths, strict=True):
        draw.text((left, MARGIN), captions[key], WORDS, font)
        whole.paste(stage, (left, 2 * MARGIN + size))
        left += width + MARGIN
    return whole


def _pieces(page: Page, found: Sequence[Found]) -> Image.Image:
    """Draw the ink without the lines of the paper, and boxes around what may be digits."""
    image = _rgb(np.where(page.clean >= CONTOUR, 255 - page.clean, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    width = max(1, round(min(image.size) / 300))
    for each in found:
        piece = each.piece
        box = (piece.left, piece.top, piece.right, piece.bottom)
        draw.rectangle(_outside(box, width), outline=READ, width=width)
    return image


def _thumbs(found: Sequence[Found], digits: Sequence[ReadDigit]) -> Image.Image:
    """Draw each digit in MNIST's format, and below it what it is taken for and how surely."""
    size = SMALLEST_TEXT + 2
    rows = max(1, HEIGHT // (THUMB + size + 6))
    columns = max(2, -(-len(found) // rows))
    image = Image.new("RGB", (columns * (THUMB + 6), HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    for index, (each, digit) in enumerate(zip(found, digits, strict=True)):
        left, top = index // rows * (THUMB + 6), index % rows * (THUMB + size + 6)
        large = Image.fromarray(each.image).resize((THUMB, THUMB), Image.Resampling.NEAREST)
        image.paste(large, (left, top))
        colour = UNSURE if digit.value is None else READ
        text = f"{digit.text}  {digit.confidence:.0%}"
        draw.text((left, top + THUMB), text, colour, _font(size))
    return image


def _outside(box: Sequence[float], width: int) -> list[float]:
    return [box[0] - width, box[1] - width, box[2] + width - 1, box[3] + width - 1]


def _fitted(image: Image.Image) -> Image.Image:
    """Return the image ``HEIGHT`` high, or up to three times as wide and lower."""
    factor = min(HEIGHT / image.height, 3 * HEIGHT / image.width)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    way = Image.Resampling.NEAREST if factor > 2 else Image.Resampling.BOX
    return image.convert("RGB").resize(size, way if factor < 1 or factor > 2 else None)


def _rgb(pixels: Pixels) -> Image.Image:
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return Image.fromarray(pixels)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
