"""What a reader that refuses is measured on: drawings made by means unlike those of its training.

The training's ``negatives`` take letters from fonts, here they are written with a pen (many of
them the same letters); there scribbles are random splines, here they follow formulas; there
textures are stripes and checks, here noise, wood and halftone; the little drawings are only here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import SIDE
from chiffres.data.image import BOX, normalize
from chiffres.data.pen import Floats, Grey, gallery, paint, penned, slant, smooth_noise

# How strokes are written: see ``pen.penned``. The letters that look like digits are left out, as in
# ``negatives``.
LETTERS = {
    "A": "08 40 88, 25 65",
    "C": "~71 40 13 05 27 58 77",
    "E": "70 10 18 78, 14 64",
    "F": "70 10 18, 14 64",
    "H": "10 18, 70 78, 14 74",
    "K": "10 18, 70 14 78",
    "L": "10 18 78",
    "M": "08 10 45 70 88",
    "N": "18 10 78 70",
    "P": "18 10, ~10 50 72 54 14",
    "R": "18 10, ~10 50 72 54 14, 34 78",
    "T": "00 80, 40 48",
    "V": "00 48 80",
    "W": "00 28 43 68 80",
    "X": "10 78, 70 18",
    "e": "~15 45 74 62 42 14 06 28 58 77",
    "f": "~70 50 32 34 38, 14 64",
    "h": "10 18, ~15 33 53 65 68",
    "k": "10 18, 63 15 68",
    "m": "02 08, ~05 13 33 44 48, ~45 53 73 84 88",
    "n": "12 18, ~15 33 53 65 68",
    "t": "~40 44 47 58 77, 13 73",
    "w": "~01 05 28 46 43, ~43 46 68 85 81",
    "Σ": "70 10 44 18 78",
    "П": "00 80, 20 28, 60 68",
    "Ш": "00 08 88 80, 40 48",
    "Ж": "40 48, 00 44 08, 80 44 88",
}
DRAWINGS = {
    "house": "14 18 78 74, 04 40 84, 38 35 55 58",
    "smiley": "~40 71 84 77 48 17 04 11 40, 32 33, 52 53, ~25 47 65",
    "frown": "~40 71 84 77 48 17 04 11 40, 32 33, 52 53, ~26 44 66",
    "star": "18 40 78 03 83 18",
    "arrow": "04 84, 51 84 57",
    "heart": "~48 15 02 10 31 42, ~42 51 70 82 75 48",
    "tree": "40 13 33 06 86 53 73 40, 46 48",
    "stick man": "~40 51 42 31 40, 42 46, 14 74, 46 28, 46 68",
    "sun": "~42 53 55 46 35 33 42, 40 41, 47 48, 04 14, 74 84, 11 22, 66 77, 17 26, 62 71",
    "envelope": "01 81 87 07 01, 01 44 81",
    "fish": "~04 32 54 86, ~04 36 54 82, 82 86",
    "boat": "05 85 68 28 05, 45 40 74 44",
    "umbrella": "~04 21 40 61 84, 04 84, ~44 47 58 67",
    "crown": "07 01 24 40 64 81 87 07",
    "car": "04 24 31 61 74 84 86 06 04, ~26 37 28 17 26, ~66 77 68 57 66",
    "bow tie": "02 86 82 06 02",
    "flag": "08 00 82 04",
    "face": "~40 71 84 77 48 17 04 11 40, 22 32, 52 62, 43 45 55, 36 56",
    "mug": "11 18 68 61 11, ~63 83 85 66",
    "ladder": "18 20, 68 60, 22 62, 24 64, 26 66",
}


def strangers(n: int, seed: int) -> tuple[Grey, npt.NDArray[np.str_]]:
    """Return ``n`` images that are no digit, ``(n, 28, 28)`` uint8, and their kinds, ``(n,)`` str.

    Ink is light on 0, and all but textures have a digit's size and centring. The kinds and their
    shares are in ``KINDS``. The same ``seed`` gives the same images, and a larger ``n`` adds to
    them.
    """
    return gallery(KINDS, n, seed, stream=2)


def letter(rng: np.random.Generator) -> Grey:
    """Write a letter."""
    return _written(rng, LETTERS, jitter=0.28, stretch=1.4, thickest=3.2)


def drawing(rng: np.random.Generator) -> Grey:
    """Draw a house, a face, a star, ..."""
    return _written(rng, DRAWINGS, jitter=0.25, stretch=1.2, thickest=2.3)


def _written(
    rng: np.random.Generator,
    table: Mapping[str, str],
    jitter: float,
    stretch: float,
    thickest: float,
) -> Grey:
    """Draw one of the table, each of its points moved by about ``jitter``."""
    turned = slant(rng, turn=12, shear=0.3, stretch=stretch)
    text = table[list(table)[int(rng.integers(len(table)))]]
    return normalize(paint(penned(rng, text, jitter, turned), rng.uniform(1.5, thickest)))


def scribble(rng: np.random.Generator) -> Grey:
    """Draw a spiral, a zigzag, a row of loops, or sums of sinusoids."""
    time = np.linspace(0, 1, 400)
    turns = rng.uniform(3, 5)
    wave = 2 * np.pi * turns * time + rng.uniform(0, 2 * np.pi)
    match int(rng.integers(4)):
        case 0:
            wave *= 0.75
            x, y = time * np.cos(wave), time * np.sin(wave) * rng.uniform(0.6, 1)
        case 1:
            x, y = time, rng.uniform(0.15, 0.4) * (2 / np.pi) * np.arcsin(np.sin(wave * 1.3))
        case 2:
            x, y = time + 0.12 * np.cos(wave), rng.uniform(0.1, 0.3) * np.sin(wave)
        case _:
            # no period in common, else it might close to a line, a 1
            x, y = (_sinusoids(rng, time, periods) for periods in ((2, 5), (3, 4)))
    points = np.stack([x, y], axis=1) @ slant(rng, turn=30).T
    uneven = 0.04 * np.stack([_sinusoids(rng, time, (2, 3)) for _ in range(2)], axis=1)
    return normalize(paint([points + uneven], rng.uniform(1.5, 2.2)))


def _sinusoids(rng: np.random.Generator, time: Floats, periods: tuple[int, int]) -> Floats:
    """Return the sum of two sinusoids, from -1 to 1."""
    phases, sizes = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.5, 1, 2)
    return np.asarray(np.sin(2 * np.pi * np.outer(time, periods) + phases) @ sizes / sizes.sum())


def texture(rng: np.random.Generator) -> Grey:
    """Draw value noise, the rings of wood, or halftone dots, over the frame or in a digit's box."""
    rows, columns = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    octaves = [smooth_noise(rng, SIDE, 3 * 2**level) / 2**level for level in range(3)]
    noise = np.sum(octaves, axis=0)
    match int(rng.integers(3)):
        case 0:
            pattern = noise * rng.uniform(0.3, 3)
        case 1:
            x, y = rng.uniform(-30, 30, 2)
            pattern = 2 * np.sin(np.hypot(rows - y, columns - x) * rng.uniform(0.8, 1.6) + noise)
        case _:
            pitch = rng.uniform(0.7, 1.5)
            turned = slant(rng, turn=45)
            x, y = np.tensordot(turned, np.stack([columns, rows]), axes=1)
            pattern = 2 * (np.cos(pitch * x) + np.cos(pitch * y)) + 2 * octaves[0]
    shades = (0.5 + np.tanh(pattern) / 2) * rng.uniform(0.4, 1)
    if rng.random() < 0.4:
        shades[(np.abs(rows) > BOX / 2) | (np.abs(columns) > BOX / 2)] = 0
    return np.asarray(np.round(shades * 255), np.uint8)


KINDS = {
    "letter": (0.55, letter),
    "drawing": (0.20, drawing),
    "scribble": (0.15, scribble),
    "texture": (0.10, texture),
}
"""The share of each kind, and the function that draws one."""
