"""What is written on with what, and how it becomes a picture: notebooks, boards, screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from chiffres.data.pages import camera
from chiffres.data.pages.camera import Homography, Legible, Picture
from chiffres.data.pages.noise import Sheet, Size
from chiffres.data.pages.paper import PAPERS, RULINGS, Ruling


@dataclass(frozen=True)
class Medium:
    """What digits are written on.

    Attributes:
        share: how often.
        papers: names in ``PAPERS``.
        rulings: names in ``RULINGS``; none, if it is not ruled.
        pens: names in ``PENS``.
        photographed: how often it is photographed.
        scanned: how often it is scanned; otherwise the picture is the sheet itself.
    """

    share: float
    papers: tuple[str, ...]
    rulings: tuple[str, ...]
    pens: tuple[str, ...]
    photographed: float
    scanned: float


MEDIA = {
    "notebook": Medium(
        0.32,
        ("white", "white", "yellowed", "crumpled"),
        ("ruled", "seyes", "squared", "squared", "dotted"),
        ("ballpoint", "ballpoint", "gel pen", "fountain pen", "pencil"),
        0.7,
        0.3,
    ),
    "sheet": Medium(
        0.28,
        ("white", "white", "yellowed", "coloured", "crumpled"),
        (),
        ("ballpoint", "gel pen", "fountain pen", "pencil", "colour pencil", "marker"),
        0.65,
        0.35,
    ),
    "whiteboard": Medium(0.1, ("whiteboard",), (), ("whiteboard marker",), 1, 0),
    "chalkboard": Medium(0.1, ("chalkboard",), (), ("chalk",), 1, 0),
    "screen": Medium(0.11, ("screen",), (), ("mouse",), 0, 0),
    "dark screen": Medium(0.09, ("dark screen",), (), ("light mouse",), 0, 0),
}

BEYOND = 0.12
"""How much more of a sheet there is on each side than the picture must show, in its size."""
LARGEST = 4000
"""The longer side of a picture, in pixels, at most."""
SMALLEST_RULED = 24
"""The height of a digit, in pixels, from which on printed lines can be told from its strokes."""


def beyond(side: int) -> int:
    """Return how many pixels a sheet has beyond each end of a side of the picture."""
    return int(np.ceil(BEYOND * side)) + 1


def choose(rng: np.random.Generator) -> tuple[str, Medium]:
    """Return a medium and its name."""
    bounds = np.cumsum([medium.share for medium in MEDIA.values()])
    name = list(MEDIA)[int(np.searchsorted(bounds[:-1], rng.random(), side="right"))]
    return name, MEDIA[name]


def choose_taking(rng: np.random.Generator, medium: Medium) -> str:
    """Return how the picture is made: ``photograph``, ``scan`` or ``drawing``."""
    chance = rng.random()
    if chance < medium.photographed:
        return "photograph"
    return "scan" if chance < medium.photographed + medium.scanned else "drawing"


def lay(
    rng: np.random.Generator, medium: Medium, size: Size, where: Ruling, made: dict[str, Any]
) -> Sheet:
    """Return an empty sheet, ruled or not; say in ``made`` which."""
    made["paper"] = str(rng.choice(medium.papers))
    sheet = PAPERS[made["paper"]](rng, size)
    made["ruling"] = "none"
    if medium.rulings and where.height >= SMALLEST_RULED:
        made["ruling"] = str(rng.choice(medium.rulings))
        RULINGS[made["ruling"]](rng, sheet, where)
    return sheet


def take(
    rng: np.random.Generator,
    sheet: Sheet,
    inner: tuple[int, int, int, int],
    taking: str,
    legible: Legible,
    made: dict[str, Any],
) -> tuple[Picture, Homography]:
    """Return a picture of the sheet, and how points of the sheet come to lie in it.

    Args:
        rng: where it takes its chance from.
        sheet: ``(height, width, 3)`` float32; changed.
        inner: x, y, width and height of the part of it that must be seen.
        taking: ``photograph``, ``scan`` or ``drawing``.
        legible: what may not be blurred or drowned.
        made: what was done is said there.
    """
    made["taken"] = taking
    if taking == "drawing":
        matrix, size = camera.cropped(inner)
        x, y, width, height = inner
        picture = sheet[y : y + height, x : x + width]
        if rng.random() < 0.3:
            return camera.jpeg(rng, camera.developed(picture), legible, made), matrix
        return camera.developed(picture), matrix
    if taking == "photograph":
        matrix, size = camera.angle(rng, inner, BEYOND)
        if rng.random() < 0.5:
            matrix = _turned(rng, matrix, size, made)
        matrix, size = camera.enlarged(matrix, size, inner, LARGEST)
    else:
        matrix, size = camera.cropped(inner)
    picture = camera.view(rng, sheet, matrix, size)
    if taking == "photograph":
        camera.light(rng, picture, made)
    picture = camera.lens(rng, picture, legible, made)
    contrast = camera.tone(rng, picture, legible, made)
    camera.noise(rng, picture, legible, contrast, made)
    if taking == "scan":
        camera.scan_faults(rng, picture, made)
    developed = camera.developed(picture)
    if rng.random() < 0.75:
        developed = camera.jpeg(rng, developed, legible, made)
    return developed, matrix


def _turned(
    rng: np.random.Generator, matrix: Homography, size: Size, made: dict[str, Any]
) -> Homography:
    """Return the view turned by some degrees, and smaller, so that nothing leaves the picture."""
    degrees = float(np.clip(rng.normal(0, 4), -10, 10))
    made["turned"] = round(degrees, 1)
    height, width = size
    lean = abs(np.deg2rad(degrees))
    shrink = 1 / (np.cos(lean) + np.sin(lean) * max(width / height, height / width))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, float(shrink))
    return np.vstack([turn, [0, 0, 1]]) @ matrix
