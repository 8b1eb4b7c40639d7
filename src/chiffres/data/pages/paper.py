"""What is written on: paper of many kinds, boards and screens; and the lines printed on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from chiffres.data.pages.noise import Sheet, Size, blend, colour, fractal, grain, slow


@dataclass(frozen=True)
class Ruling:
    """Where the printed lines go.

    Attributes:
        height: of the digits, in pixels.
        pen: the width of their strokes, in pixels.
        baseline: of a line of digits, in pixels from the top.
    """

    height: float
    pen: float
    baseline: float


def white(rng: np.random.Generator, size: Size) -> Sheet:
    """Return white paper, nearly even."""
    shade = colour(*rng.uniform(225, 255) + rng.uniform(-6, 6, 3))
    return _fibrous(rng, _flat(size, shade), rng.uniform(0, 0.012))


def yellowed(rng: np.random.Generator, size: Size) -> Sheet:
    """Return old paper: yellow or brown, in blotches, darker towards its edges."""
    new, old = colour(240, 228, 196), colour(190, 150, 96)
    age = 0.25 + 0.3 * rng.random() + 0.12 * fractal(rng, size, 3, 4)
    y, x = (np.abs(np.linspace(-1, 1, side, dtype=np.float32)) ** 6 for side in size)
    age += rng.uniform(0, 0.4) * np.maximum(y[:, None], x)
    sheet = _flat(size, new)
    blend(sheet, np.clip(age, 0, 1), old)
    return _fibrous(rng, sheet, rng.uniform(0.008, 0.03))


def coloured(rng: np.random.Generator, size: Size) -> Sheet:
    """Return kraft, a sticky note, an envelope, or grey recycled paper."""
    shades = ((190, 152, 106), (250, 236, 120), (250, 190, 200), (190, 225, 240), (208, 206, 198))
    shade = colour(*shades[int(rng.integers(len(shades)))]) * rng.uniform(0.85, 1)
    return _fibrous(rng, _flat(size, shade), rng.uniform(0.008, 0.03))


def crumpled(rng: np.random.Generator, size: Size) -> Sheet:
    """Return white paper that was crumpled, or folded: creases and shades."""
    sheet = white(rng, size)
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in size)
    shading = np.zeros(size, np.float32)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.5 else int(rng.integers(8, 18))):
        turn, sharp = rng.uniform(0, 2 * np.pi), rng.uniform(40, 300)
        away = x * np.cos(turn) + y[:, None] * np.sin(turn) + np.float32(rng.uniform(-1, 1))
        here = 0.5 + 0.5 * np.tanh(2 * slow(rng, size, 2)) if rng.random() < 0.7 else 1
        shading += here * np.tanh(sharp * away) * np.float32(rng.uniform(0.005, 0.03))
        shading -= here * np.exp(-((sharp * away) ** 2)) * np.float32(rng.uniform(0.02, 0.12))
    sheet *= (1 + shading)[..., None]
    return np.clip(sheet, 0, 1, out=sheet)


def whiteboard(rng: np.random.Generator, size: Size) -> Sheet:
    """Return a whiteboard with what was wiped off, and a glare."""
    sheet = _flat(size, colour(*rng.uniform(215, 245) + rng.uniform(-5, 5, 3)))
    smear = np.clip(_streaks(rng, size) - 0.6, 0, 1) * rng.uniform(0, 0.15)
    blend(sheet, smear, colour(*rng.uniform(60, 160, 3)))
    if rng.random() < 0.4:
        y, x = np.indices(size, np.float32) / max(size)
        where = rng.uniform(0, 1, 2)
        spot = np.exp(-((y - where[0]) ** 2 + (x - where[1]) ** 2) * rng.uniform(8, 40))
        blend(sheet, (spot * rng.uniform(0.3, 0.9)).astype(np.float32), colour(255, 255, 255))
    return sheet


def chalkboard(rng: np.random.Generator, size: Size) -> Sheet:
    """Return a green, black or grey board with the dust of what was wiped off."""
    shades = ((38, 70, 56), (30, 32, 34), (58, 64, 68), (24, 52, 44))
    sheet = _flat(size, colour(*shades[int(rng.integers(len(shades)))]))
    dust = np.float32(0.5) + np.float32(0.35) * _streaks(rng, size)
    dust = np.clip(dust + np.float32(0.1) * grain(rng, size, 1.5), 0, 1)
    blend(sheet, dust * np.float32(rng.uniform(0.03, 0.2)), colour(225, 225, 220))
    return sheet


def screen(rng: np.random.Generator, size: Size) -> Sheet:
    """Return the white, or pale, of a drawing program."""
    shade = (255, 255, 255) if rng.random() < 0.6 else rng.uniform(205, 255, 3)
    return _flat(size, colour(*shade))


def dark_screen(rng: np.random.Generator, size: Size) -> Sheet:
    """Return the black, or a dark shade, of a drawing program."""
    shade = (0, 0, 0) if rng.random() < 0.5 else rng.uniform(5, 65, 3)
    return _flat(size, colour(*shade))


def ruled(rng: np.random.Generator, sheet: Sheet, where: Ruling) -> None:
    """Print lines to write on, most of them under the digits, some with a margin."""
    pitch = where.height * rng.uniform(0.9, 2.2)
    shade = _line_shade(rng)
    strength, width = rng.uniform(0.2, 0.75), _line_width(rng, where)
    _lines(sheet, 0, _baseline(rng, where, pitch), pitch, width, strength, shade)
    if rng.random() < 0.4:
        margin = rng.uniform(0.02, 0.12) * sheet.shape[1]
        _lines(sheet, 1, margin, 10.0 * sum(sheet.shape), width, strength, colour(205, 80, 90))


def seyes(rng: np.random.Generator, sheet: Sheet, where: Ruling) -> None:
    """Print the French school ruling: a line, three fainter ones above it, and columns."""
    pitch = where.height * rng.uniform(1.1, 2.4)
    strength, width = rng.uniform(0.3, 0.7), _line_width(rng, where)
    start = _baseline(rng, where, pitch)
    violet, blue = colour(120, 100, 180), colour(130, 160, 215)
    _lines(sheet, 0, start, pitch / 4, 0.7 * width, 0.6 * strength, blue)
    _lines(sheet, 0, start, pitch, width, strength, violet)
    _lines(sheet, 1, rng.uniform(0, pitch), pitch, width, 0.8 * strength, violet)


def squared(rng: np.random.Generator, sheet: Sheet, where: Ruling) -> None:
    """Print squares, half a digit high to somewhat more than one."""
    pitch = where.height * rng.uniform(0.45, 1.4)
    shade, strength, width = _line_shade(rng), rng.uniform(0.2, 0.65), _line_width(rng, where)
    _lines(sheet, 0, _baseline(rng, where, pitch), pitch, width, strength, shade)
    _lines(sheet, 1, rng.uniform(0, pitch), pitch, width, strength, shade)


def dotted(rng: np.random.Generator, sheet: Sheet, where: Ruling) -> None:
    """Print dots in a square grid."""
    pitch = where.height * rng.uniform(0.4, 1)
    size = (sheet.shape[0], sheet.shape[1])
    width = 1.5 * _line_width(rng, where)
    y, x = (
        _profile(side, start, pitch, width)
        for side, start in zip(
            size, (_baseline(rng, where, pitch), rng.uniform(0, pitch)), strict=True
        )
    )
    blend(sheet, np.outer(y, x) * np.float32(rng.uniform(0.4, 0.8)), colour(120, 125, 140))


PAPERS: dict[str, Callable[[np.random.Generator, Size], Sheet]] = {
    "white": white,
    "yellowed": yellowed,
    "coloured": coloured,
    "crumpled": crumpled,
    "whiteboard": whiteboard,
    "chalkboard": chalkboard,
    "screen": screen,
    "dark screen": dark_screen,
}
RULINGS = {"ruled": ruled, "seyes": seyes, "squared": squared, "dotted": dotted}


def _flat(size: Size, shade: Sheet) -> Sheet:
    return np.broadcast_to(np.clip(shade, 0, 1), (*size, 3)).astype(np.float32)


def _fibrous(rng: np.random.Generator, sheet: Sheet, strength: float) -> Sheet:
    """Return the paper with its fibres."""
    size = (sheet.shape[0], sheet.shape[1])
    fibres = grain(rng, size, 2) + 0.5 * slow(rng, size, max(size) / 12)
    sheet += (strength * fibres)[..., None]
    return np.clip(sheet, 0, 1, out=sheet)


def _streaks(rng: np.random.Generator, size: Size) -> Sheet:
    """Return what a wiping hand leaves: noise drawn out along a direction."""
    height, width = size
    long, short = (height, max(2, width // 6)), (max(2, height // 6), width)
    noise = slow(rng, long if rng.random() < 0.5 else short, 12)
    return np.asarray(_resized(noise, size) + 0.5 * fractal(rng, size, 4, 3), np.float32)


def _resized(noise: Sheet, size: Size) -> Sheet:
    return np.asarray(cv2.resize(noise, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _line_shade(rng: np.random.Generator) -> Sheet:
    shades = ((130, 160, 210), (150, 150, 160), (120, 180, 190), (170, 140, 190), (90, 95, 110))
    return colour(*shades[int(rng.integers(len(shades)))])


def _line_width(rng: np.random.Generator, where: Ruling) -> float:
    return float(np.clip(where.pen * rng.uniform(0.25, 0.6), 0.6, 6))


def _baseline(rng: np.random.Generator, where: Ruling, pitch: float) -> float:
    """Return where a line goes: mostly where one writes on it."""
    if rng.random() < 0.3:
        return float(rng.uniform(0, pitch))
    return where.baseline + where.height * rng.normal(0.02, 0.06)


def _lines(
    sheet: Sheet,
    axis: int,
    start: float,
    pitch: float,
    width: float,
    strength: float,
    shade: Sheet,
) -> None:
    """Print a line through ``start`` and every ``pitch`` from there, rows or columns of it."""
    profile = strength * _profile(sheet.shape[axis], start, pitch, width)
    rows = np.flatnonzero(profile > 0.004)
    if axis == 0:
        sheet[rows] += profile[rows, None, None] * (shade - sheet[rows])
    else:
        sheet[:, rows] += profile[None, rows, None] * (shade - sheet[:, rows])


def _profile(length: int, start: float, pitch: float, width: float) -> Sheet:
    """Return which share of each pixel along a side is on a line."""
    places = np.arange(length, dtype=np.float32)
    away = np.abs((places - start + pitch / 2) % pitch - pitch / 2)
    return np.asarray(np.clip(width / 2 + 0.5 - away, 0, min(1.0, width)), np.float32)
