"""The ten digits as strokes, and pictures made of them."""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
from PIL import Image

Stroke = list[tuple[float, float]]


def arc(
    x: float, y: float, across: float, down: float, first: float, last: float, points: int = 12
) -> Stroke:
    """Return points on an ellipse, from one angle to another, in degrees."""
    angles = [math.radians(first + (last - first) * i / points) for i in range(points + 1)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


STROKES: dict[int, list[Stroke]] = {
    0: [arc(0.5, 0.5, 0.2, 0.3, -90, 270, 20)],
    1: [[(0.45, 0.27), (0.53, 0.18), (0.53, 0.82)]],
    2: [[*arc(0.5, 0.36, 0.19, 0.18, -170, 40), (0.32, 0.8), (0.72, 0.8)]],
    3: [arc(0.47, 0.34, 0.18, 0.16, -150, 90) + arc(0.47, 0.66, 0.21, 0.17, -90, 150)],
    4: [[(0.55, 0.18), (0.3, 0.58), (0.74, 0.58)], [(0.6, 0.4), (0.6, 0.84)]],
    5: [[(0.68, 0.2), (0.38, 0.2), (0.36, 0.46), *arc(0.48, 0.62, 0.2, 0.19, -130, 140)]],
    6: [[(0.62, 0.18), *arc(0.52, 0.62, 0.2, 0.2, -150, 210, 18)]],
    7: [[(0.3, 0.22), (0.7, 0.22), (0.45, 0.82)]],
    8: [arc(0.5, 0.34, 0.15, 0.15, 90, 450, 16) + arc(0.5, 0.66, 0.18, 0.17, -90, 270, 16)],
    9: [[*arc(0.5, 0.36, 0.17, 0.17, 0, 360, 16), (0.67, 0.36), (0.63, 0.82)]],
}
"""Each digit in strokes of the pen; points from 0 to 1, from the left and from the top."""
CROSSES: list[Stroke] = [
    [(0.2, 0.2), (0.8, 0.8)],
    [(0.8, 0.2), (0.2, 0.8)],
    [(0.5, 0.1), (0.5, 0.9)],
]
"""What is no digit."""


def drawing(digit: int, side: int = 196) -> bytes:
    """Return the drawing of a digit."""
    return drawn(STROKES[digit], side)


def drawn(strokes: list[Stroke], side: int = 196) -> bytes:
    """Return strokes as the page sends them: a small PNG, black on white."""
    sheet = np.full((side, side), 255, np.uint8)
    for stroke in strokes:
        points = np.rint(8 * side * np.array(stroke)).astype(np.int32)
        cv2.polylines(sheet, [points], False, 0, round(0.055 * side), cv2.LINE_AA, 3)
    return encoded(sheet, "PNG")


def photo(digits: str = "2345", width: int = 1200, height: int = 700) -> bytes:
    """Return a photo of digits in a row, in uneven light and with noise, as a JPEG."""
    down, across = np.mgrid[:height, :width]
    light = 1 - 0.25 * (across / width) * (down / height)
    sheet = np.multiply.outer(light, np.array([226.0, 222.0, 214.0]))
    step = (width - 120) / len(digits)
    for place, digit in enumerate(digits):
        for stroke in STROKES[int(digit)]:
            points = [
                (60 + place * step + 0.9 * step * x, 0.35 * height + 220 * y) for x, y in stroke
            ]
            pixels = np.rint(8 * np.array(points)).astype(np.int32)
            cv2.polylines(sheet, [pixels], False, (35, 50, 95), 9, cv2.LINE_AA, 3)
    noisy = sheet + np.random.default_rng(3).normal(0, 4, sheet.shape)
    return encoded(np.clip(noisy, 0, 255).astype(np.uint8), "JPEG")


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """Return pixels as an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()
