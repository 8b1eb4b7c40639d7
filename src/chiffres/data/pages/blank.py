"""Pictures without a digit: empty, textured, printed, letters, drawings, photographs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from chiffres.data import strangers
from chiffres.data.glyphs import MONO, SANS, SERIF, typeset
from chiffres.data.pages import NARROWEST, WIDEST, Page, media, page
from chiffres.data.pages.camera import Legible, Picture, developed, jpeg
from chiffres.data.pages.clutter import stamp, words
from chiffres.data.pages.noise import colour, fractal, grain, slow
from chiffres.data.pages.paper import Ruling
from chiffres.data.pages.shapes import Shape, Source, from_strokes
from chiffres.data.pen import penned, slant
from chiffres.errors import MissingExtraError

NOTHING = -1
"""The value of a shape that is no digit."""
CLEAR = Legible(height=60, pen=6, contrast=0.8)
"""How much may be blurred where nothing is to be read."""


def blank(rng: np.random.Generator) -> Page:
    """Make a picture without a digit, of any kind in ``KINDS``; ``made["kind"]`` says which."""
    bounds = np.cumsum([share for share, _ in KINDS.values()])
    kind = list(KINDS)[int(np.searchsorted(bounds[:-1], rng.random(), side="right"))]
    made: dict[str, Any] = {"kind": kind}
    picture = KINDS[kind][1](rng, made)
    return Page(picture, (), made)


def empty(rng: np.random.Generator, made: dict[str, Any]) -> Picture:
    """Leave a sheet or a board as it is, ruled or not."""
    return _sheet(rng, made)


def printed(rng: np.random.Generator, made: dict[str, Any]) -> Picture:
    """Print lines of words, and no digit."""
    return _sheet(rng, made, text=True)


def _sheet(rng: np.random.Generator, made: dict[str, Any], text: bool = False) -> Picture:
    made["medium"], medium = media.choose(rng)
    taking = media.choose_taking(rng, medium)
    width, height = _size(rng, 120 if text else NARROWEST)
    beyond = media.beyond(width), media.beyond(height)
    size = (height + 2 * beyond[1], width + 2 * beyond[0])
    tall = max(20.0, min(width, height) * rng.uniform(0.05, 0.5))
    where = Ruling(tall, tall * rng.uniform(0.05, 0.12), rng.uniform(0, size[0]))
    sheet = media.lay(rng, medium, size, where, made)
    if text:
        line = float(np.clip(height * rng.uniform(0.05, 0.3), 12, 120))
        font = str(rng.choice(SANS + SERIF + MONO[:3]))
        shade = colour(25, 25, 30) if sheet.mean() > 0.5 else colour(230, 230, 225)
        y = beyond[1] + line * rng.uniform(0.2, 1)
        while y + line < size[0] - beyond[1]:
            ink = typeset(" ".join(words(rng, int(rng.integers(1, 7)))), font)
            # a line that is too long is cut by the edge, as in a photograph of a book
            box = (beyond[0] + line / 2, y, line * ink.width / ink.height, line)
            stamp(sheet, ink, box, shade, 0.95)
            y += line * rng.uniform(1.3, 2)
    picture, _ = media.take(rng, sheet, (beyond[0], beyond[1], width, height), taking, CLEAR, made)
    return picture


def letters(rng: np.random.Generator, made: dict[str, Any]) -> Picture:
    """Write one to eight letters with a pen; none of those that look like digits."""
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, 9))
    return _drawn(rng, strangers.LETTERS, count, made)


def drawing(rng: np.random.Generator, made: dict[str, Any]) -> Picture:
    """Draw a house, a face, a star, ... with a pen."""
    return _drawn(rng, strangers.DRAWINGS, 1, made)


def _drawn(
    rng: np.random.Generator, table: Mapping[str, str], count: int, made: dict[str, Any]
) -> Picture:
    found = page(rng, _source(table), [count])
    made |= found.made | {"forms": [mark.form for mark in found.marks]}
    return found.picture


def _source(table: Mapping[str, str]) -> Source:
    def draw(rng: np.random.Generator) -> Shape:
        name = str(rng.choice(list(table)))
        turned = slant(rng, turn=8, shear=0.2, stretch=1.3)
        strokes = penned(rng, table[name], 0.25, turned)
        return from_strokes(strokes, NOTHING, rng.uniform(1.2, 2.5), name)

    return draw


def texture(rng: np.random.Generator, made: dict[str, Any]) -> Picture:
    """Show cloth, wood, stone, stripes, halftone dots, or a plain slope of shades."""
    width, height = _size(rng, NARROWEST)
    size = (height, width)
    y, x = np.indices(size, np.float32)
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    pitch = 2 * np.pi / rng.uniform(4, max(8, max(size) / 6))
    kind = int(rng.integers(6))
    made["texture"] = ("stone", "wood", "stripes", "dots", "slope", "cloth")[kind]
    pattern = (
        lambda: fractal(rng, size, rng.uniform(2, 20), 4),
        lambda: np.sin(3 * pitch * np.hypot(x - width, y / 4) + slow(rng, size, 3)),
        lambda: np.tanh(rng.uniform(1, 6) * np.sin(pitch * along)),
        lambda: np.cos(pitch * along) + np.cos(pitch * across),
        lambda: 2 * along / max(size) - 1,
        lambda: np.sin(pitch * along) * np.sin(pitch * across) + 0.5 * grain(rng, size, 1),
    )[kind]()
    low, high = (rng.uniform(0, 1, 3).astype(np.float32) for _ in range(2))
    share = 0.5 + 0.35 * pattern.astype(np.float32)
    sheet = low + share[..., None] * (high - low)
    sheet += (np.float32(rng.uniform(0, 0.04)) * grain(rng, size, 1))[..., None]
    return jpeg(rng, developed(sheet), CLEAR, made)


def photograph(rng: np.random.Generator, made: dict[str, Any]) -> Picture:
    """Cut a piece out of a photograph: a temple, a flower, a face."""
    paths = _photographs()
    path = paths[int(rng.integers(len(paths)))]
    made["photograph"] = path.name
    with Image.open(path) as image:
        whole = np.array(image.convert("RGB"))
    share = rng.uniform(0.3, 1)
    rows, columns = (int(side * share) for side in whole.shape[:2])
    y, x = (
        int(rng.integers(0, side - size + 1))
        for side, size in zip(whole.shape, (rows, columns), strict=False)
    )
    piece = whole[y : y + rows, x : x + columns]
    width, _ = _size(rng, 60)
    target = (width, max(NARROWEST, width * rows // columns))
    method = cv2.INTER_AREA if width < columns else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(piece, target, interpolation=method), np.uint8)


@functools.cache
def _photographs() -> list[Path]:
    """Return the photographs that scikit-learn and matplotlib ship."""
    try:
        import matplotlib
        import sklearn.datasets
    except ImportError as error:
        raise MissingExtraError("pictures without digits", "train", error.name) from error
    shipped = Path(sklearn.datasets.__file__).parent / "images"
    face = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    return [shipped / "china.jpg", shipped / "flower.jpg", face]


KINDS: dict[str, tuple[float, Callable[[np.random.Generator, dict[str, Any]], Picture]]] = {
    "empty": (0.25, empty),
    "texture": (0.2, texture),
    "printed": (0.2, printed),
    "letters": (0.15, letters),
    "drawing": (0.1, drawing),
    "photograph": (0.1, photograph),
}
"""The share of each kind, and the function that makes one."""


def _size(rng: np.random.Generator, narrowest: int) -> tuple[int, int]:
    width = int(np.exp(rng.uniform(np.log(narrowest), np.log(WIDEST))))
    return width, max(NARROWEST, int(min(width * rng.uniform(0.3, 1.4), WIDEST)))
