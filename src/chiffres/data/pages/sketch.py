"""Digits drawn with a mouse or a finger: flat colours, strokes as drawing programs make them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from chiffres.data.pages import Mark, Page
from chiffres.data.pages.forms import FORMS, JITTER
from chiffres.data.pen import Floats, penned, slant

SMALLEST, LARGEST = 40, 800
"""The side of the canvas, in pixels."""
COLOURS = (("white", "black"), ("black", "white"), ("#f4f1e4", "#1c3f94"), ("#20242c", "#ffd84d"))
"""The canvas and the pen."""


def sketch(rng: np.random.Generator) -> Page:
    """Draw a digit, in any of its forms, anywhere on the canvas."""
    name = str(rng.choice(list(FORMS)))
    width, height = (
        int(side) for side in np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), 2))
    )
    width, height = max(width, height // 2), max(height, width // 2)
    paper, pen = COLOURS[int(rng.integers(len(COLOURS)))]
    size = min(width, height) * rng.uniform(0.5, 0.85)
    thick = max(1, round(size * np.exp(rng.uniform(np.log(0.03), np.log(0.15)))))
    strokes = _sized(rng, name, size - thick)
    room = np.array([width, height]) - np.ptp(np.concatenate(strokes), axis=0) - 2 * thick
    start = rng.uniform(0, 1, 2) * room + thick
    strokes = [stroke + start for stroke in strokes]
    ink = Image.new("L", (width, height))
    draw = ImageDraw.Draw(ink)
    for stroke in strokes:
        draw.line([tuple(point) for point in stroke.tolist()], 255, thick, joint="curve")
        for x, y in (stroke[0], stroke[-1]):
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), 255)
    canvas = Image.new("RGB", (width, height), paper)
    canvas.paste(pen, mask=ink)
    left, top, right, bottom = ink.getbbox() or (0, 0, width, height)
    mark = Mark(int(name[0]), name, 0, (left, top, right - left, bottom - top), False)
    made = {"medium": "sketch", "paper": paper, "pen": pen, "pen width": thick}
    return Page(np.array(canvas), (mark,), made)


def _sized(rng: np.random.Generator, name: str, size: float) -> list[Floats]:
    """Return the strokes of a form, their longer side ``size``, from 0 on."""
    turned = slant(rng, turn=6, shear=0.2, stretch=1.25) @ np.diag([0.8, 1])
    strokes = penned(rng, FORMS[name], JITTER, turned)
    points = np.concatenate(strokes)
    scale = size / np.ptp(points, axis=0).max()
    return [(stroke - points.min(axis=0)) * scale for stroke in strokes]
