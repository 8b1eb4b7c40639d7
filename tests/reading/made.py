"""Pictures that the tests of reading share: MNIST's digits, large, on sheets of paper."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from chiffres.reading.lattice import Found
from chiffres.reading.segment import Piece

Grey = npt.NDArray[np.uint8]
Sure = dict[int, list[Grey]]
"""Eight digits of each value that are surely read."""
BLUE = (40, 60, 160)
"""The ink of a blue pen: red, green and blue."""


def enlarged(digit: Grey, height: int) -> Grey:
    """Return the digit's ink alone, ``height`` pixels high, 255 = ink."""
    top, bottom = np.flatnonzero(digit.max(axis=1))[[0, -1]]
    left, right = np.flatnonzero(digit.max(axis=0))[[0, -1]]
    cropped = digit[top : bottom + 1, left : right + 1]
    width = max(1, round(cropped.shape[1] * height / cropped.shape[0]))
    return np.asarray(cv2.resize(cropped, (width, height), interpolation=cv2.INTER_LINEAR))


def row_of(digits: Sequence[Grey], height: int = 60, gap: int = 20) -> Grey:
    """Return the digits beside each other, 255 = ink, without a margin."""
    space = np.zeros((height, gap), np.uint8)
    parts = [part for digit in digits for part in (enlarged(digit, height), space)]
    return np.hstack(parts[:-1])


def written(sure: Sure, number: str, height: int = 50, gap: int = 15) -> Grey:
    """Return the number's ink; of equal digits each is another."""
    digits = [sure[int(value)][place % 8] for place, value in enumerate(number)]
    return row_of(digits, height, gap)


def touching(sure: Sure, number: str, height: int) -> Grey:
    """Return the number's ink, each digit moved left until it touches the one before."""
    first, *others = [sure[int(value)][place % 8] for place, value in enumerate(number)]
    ink = enlarged(first, height)
    for digit in others:
        ink = _touching(ink, enlarged(digit, height))
    return ink


def _touching(ink: Grey, digit: Grey) -> Grey:
    width = digit.shape[1]
    both = np.pad(ink, ((0, 0), (0, width)))
    begins = ink.shape[1]
    while (np.minimum(both[:, begins : begins + width], digit) > 100).sum() < 0.06 * len(ink):
        begins -= 1
    part = both[:, begins : begins + width]
    np.maximum(part, digit, out=part)
    return both[:, : np.flatnonzero(both.max(axis=0))[-1] + 1]


def on_paper(ink: Grey, margin: int = 40, paper: int = 235, pen: int = 30) -> Grey:
    """Return a sheet with the ink on it, dark on light unless ``pen`` is the lighter."""
    share = np.pad(ink, margin) / 255
    return np.asarray(np.rint(paper + share * (pen - paper)), np.uint8)


def in_colour(ink: Grey, pen: Sequence[int], margin: int = 20) -> Grey:
    """Return a sheet of yellowish paper with the ink on it in a colour, ``(height, width, 3)``."""
    paper, share = np.array([235, 230, 220]), np.pad(ink, margin)[..., None] / 255
    return np.asarray(np.rint(paper + share * (np.array(pen) - paper)), np.uint8)


def as_file(pixels: npt.NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def found(
    value: int, piece: Piece, strength: float = 200, confidence: float = 1.0, cut_from: int = 0
) -> Found:
    """Return a find that is the digit ``value`` with such a confidence."""
    probabilities = confidence * np.eye(10, dtype=np.float32)[value]
    image = np.zeros((28, 28), np.uint8)
    return Found(piece, image, probabilities, strength, pen=6, cut_from=cut_from)
