"""Forms of digits that MNIST lacks, drawn into digits that it has.

MNIST's writers are American. Elsewhere a 1 has an upstroke, long or short, or a base, a 7 a bar
through its stem and a 9 a hook below, and some writers put a slash through a 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from chiffres.data.dataset import SIDE, Digits, Labels
from chiffres.data.image import normalize
from chiffres.data.pen import Floats, Grey, redrawn

STREAM = 3
"""Of chance, as in ``pen.redrawn``."""
INK = 0.5
"""The share of full ink from which a pixel belongs to a stroke."""
HOOK = 5
"""Straight strokes that make a hook."""


def unusual_forms(digits: Digits, n: int, seed: int) -> tuple[Grey, Labels]:
    """Return ``n`` digits, each a 0, a 1, a 7 or a 9 of ``digits`` brought to another form.

    Args:
        digits: whose handwriting it is; where none of them is such a digit, none is returned.
        n: how many.
        seed: the same one gives the same digits, and a larger ``n`` adds to them.

    Returns:
        Images ``(n, 28, 28)`` and labels ``(n,)``, both uint8.
    """
    inked = digits.images.max(axis=(1, 2)) > 255 * INK
    able = np.isin(digits.labels, list(FORMS)) & inked
    return redrawn(digits, able, _in_another_form, n, seed, STREAM)


def _in_another_form(rng: np.random.Generator, digit: Grey, value: int) -> Grey:
    return FORMS[value](rng, digit)


def slashed(rng: np.random.Generator, zero: Grey) -> Grey:
    """Put a slash through a 0, from the lower left to the upper right."""
    ink, top, bottom, left, right = _looked_at(zero)
    reach = rng.uniform(0.6, 1.25)
    middle = np.array([(left + right) / 2, (top + bottom) / 2]) + rng.normal(0, 0.5, 2)
    half = reach / 2 * np.array([max(right - left, 6), -(bottom - top) * rng.uniform(0.6, 1)])
    return _with(rng, ink, [(middle - half, middle + half)])


def barred(rng: np.random.Generator, seven: Grey) -> Grey:
    """Put a bar through the stem of a 7."""
    ink, top, bottom, _, _ = _looked_at(seven)
    height = bottom - top
    y = top + height * rng.uniform(0.42, 0.65)
    middle = np.array([_middle_of_row(ink, y), y])
    half = height * rng.uniform(0.15, 0.3) * _turned(rng, 0, 18)
    middle += half * rng.uniform(-0.35, 0.35)
    return _with(rng, ink, [(middle - half, middle + half)])


def with_upstroke(rng: np.random.Generator, one: Grey) -> Grey:
    """Give a 1 an upstroke, up to as long as its stem, and, once in three times, a base."""
    ink, top, bottom, _, _ = _looked_at(one)
    height = bottom - top
    tip = np.array([_middle_of_row(ink, top + 1), top + 1.0])
    end = tip - height * rng.uniform(0.2, 0.85) * _turned(rng, -50, 16)
    strokes = [(end, tip)]
    if rng.random() < 1 / 3:
        foot = np.array([_middle_of_row(ink, bottom - 1), bottom - 0.5])
        half = height * rng.uniform(0.15, 0.35) * _turned(rng, 0, 8)
        strokes.append((foot - half, foot + half))
    return _with(rng, ink, strokes)


def hooked(rng: np.random.Generator, nine: Grey) -> Grey:
    """Let the stem of a 9 end in a hook to the left, as a g does."""
    ink, _, bottom, left, right = _looked_at(nine)
    foot = np.array([_middle_of_row(ink, bottom - 1), bottom - 1.0])
    wide = max(right - left, 6) * rng.uniform(0.35, 0.8)
    deep = wide * rng.uniform(0.3, 0.7)
    turns = np.linspace(0, np.deg2rad(rng.uniform(90, 200)), HOOK + 1)
    bow = foot + np.stack([wide / 2 * (np.cos(turns) - 1), deep * np.sin(turns)], axis=1)
    return _with(rng, ink, [*itertools.pairwise(bow)])


FORMS: dict[int, Callable[[np.random.Generator, Grey], Grey]] = {
    0: slashed,
    1: with_upstroke,
    7: barred,
    9: hooked,
}
"""What is drawn into each digit."""


def _looked_at(digit: Grey) -> tuple[Floats, int, int, int, int]:
    """Return the ink, 0 to 1, and its first and last row and column."""
    ink = digit / 255
    rows, columns = (np.flatnonzero(ink.max(axis=axis) > INK) for axis in (1, 0))
    return ink, int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _middle_of_row(ink: Floats, row: float) -> float:
    columns = np.flatnonzero(ink[round(row)] > INK)
    return float(columns.mean()) if len(columns) else SIDE / 2


def _turned(rng: np.random.Generator, degrees: float, spread: float) -> Floats:
    """Return a direction of length 1, x to the right and y downwards, about so many degrees."""
    angle = np.deg2rad(rng.normal(degrees, spread))
    return np.array([np.cos(angle), np.sin(angle)])


def _with(rng: np.random.Generator, ink: Floats, strokes: list[tuple[Floats, Floats]]) -> Grey:
    """Return the digit with straight strokes of about its own pen, in MNIST's format again."""
    margin = SIDE // 2  # a stroke may leave the image
    drawn = np.pad(ink, margin)
    width = _pen(ink) * rng.uniform(0.8, 1.3)
    y, x = np.indices(drawn.shape) - margin
    for start, end in strokes:
        line = end - start
        along = ((x - start[0]) * line[0] + (y - start[1]) * line[1]) / (line @ line)
        along = along.clip(0, 1)
        distance = np.hypot(x - start[0] - along * line[0], y - start[1] - along * line[1])
        drawn = np.maximum(drawn, np.clip(width / 2 + 0.5 - distance, 0, 1))
    return normalize(drawn)


def _pen(ink: Floats) -> float:
    """Return about how broad the strokes are: their area by half the length of their edges."""
    inked = np.pad(ink > INK, 1).astype(np.int8)
    edges = sum(int(np.abs(np.diff(inked, axis=axis)).sum()) for axis in (0, 1))
    return float(np.clip(2.5 * inked.sum() / edges, 1.5, 4))
