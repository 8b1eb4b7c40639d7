"""A digit of MNIST as a hand writes it anew, with another pen, and as it is found on paper.

MNIST has digits of 20 pixels, in shades of grey, by pens of a kind; what is found in a picture are
sharp strokes of any pen, more or less worn, blurred, grainy.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import Labelled, Labels
from chiffres.data.normalize import normalize
from chiffres.data.pen import Floats, redrawn, slant
from chiffres.data.strokes import CONTOUR, Pixels, bounds
from chiffres.data.thinning import inside_of, thinned

Ink = npt.NDArray[np.float32]

STREAM = 6
"""Of chance, as in ``pen.redrawn``."""
HEIGHT = 64
"""The usual height of a digit while it is written, in pixels."""
INK = 0.5
"""The share of full ink from which on a pixel belongs to a stroke."""
FLAT = 14
"""A digit of MNIST that is lower, in its pixels, is written lower than the others, too."""
FINEST = 1.5
"""The finest pen, in pixels of ``HEIGHT``."""
MARGIN = 4
"""Pixels of paper around a digit, for it to be blurred into."""
PENS = 2.2
"""By how many pixels pens are broader or finer than MNIST's (a standard deviation)."""


def rewritten(drawn: Labelled, n: int, seed: int) -> tuple[Pixels, Labels]:
    """Return ``n`` of the images, of digits or of none, each written anew by another hand.

    They come to MNIST's format the way that the reader's do.

    Args:
        drawn: which; where none of them has ink, none is returned.
        n: how many.
        seed: the same one gives the same digits, and a larger ``n`` adds to them.

    Returns:
        Images ``(n, 28, 28)`` and labels ``(n,)``, both uint8.
    """
    inked = drawn.images.max(axis=(1, 2)) >= CONTOUR
    return redrawn(drawn, inked, _anew, n, seed, STREAM)


def _anew(rng: np.random.Generator, digit: Pixels, _: int) -> Pixels:
    hand = slant(rng, turn=3, shear=0.2, stretch=1.2)
    ink = write_digit(rng, digit, hand, rng.normal(0, PENS))
    return normalize(copied(rng, np.pad(ink, MARGIN))[0])


def write_digit(rng: np.random.Generator, image: Pixels, hand: Floats, pen: float) -> Ink:
    """Write a digit.

    Args:
        rng: what all chance is drawn from.
        image: ``(28, 28)`` uint8, with ink, from ``CONTOUR`` on.
        hand: how it slants: ``(2, 2)``, of x and y.
        pen: by how many pixels it is broader than MNIST's.

    Returns:
        Its ink, 0 to 1, about 64 pixels high, without a margin.
    """
    top, bottom, left, right = bounds(image >= CONTOUR)
    digit = image[top:bottom, left:right].astype(np.float32) / 255
    scale = HEIGHT * (1 + np.clip(rng.normal(0, 0.09), -0.3, 0.3)) / max(len(digit), FLAT)
    matrix = scale * slant(rng, turn=3, shear=0.06, stretch=1.1) @ hand
    height, width = digit.shape
    corners = np.array([[x, y] for x in (0, width) for y in (0, height)]) @ matrix.T
    low = corners.min(axis=0) - 6
    size = np.ceil(corners.max(axis=0) - low + 6).astype(int).tolist()
    drawn = cv2.warpAffine(digit, np.hstack([matrix, -low[:, None]]), size, flags=cv2.INTER_CUBIC)
    if (strongest := float(drawn.max())) <= INK:  # it would have no stroke at all
        drawn /= strongest
    sharp = np.clip((drawn - INK) * 0.6 * scale + INK, 0, 1).astype(np.float32)
    return _cropped(_with_pen(sharp, pen + rng.normal(0, 0.3)))


def _with_pen(ink: Ink, broader: float) -> Ink:
    """Return the ink with its edges moved, inwards as far as the line that the pen went along."""
    reach = round(abs(broader))
    if broader >= 0:
        return np.asarray(cv2.dilate(np.pad(ink, reach), _disc(reach)), np.float32)
    inked = ink > INK
    line = thinned(inked)
    if not line.any():  # of a point, none is left
        return ink
    half = float(np.median(inside_of(inked)[line]))
    stroke = max(FINEST / 2, half + broader) + 0.5 - inside_of(~line)
    return np.asarray(np.clip(np.maximum(cv2.erode(ink, _disc(reach)), stroke), 0, 1), np.float32)


def _disc(reach: int) -> Pixels:
    size = (2 * reach + 1, 2 * reach + 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size), np.uint8)


def _cropped(ink: Ink) -> Ink:
    top, bottom, left, right = bounds(ink > INK)
    return ink[top:bottom, left:right]


def copied(rng: np.random.Generator, ink: Ink) -> tuple[Pixels, float]:
    """Return ink as an ink map has it, found more or less well, and its size: 1 or less."""
    size = 1.0
    if rng.random() < 0.12:  # what is left of a rule
        top, thick = int(rng.integers(len(ink))), int(rng.integers(1, 4))
        start, stop = sorted(rng.integers(0, ink.shape[1], 2))
        ink[top : top + thick, start:stop] = 1
    if rng.random() < 0.5:
        ink = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.6, 3))
    if rng.random() < 0.35:  # few pixels
        size = rng.uniform(0.22, 0.6)
        ink = cv2.resize(ink, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
        if rng.random() < 0.6:
            ink = ink + rng.normal(0, rng.uniform(0, 0.12), ink.shape).astype(np.float32)
    elif rng.random() < 0.3:  # grain
        grain = rng.normal(0, 1, ink.shape).astype(np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(1, 3))
        ink = ink + (ink > 0.15) * grain * (rng.uniform(0, 0.25) / (float(grain.std()) + 1e-6))
    piece = np.clip(CONTOUR * _strong(ink) / rng.uniform(0.35, 0.65), 0, 255)
    return piece.astype(np.uint8), size


def _strong(ink: Ink) -> Ink:
    """Return ink with full strokes: fine ones that blur has made faint are found all the same."""
    usual = float(np.median(ink[ink >= INK * ink.max()]))
    return ink / min(1.0, usual)
