"""From a sheet to a picture of it: light and shadow, the angle, the lens, noise, and JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from chiffres.data.pages.noise import Sheet, Size, blend, colour, fractal, grain, slow

Picture = npt.NDArray[np.uint8]
Homography = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Legible:
    """What a picture may not blur or drown.

    Attributes:
        height: of a digit, in pixels.
        pen: the width of its strokes, in pixels.
        contrast: of the ink against the paper, 0 to 1.
    """

    height: float
    pen: float
    contrast: float


def angle(
    rng: np.random.Generator, inner: tuple[int, int, int, int], steep: float
) -> tuple[Homography, Size]:
    """Return how a photograph at an angle sees the sheet, and the size of the picture.

    Args:
        rng: where it takes its chance from.
        inner: x, y, width and height of the part of the sheet that the picture must show.
        steep: how far its corners move, in its size, at most; always outwards.
    """
    x, y, width, height = inner
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    outward = corners * 2 - 1
    seen = corners + outward * rng.uniform(0, steep, (4, 2))
    source = seen * (width, height) + (x, y)
    target = corners * (width, height)
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    return np.asarray(matrix, np.float64), (height, width)


def cropped(inner: tuple[int, int, int, int]) -> tuple[Homography, Size]:
    """Return the same of a picture that shows the part as it is."""
    x, y, width, height = inner
    return np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]], np.float64), (height, width)


def enlarged(
    matrix: Homography, size: Size, inner: tuple[int, int, int, int], largest: int
) -> tuple[Homography, Size]:
    """Return the same view, so large that a pixel in the middle of the sheet is one again."""
    x, y, width, height = inner
    middle = np.array([[0, 0], [1, 0], [0, 1]]) + np.array([x + width / 2, y + height / 2])
    seen = cv2.perspectiveTransform(middle[:, None], matrix).reshape(-1, 2)
    scale = min(1 / np.sqrt(abs(np.linalg.det(seen[1:] - seen[0]))), largest / max(size))
    return np.diag([scale, scale, 1]) @ matrix, (int(size[0] * scale), int(size[1] * scale))


def view(rng: np.random.Generator, sheet: Sheet, matrix: Homography, size: Size) -> Sheet:
    """Return the sheet seen so; what lies beyond it is a table."""
    target = size[::-1]
    seen = cv2.warpPerspective(sheet, matrix, target, flags=cv2.INTER_LINEAR)
    whole = cv2.warpPerspective(np.ones(sheet.shape[:2], np.float32), matrix, target)
    if float(whole.min()) < 1:
        depth = np.float32(rng.uniform(0, 0.5))
        small = cv2.resize(whole, (80, 80), interpolation=cv2.INTER_AREA)
        around = np.asarray(cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.3), target), np.float32)
        below = _table(rng, size) * (1 - depth * around)[..., None]
        seen = seen + (1 - whole)[..., None] * below
    return np.asarray(seen, np.float32)


def light(rng: np.random.Generator, picture: Sheet, made: dict[str, Any]) -> None:
    """Shine on the picture, in place: from a side, with a dark rim, a shadow, a lamp's colour."""
    size = (picture.shape[0], picture.shape[1])
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in size)
    y = y[:, None]
    turn, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    field = 1 - fall * (0.5 + 0.35 * (x * np.cos(turn) + y * np.sin(turn)))
    field -= rng.uniform(0, 0.15) * (x**2 + y**2)
    if rng.random() < 0.4:
        depth, edge = rng.uniform(0.2, 0.55), _shadow(rng, size)
        field *= 1 - depth * edge
        made["shadow"] = round(depth, 2)
    picture *= field.astype(np.float32)[..., None]
    lamp = 1 + np.array([0.1, 0, -0.16], np.float32) * np.float32(rng.normal(0, 0.7))
    picture *= np.clip(lamp, 0.7, 1.3) * np.float32(rng.uniform(0.75, 1.02))


def lens(rng: np.random.Generator, picture: Sheet, legible: Legible, made: dict[str, Any]) -> Sheet:
    """Return the picture out of focus, or shaken."""
    most = min(0.35 * legible.pen, 0.04 * legible.height + 0.3)
    spread = rng.uniform(0.1, 1) ** 2 * most
    made["blur"] = round(spread, 2)
    if rng.random() < 0.15 and most > 1:
        length = int(2 * most) | 1
        kernel = np.zeros((length, length), np.float32)
        slope = np.deg2rad(rng.uniform(0, 180))
        reach = np.array([np.cos(slope), np.sin(slope)]) * (length // 2)
        ends = [np.rint(length // 2 + side * reach).astype(int).tolist() for side in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        made["shaken"] = length
        return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)
    if spread < 0.3:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), spread), np.float32)


