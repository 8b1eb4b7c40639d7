"""Strings of digits as one hand writes them, most of them touching, as strips to learn from.

What is to be answered for a column of a strip is the digit that has its middle there, or that none
has: so a string is read from its middles, and touching digits need not be cut apart first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import Digits
from chiffres.data.hand import HEIGHT, INK, PENS, Ink, copied, write_digit
from chiffres.data.pen import Floats, slant
from chiffres.data.strips import MARGIN, STEP, answers_for, as_strip
from chiffres.data.strokes import CONTOUR, Pixels, bounds

COUNTS = (0.17, 0.40, 0.20, 0.12, 0.07, 0.04)
"""How many strings are of one digit, of two, and so on."""
NO_DIGITS = 0.1
"""How many strings are of letters and signs, at most three, where no middle is to be found."""
TOUCHING = 0.75
"""In how many strings neighbours mostly touch; in the others some do."""
MIDDLE = 0.25
LEAST_MIDDLE = 3
"""The middle of a digit reaches so far to either side, as a share of its width, or, of a 1, in
pixels of the strip, where no other digit's is near."""


class String(NamedTuple):
    """A string of digits.

    Attributes:
        strip: ``(28, width)`` uint8.
        digits: from left to right; none where it is of letters.
        answers: for every second column, 0, or one more than the digit that has its middle there,
            ``((width + 1) // 2,)`` uint8.
    """

    strip: Pixels
    digits: tuple[int, ...]
    answers: npt.NDArray[np.uint8]


def write_string(rng: np.random.Generator, digits: Digits, no_digits: Pixels) -> String:
    """Write a string.

    Args:
        rng: what all chance is drawn from.
        digits: whose handwriting it is; each of them has some ink.
        no_digits: ``(n, 28, 28)`` uint8, what is no digit; each has some ink.
    """
    count = 1 + int(rng.choice(len(COUNTS), p=COUNTS))
    refused = rng.random() < NO_DIGITS
    images = no_digits if refused else digits.images
    chosen = rng.integers(len(images), size=min(count, 3) if refused else count)
    hand, pen = slant(rng, turn=3, shear=0.35, stretch=1.3), rng.normal(0, PENS)
    tiles = [write_digit(rng, images[index], hand, pen) for index in chosen]
    ink, spans = _beside(rng, tiles)
    values = np.zeros(0, np.uint8) if refused else digits.labels[chosen]
    string = _labelled(*copied(rng, ink), spans, values)
    if not _is_all_there(string):
        broad = cv2.dilate(ink, np.ones((5, 5), np.uint8))
        string = _labelled(np.asarray(255 * broad, np.uint8), 1.0, spans, values)
    if _middles(string) == len(string.digits):
        return string
    return write_string(rng, digits, no_digits)  # two were too near each other


def _middles(string: String) -> int:
    """Return how many runs of columns are answered by a digit."""
    there = np.concatenate([[False], string.answers > 0])
    return int(np.count_nonzero(there[1:] & ~there[:-1]))


def _labelled(piece: Pixels, size: float, spans: Floats, values: npt.NDArray[np.uint8]) -> String:
    """Return a copy of so many times the size as a strip, with where its digits are."""
    strip = as_strip(piece)
    if not len(values):
        return String(strip, (), np.zeros(answers_for(strip), np.uint8))
    _, _, left, right = bounds(piece >= CONTOUR)
    spans = MARGIN + (spans * size - left) * (strip.shape[1] - 2 * MARGIN) / (right - left)
    order = spans.mean(axis=1).argsort()
    values = values[order]
    return String(strip, tuple(values.tolist()), _answers(strip, spans[order], values))


def _is_all_there(string: String) -> bool:
    """Whether there is ink about as far to either side as middles: no digit was lost in the copy.

    The middle of a fine 1 is broader than its ink, by a column.
    """
    inked = np.flatnonzero(string.strip.max(axis=0) >= CONTOUR) // STEP
    middles = np.flatnonzero(string.answers)
    if not (len(middles) and len(inked)):
        return not len(middles)
    return bool(inked[0] <= middles[0] + 1 and middles[-1] - 1 <= inked[-1])


