"""Pictures of handwritten digits as people take them, made by chance, with the truth about them.

Digits of any source become smooth ink (``shapes``), are written in lines (``writing``) with a pen
(``pens``) on paper, a board or a screen (``paper``, ``media``) beside other things (``clutter``),
and photographed or scanned (``camera``). They stand for real photographs where none are at hand;
what reads them all may still fail on real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from chiffres.data.pages import media
from chiffres.data.pages.camera import Homography, Legible, Picture
from chiffres.data.pages.clutter import CLUTTER, Scene, boxes
from chiffres.data.pages.noise import luminance
from chiffres.data.pages.paper import Ruling
from chiffres.data.pages.pens import PENS, choose_ink, write
from chiffres.data.pages.shapes import Source
from chiffres.data.pages.writing import Letter, Writing, written, written_in_boxes

__all__ = ["NARROWEST", "WIDEST", "Mark", "Page", "page"]

NARROWEST, WIDEST = 24, media.LARGEST
"""The width of a picture, in pixels."""
SMALLEST, LARGEST = 16, 600
"""The height of a digit, in pixels; in a string at least four more."""
ADVANCE = 0.95
"""The width that a digit and the gap behind it take, in its height, about."""
BOXED = 2
"""How many times as much it takes with a box around it, at most."""
USUAL_PEN = 12
"""The widest pen, in pixels, for half of the digits so large that it would be wider."""


@dataclass(frozen=True)
class Mark:
    """A digit in a picture.

    Attributes:
        value: 0 to 9.
        form: which way of writing it, where that is known; else nothing.
        line: the number of its line, 0 = the uppermost.
        box: x and y of the upper left corner, width and height, in pixels, around its ink.
        touches: whether its ink touches that of the digit before it.
    """

    value: int
    form: str
    line: int
    box: tuple[int, int, int, int]
    touches: bool


@dataclass(frozen=True, eq=False)
class Page:
    """A picture and what it shows.

    Attributes:
        picture: ``(height, width, 3)`` uint8, RGB.
        marks: its digits, line by line, each from the left; none on a page without digits.
        made: how it was made, in words and numbers.
    """

    picture: Picture
    marks: tuple[Mark, ...]
    made: dict[str, Any]

    @property
    def lines(self) -> list[str]:
        """The digits of each line."""
        count = max((mark.line for mark in self.marks), default=-1) + 1
        lines = [""] * count
        for mark in self.marks:
            lines[mark.line] += str(mark.value)
        return lines

    @property
    def text(self) -> str:
        """The lines, one below the other."""
        return "\n".join(self.lines)


def page(
    rng: np.random.Generator,
    source: Source,
    counts: Sequence[int] = (1,),
    touching: bool = False,
    cluttered: bool = True,
    boxed: bool = False,
) -> Page:
    """Make a picture of digits.

    Args:
        rng: where it takes its chance from.
        source: where the digits come from.
        counts: how many digits in each line, at least 1 each.
        touching: whether some neighbours touch, at least one pair of each line; else none do.
        cluttered: whether there may be other things on it.
        boxed: whether they are in the boxes of a form, one in each: one line, none touching.
    """
    name, medium = media.choose(rng)
    taking = media.choose_taking(rng, medium)
    pen_name = str(rng.choice(medium.pens))
    pen = PENS[pen_name]
    width, height = _measures(rng, (BOXED if boxed else 1) * max(counts))
    stroke = _stroke(rng, height, pen.widths)
    if boxed:
        writing = written_in_boxes(rng, source, counts[0], height, stroke)
    else:
        writing = written(rng, source, counts, height, stroke, touching)
    size, inner, corner = _arrange(rng, writing, width, taking)
    made: dict[str, Any] = {"medium": name, "pen": pen_name}
    where = Ruling(height, stroke, corner[1] + writing.baseline)
    sheet = media.lay(rng, medium, size, where, made)
    paper = sheet[:: 1 + size[0] // 50, :: 1 + size[1] // 50].mean(axis=(0, 1))
    shade, strength = choose_ink(rng, pen, paper)
    x, y = corner
    rows, columns = writing.ink.shape
    made["clutter"] = []
    box = (x, y, columns, rows)
    scene = Scene(sheet, height, stroke, shade, paper, box, [box])
    if cluttered and height >= media.SMALLEST_RULED:
        made["clutter"] = _clutter(rng, scene)
    if writing.boxes:
        places = [(x + left, y + top, side, side) for left, top, side in writing.boxes]
        boxes(rng, scene, places)
    ink = writing.ink
    if taking == "drawing" and rng.random() < 0.4:
        ink = (ink > 0.5).astype(np.float32)
        made["jagged"] = True
    write(rng, sheet[y : y + rows, x : x + columns], ink, pen, shade, strength, stroke)
    contrast = float(luminance(shade - paper)) * strength
    legible = Legible(height, stroke, abs(contrast))
    picture, matrix = media.take(rng, sheet, inner, taking, legible, made)
    made |= {
        "light on dark": contrast > 0,
        "digit height": round(height, 1),
        "pen width": round(stroke, 1),
        "spacing": writing.spacing,
        "contrast": round(abs(contrast), 2),
    }
    marks = tuple(_mark(each, corner, matrix, picture) for each in writing.letters)
    return Page(picture, marks, made)


def _measures(rng: np.random.Generator, count: int) -> tuple[float, float]:
    """Return the width of the picture and the height of its digits, before they are written."""
    width = float(np.exp(rng.uniform(np.log(NARROWEST), np.log(WIDEST))))
    fill = rng.uniform(0.2, 0.95) if width > 100 else rng.uniform(0.6, 0.9)
    share = max(1.0, ADVANCE * count)
    smallest = SMALLEST if count == 1 else SMALLEST + 4
    height = float(np.clip(width * fill / share, smallest, LARGEST))
    return width, height


def _stroke(rng: np.random.Generator, height: float, widths: tuple[float, float]) -> float:
    """Return the width of the pen, in pixels."""
    stroke = height * float(np.exp(rng.uniform(*np.log(widths))))
    if stroke > USUAL_PEN and rng.random() < 0.5:
        stroke = rng.uniform(5, USUAL_PEN)
    return max(1.0, stroke)


def _arrange(
    rng: np.random.Generator, writing: Writing, width: float, taking: str
) -> tuple[tuple[int, int], tuple[int, int, int, int], tuple[int, int]]:
    """Return the size of the sheet, the part of it to be seen, and where the digits begin."""
    rows, columns = writing.ink.shape
    margin = max(2, round(writing.height * rng.uniform(0.06, 0.25)))
    wide = int(np.clip(width, columns + 2 * margin, max(WIDEST, columns + 2 * margin)))
    high = rows * rng.uniform(1, 2.5) if rng.random() < 0.5 else wide * rng.uniform(0.5, 1.4)
    lowest = max(rows + 2 * margin, wide / 12)
    high = int(np.clip(high, lowest, max(WIDEST, lowest)))
    wide, high = max(wide, NARROWEST), max(high, NARROWEST)
    x = int(rng.integers(margin, wide - columns - margin + 1))
    y = int(rng.integers(margin, high - rows - margin + 1))
    beyond = (0, 0)
    if taking == "photograph" and rng.random() < 0.7:
        beyond = media.beyond(wide), media.beyond(high)
    size = (high + 2 * beyond[1], wide + 2 * beyond[0])
    return size, (beyond[0], beyond[1], wide, high), (x + beyond[0], y + beyond[1])


def _clutter(rng: np.random.Generator, scene: Scene) -> list[str]:
    """Add other things to the sheet; return their names."""
    return [
        name for name, (share, add) in CLUTTER.items() if rng.random() < share and add(rng, scene)
    ]


def _mark(letter: Letter, corner: tuple[int, int], matrix: Homography, picture: Picture) -> Mark:
    """Return the digit where the picture has it."""
    hull = (letter.hull + np.array(corner, np.float32) - 0.5)[:, None]  # edges, not centres
    seen = cv2.perspectiveTransform(hull.astype(np.float64), matrix).reshape(-1, 2) + 0.5
    low = np.maximum(np.floor(seen.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(seen.max(axis=0)).astype(int), picture.shape[1::-1])
    (x, y), (width, height) = low.tolist(), (high - low).tolist()
    return Mark(
        letter.shape.value, letter.shape.form, letter.line, (x, y, width, height), letter.touches
    )