def tone(rng: np.random.Generator, picture: Sheet, legible: Legible, made: dict[str, Any]) -> float:
    """Flatten the contrast, in place, and bend the curve; return the contrast that is left."""
    left = legible.contrast
    if rng.random() < 0.3:
        share = float(np.clip(rng.uniform(0.3, 0.8), min(1, 0.2 / left), 1))
        made["low contrast"] = round(share, 2)
        level = np.float32(rng.uniform(0.2, 0.95))
        picture += np.float32(1 - share) * (level - picture)
        left *= share
    gamma = np.float32(rng.uniform(0.8, 1.25))
    np.power(np.clip(picture, 0, 1, out=picture), gamma, out=picture)
    return left


def noise(
    rng: np.random.Generator,
    picture: Sheet,
    legible: Legible,
    contrast: float,
    made: dict[str, Any],
) -> None:
    """Add a sensor's noise, in place: less where the strokes are thin, which it would drown."""
    most = min(0.06, contrast * min(0.18, 0.05 * legible.pen, 0.006 * legible.height))
    strength = np.float32(most * rng.random() ** 2)
    made["noise"] = round(float(strength), 3)
    size = (picture.shape[0], picture.shape[1])
    coarseness = float(rng.choice([1, 1, 1.6]))
    picture += (strength * grain(rng, size, coarseness))[..., None]
    if rng.random() < 0.5:
        for channel in (0, 2):
            picture[..., channel] += strength * grain(rng, size, 2.0)


def scan_faults(rng: np.random.Generator, picture: Sheet, made: dict[str, Any]) -> None:
    """Leave what scanners leave, in place: a dark rim, a streak."""
    rows, columns = picture.shape[:2]
    if rng.random() < 0.2:
        rim = max(1, round(0.012 * max(rows, columns) * rng.random()))
        side = int(rng.integers(4))
        np.rot90(picture, side)[:rim] *= np.float32(rng.uniform(0.05, 0.5))
        made["dark rim"] = rim
    if rng.random() < 0.1:
        column = int(rng.integers(columns))
        picture[:, column : column + 1] *= np.float32(rng.uniform(0.7, 0.95))
        made["streak"] = column


def developed(picture: Sheet) -> Picture:
    """Return the picture in 256 levels."""
    levels = cv2.convertScaleAbs(np.clip(picture, 0, 1), alpha=255)
    return np.asarray(levels, np.uint8)


def jpeg(
    rng: np.random.Generator, picture: Picture, legible: Legible, made: dict[str, Any]
) -> Picture:
    """Return what is left of the picture in a JPEG file of a quality from 30 to 95."""
    least = 30 if legible.height > 50 and legible.contrast > 0.3 else 60
    least = 80 if legible.height < 24 else least
    quality = int(rng.integers(least, 96))
    made["jpeg"] = quality
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def _shadow(rng: np.random.Generator, size: Size) -> Sheet:
    """Return a shadow with a soft edge, of a hand, of the phone, of a window: 0 light, 1 dark."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in size)
    turn = rng.uniform(0, 2 * np.pi)
    away = x * np.cos(turn) + y[:, None] * np.sin(turn) + rng.uniform(-0.5, 0.5)
    if rng.random() < 0.6:
        away = away + rng.uniform(0.1, 0.4) * slow(rng, size, 2.5)
    else:
        away = rng.uniform(0.2, 0.5) - np.abs(away)
    return np.asarray(1 / (1 + np.exp(-np.clip(away * rng.uniform(5, 60), -30, 30))), np.float32)


def _table(rng: np.random.Generator, size: Size) -> Sheet:
    """Return what a sheet lies on: wood, cloth, something dark or light."""
    shades = ((120, 78, 45), (170, 130, 90), (40, 40, 44), (90, 95, 100), (200, 198, 190))
    sheet = np.broadcast_to(colour(*shades[int(rng.integers(len(shades)))]), (*size, 3)).copy()
    if rng.random() < 0.6:
        grown = slow(rng, (size[0], max(2, size[1] // 12)), 30)
        wood = cv2.resize(grown, size[::-1], interpolation=cv2.INTER_LINEAR)
        if rng.random() < 0.5:
            wood = cv2.resize(np.ascontiguousarray(grown.T), size[::-1])
        blend(sheet, np.clip(0.12 * wood, -0.3, 0.3), colour(20, 10, 5))
    sheet *= (1 + 0.06 * fractal(rng, size, 6, 3))[..., None]
    return np.asarray(np.clip(sheet, 0, 1), np.float32)