def _beside(rng: np.random.Generator, tiles: Sequence[Ink]) -> tuple[Ink, Floats]:
    """Return digits side by side, and the first column of each and one past its last, ``(n, 2)``.

    Neighbours overlap, touch or nearly do; their middles are so far apart that each has its own.
    """
    touching = rng.random() < TOUCHING
    edge = np.full(4 * HEIGHT, -np.inf)  # where the ink of each row ends so far
    x, places = 0, []
    for number, tile in enumerate(tiles):
        height, width = tile.shape
        low = height < 0.6 * HEIGHT
        fall = np.clip(rng.normal(0, 0.09), -0.35, 0.35) * HEIGHT
        y = round(HEIGHT + (HEIGHT - height) / (2 if low else 1) + fall)
        first, last = _ends(tile)
        if number:
            before = tiles[number - 1].shape[1]
            gap = _gap(rng, touching)
            free = _free(edge, y, first, gap)
            beside = free if np.isfinite(free) else x + before - 1
            least = max(0.25 * min(before, width), 0.2 * HEIGHT + (before - width) / 2)
            x = max(round(beside + 1 + gap), round(x + least))
        places.append((x, y))
        edge[y : y + height] = np.maximum(edge[y : y + height], x + last)
    return _pasted(tiles, places)


def _ends(tile: Ink) -> tuple[Floats, Floats]:
    """Return the first and the last column with ink of each row; infinite where there is none."""
    inked = tile > INK
    written = inked.any(axis=1)
    first = np.where(written, inked.argmax(axis=1), np.inf)
    last = np.where(written, tile.shape[1] - 1 - inked[:, ::-1].argmax(axis=1), -np.inf)
    return first, last


def _free(edge: Floats, y: int, first: Floats, gap: float) -> float:
    """Return where a digit has to begin to touch what ends at ``edge``, in the rows around too."""
    reach = 2 * max(1, round(gap)) + 1
    near = cv2.dilate(edge[:, None], np.ones((reach, 1), np.uint8)).ravel()
    return float((near[y : y + len(first)] - first).max())


def _pasted(tiles: Sequence[Ink], places: Sequence[tuple[int, int]]) -> tuple[Ink, Floats]:
    """Return digits at their places, ``(x, y)`` each, without what is around them, and spans."""
    ends = [(x + tile.shape[1], y + len(tile)) for tile, (x, y) in zip(tiles, places, strict=True)]
    left, top = np.min(places, axis=0)
    right, bottom = np.max(ends, axis=0)
    ink = np.zeros((bottom - top, right - left), np.float32)
    for tile, (x, y) in zip(tiles, places, strict=True):
        part = ink[y - top : y - top + len(tile), x - left : x - left + tile.shape[1]]
        np.maximum(part, tile, out=part)
    spans = np.array([(x, end) for (x, _), (end, _) in zip(places, ends, strict=True)], np.float64)
    return ink, spans - left


def _gap(rng: np.random.Generator, touching: bool) -> float:
    """Return how far a digit is from the one before, in pixels; less than 0: they overlap."""
    if touching:
        overlap = -0.14 * HEIGHT * rng.random() * rng.random()
        return float(overlap if rng.random() < 0.85 else rng.uniform(0, 3))
    return float(rng.uniform(1, 0.35 * HEIGHT) if rng.random() < 0.6 else rng.uniform(-6, 0))


def _answers(strip: Pixels, spans: Floats, values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return what is to be answered for each second column; see ``String``."""
    answers = np.zeros(answers_for(strip), np.uint8)
    at = STEP * np.arange(len(answers)) + STEP / 2
    middles = spans.mean(axis=1)
    apart = np.concatenate([[np.inf], np.diff(middles), [np.inf]])
    nearest = np.minimum(apart[:-1], apart[1:])
    wanted = np.maximum(LEAST_MIDDLE, MIDDLE * np.ptp(spans, axis=1))
    reach = np.maximum(STEP / 2, np.minimum(wanted, nearest / 2 - STEP))
    for middle, far, value in zip(middles, reach, values, strict=True):
        answers[np.abs(at - middle) <= far] = value + 1
    return answers
