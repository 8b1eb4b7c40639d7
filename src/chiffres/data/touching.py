"""Handwritten digits that touch: two or three in one image are no digit.

A reader cuts a line of writing into digits where the parts are surer digits than the whole; it
learns here that the whole is none.
"""

from __future__ import annotations

import numpy as np

from chiffres.data.dataset import SIDE, Digits
from chiffres.data.image import normalize
from chiffres.data.pen import Floats, Grey

STREAM = 4
"""Of chance, as in ``pen.gallery``."""
INK = 0.4
"""The share of full ink from which a pixel belongs to a stroke."""
NARROWEST = 0.8
"""Of the height, what several digits are wide at least: narrower ones look like one."""
CUT, THIRD = 0.25, 0.12
"""How often only a part of the second digit is there, and how often a third digit is."""


def touching_digits(digits: Digits, n: int, seed: int) -> Grey:
    """Return ``n`` images of digits that touch or nearly do, ``(n, 28, 28)`` uint8.

    They are in MNIST's format, as if they were one digit: the longest side is 20 pixels.

    Args:
        digits: whose handwriting it is; where none of them has ink, none is returned.
        n: how many.
        seed: the same one gives the same images, and a larger ``n`` adds to them.
    """
    inked = digits.images[digits.images.max(axis=(1, 2)) > 255 * INK]
    images = np.zeros((n if len(inked) else 0, SIDE, SIDE), np.uint8)
    for index in range(len(images)):
        images[index] = _drawn(np.random.default_rng([seed, index, STREAM]), inked)
    return images


def _drawn(rng: np.random.Generator, digits: Grey) -> Grey:
    while True:
        left, right = (_cropped(rng, digits) for _ in range(2))
        whole = _beside(rng, left, right)
        kind = rng.random()
        if kind < CUT:
            width = left.shape[1] + round(right.shape[1] * rng.uniform(0.35, 0.8))
            whole = whole[:, :width] if rng.random() < 0.5 else whole[:, ::-1][:, :width][:, ::-1]
        elif kind < CUT + THIRD:
            whole = _beside(rng, whole, _cropped(rng, digits))
        if whole.shape[1] >= NARROWEST * whole.shape[0]:
            return normalize(_widened(rng, whole))


def _cropped(rng: np.random.Generator, digits: Grey) -> Floats:
    """Return the ink of one of the digits, 0 to 1, without a margin."""
    ink = digits[int(rng.integers(len(digits)))] / 255
    rows, columns = (np.flatnonzero(ink.max(axis=axis) > INK) for axis in (1, 0))
    return np.asarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _beside(rng: np.random.Generator, left: Floats, right: Floats) -> Floats:
    """Return the two with their ink three pixels over each other to two pixels apart."""
    height = max(len(left), len(right)) + 4
    left, right = (_at_height(rng, each, height) for each in (left, right))
    ends = np.where(left > INK, np.arange(left.shape[1]), -SIDE).max(axis=1)
    starts = np.where(right > INK, np.arange(right.shape[1]), 3 * SIDE).min(axis=1)
    free = int((starts + left.shape[1] - 1 - ends).min())  # columns between the two, in a row
    gap = int(rng.integers(-3, 3))
    shift = max(1, left.shape[1] - free + gap)
    whole = np.zeros((height, max(left.shape[1], shift + right.shape[1])))
    whole[:, : left.shape[1]] = left
    part = whole[:, shift : shift + right.shape[1]]
    np.maximum(part, right, out=part)
    return whole


def _at_height(rng: np.random.Generator, ink: Floats, height: int) -> Floats:
    above = int(rng.integers(0, height - len(ink) + 1))
    return np.pad(ink, ((above, height - len(ink) - above), (0, 0)))


def _widened(rng: np.random.Generator, ink: Floats) -> Floats:
    """Widen the strokes, which are to become finer with the digits, by up to two pixels."""
    for _ in range(2):
        padded = np.pad(ink, 1)
        near = [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
        share = rng.random()
        ink = (1 - share) * ink + share * np.maximum.reduce([ink, *near])
    return ink
