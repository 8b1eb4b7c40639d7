"""What pens leave on paper: the colour, the grain and the strength of their strokes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chiffres.data.pages.noise import Sheet, blend, colour, grain, luminance, slow

LEAST_CONTRAST = 0.25
"""Of ink against paper, in luminance from 0 to 1: with less, nobody would go on writing."""


@dataclass(frozen=True)
class Pen:
    """A kind of pen.

    Attributes:
        colours: what it writes in, RGB from 0 to 255.
        strength: the least and the largest share of the paper that its ink hides.
        unevenness: how much the strength changes along the stroke.
        roughness: how much of the paper's grain shows through, 0 to 1.
        widths: the least and the largest width of a stroke, in a digit's height.
    """

    colours: tuple[tuple[int, int, int], ...]
    strength: tuple[float, float]
    unevenness: float
    roughness: float
    widths: tuple[float, float]


_DARK = ((28, 28, 32), (24, 34, 92), (38, 60, 150), (60, 62, 70))
_VIVID = ((190, 30, 40), (20, 110, 60), (30, 60, 170), (90, 40, 120), (25, 25, 28), (200, 90, 20))
_CHALK = ((245, 245, 240), (245, 235, 160), (245, 190, 190), (180, 215, 245))
_GLOW = ((255, 255, 255), (120, 255, 140), (255, 220, 80), (120, 210, 255), (255, 140, 200))

PENS = {
    "ballpoint": Pen((*_DARK, (160, 30, 40)), (0.75, 0.95), 0.12, 0.12, (0.03, 0.09)),
    "gel pen": Pen(_DARK + _VIVID, (0.9, 1.0), 0.04, 0.0, (0.04, 0.11)),
    "fountain pen": Pen(_DARK, (0.75, 0.97), 0.15, 0.03, (0.04, 0.12)),
    "pencil": Pen(((70, 70, 74), (90, 90, 94)), (0.45, 0.8), 0.12, 0.45, (0.03, 0.1)),
    "colour pencil": Pen(_VIVID, (0.5, 0.8), 0.12, 0.5, (0.05, 0.12)),
    "marker": Pen(_VIVID, (0.85, 1.0), 0.06, 0.0, (0.09, 0.19)),
    "whiteboard marker": Pen(_VIVID[:5], (0.7, 0.97), 0.15, 0.05, (0.06, 0.16)),
    "chalk": Pen(_CHALK, (0.65, 0.95), 0.12, 0.7, (0.07, 0.17)),
    "mouse": Pen((*_DARK, *_VIVID, (0, 0, 0), (0, 0, 0)), (1.0, 1.0), 0.0, 0.0, (0.03, 0.2)),
    "light mouse": Pen(_GLOW, (1.0, 1.0), 0.0, 0.0, (0.03, 0.2)),
}


def choose_ink(
    rng: np.random.Generator, pen: Pen, paper: Sequence[float] | Sheet
) -> tuple[Sheet, float]:
    """Return the colour of the ink and its strength, such that it is seen on the paper.

    Args:
        rng: where it takes its chance from.
        pen: the kind.
        paper: its mean colour, ``(3,)``.
    """
    shades = [colour(*levels) for levels in pen.colours]
    contrasts = [abs(float(luminance(shade - np.asarray(paper)))) for shade in shades]
    seen = [place for place, each in enumerate(contrasts) if each > 1.3 * LEAST_CONTRAST]
    place = seen[int(rng.integers(len(seen)))] if seen else int(np.argmax(contrasts))
    strength = max(rng.uniform(*pen.strength), min(1.0, LEAST_CONTRAST / contrasts[place]))
    return shades[place], strength


def write(
    rng: np.random.Generator,
    sheet: Sheet,
    ink: Sheet,
    pen: Pen,
    shade: Sheet,
    strength: float,
    width: float,
) -> None:
    """Write on the sheet, in place.

    Args:
        rng: where it takes its chance from.
        sheet: ``(height, width, 3)`` float32.
        ink: ``(height, width)`` float32, which share of each pixel the pen passes over.
        pen: the kind.
        shade: the colour of its ink, ``(3,)``.
        strength: the share of the paper that it hides.
        width: of the stroke, in pixels.
    """
    cover = ink * strength
    size = (ink.shape[0], ink.shape[1])
    if pen.unevenness:
        along = slow(rng, size, max(size) / max(4.0, 6 * width))
        cover *= np.clip(1 + pen.unevenness * along, 0.4, 1 / strength)
    if pen.roughness and width > 2:
        teeth = grain(rng, size, float(np.clip(width / 8, 1, 4)))
        cover *= np.clip(1 - pen.roughness * (0.35 + 0.5 * teeth), 0.12, 1)
    blend(sheet, cover, shade)
