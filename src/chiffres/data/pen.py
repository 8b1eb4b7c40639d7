"""Drawing primitives: pen strokes, and the small irregularities of a hand.

Points are ``(n, 2)`` float64, x to the right and y downwards, in any unit: ``paint`` brings them to
size. Every function that draws at random takes its generator first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt

from chiffres.data.dataset import SIDE, Labelled, Labels
from chiffres.data.image import BOX

Floats = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]
Maker = Callable[[np.random.Generator], Grey]
Change = Callable[[np.random.Generator, Grey, int], Grey]

DETAIL = 4
"""Pixels of the canvas that become one pixel of the 28×28 image, so that edges are soft."""


def gallery(
    makers: Mapping[str, tuple[float, Maker]], n: int, seed: int, stream: int
) -> tuple[Grey, npt.NDArray[np.str_]]:
    """Return ``n`` images, ``(n, 28, 28)`` uint8, and the kind of each, ``(n,)`` str.

    Args:
        makers: of each kind its share and the function that draws one; the shares add up to 1.
        n: how many, at least 0.
        seed: at least 0. Image ``i`` depends on ``seed`` and ``i`` alone, so more images with the
            same seed begin with the same ones.
        stream: another number for each gallery, so that one seed gives them independent chances.
    """
    names = list(makers)
    bounds = np.cumsum([share for share, _ in makers.values()])
    images = np.zeros((n, SIDE, SIDE), np.uint8)
    kinds = np.zeros(n, f"U{max(map(len, names))}")
    for index in range(n):
        rng = np.random.default_rng([seed, index, stream])
        kinds[index] = names[int(np.searchsorted(bounds[:-1], rng.random(), side="right"))]
        images[index] = makers[str(kinds[index])][1](rng)
    return images, kinds


def redrawn(
    drawn: Labelled, able: npt.NDArray[np.bool_], change: Change, n: int, seed: int, stream: int
) -> tuple[Grey, Labels]:
    """Return ``n`` images of those that can be changed, ``(n, 28, 28)`` uint8, and their labels.

    Args:
        drawn: what is changed.
        able: which of them can be changed, ``(len(labels),)``; where none can, none is returned.
        change: what is done to one: a generator, its image and its label in, the image out.
        n: as for ``gallery``.
        seed: likewise.
        stream: likewise.
    """
    chosen = np.flatnonzero(able)
    n = n if len(chosen) else 0
    images = np.zeros((n, SIDE, SIDE), np.uint8)
    labels = np.zeros(n, np.uint8)
    for index in range(n):
        rng = np.random.default_rng([seed, index, stream])
        place = chosen[int(rng.integers(len(chosen)))]
        labels[index] = drawn.labels[place]
        images[index] = change(rng, drawn.images[place], int(labels[index]))
    return images, labels


def paint(strokes: Sequence[Floats], width: float) -> Floats:
    """Return strokes of a round pen, ``(height, width)``, 0 = paper to 1 = ink.

    Args:
        strokes: the points that the pen passes, in straight lines, at least two different ones.
        width: of the pen, in pixels of the 28×28 image that ``normalize`` makes of the drawing.
    """
    points = np.concatenate(strokes)
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = DETAIL * (BOX - width) / extent.max()
    radius = DETAIL * width / 2
    margin = int(radius) + 3
    columns, rows = np.ceil(extent * scale).astype(int) + 2 * margin
    untouched = np.ones((rows, columns), bool)
    for stroke in strokes:
        x, y = np.rint(_dense((stroke - low) * scale) + margin).astype(int).T
        untouched[y, x] = False
    return np.asarray(np.clip(radius + 0.5 - distance_transform_edt(untouched), 0, 1))


def _dense(points: Floats) -> Floats:
    """Return points along the same line, half a unit apart."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    steps = np.arange(0, along[-1] + 0.5, 0.5)
    return np.stack([np.interp(steps, along, axis) for axis in points.T], axis=1)


def curve(points: Floats) -> Floats:
    """Return a smooth curve through the points, ``(12 n, 2)``.

    The parameter grows with the square root of the distance, which keeps the curve from looping
    between close points (E. Catmull and R. Rom's splines, "centripetal").
    """
    steps = np.sqrt(np.hypot(*np.diff(points, axis=0).T)) + 1e-6
    times = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(CubicSpline(times, points)(np.linspace(0, times[-1], 12 * len(points))))


def penned(rng: np.random.Generator, text: str, jitter: float, turned: Floats) -> list[Floats]:
    """Return strokes written as text, as a hand would draw them.

    Args:
        rng: where it takes its chance from.
        text: strokes with commas between. A stroke is a row of points, each the digits of its x
            and y on a grid from 0 to 8, y downwards; after a ~ the pen takes them in one smooth
            curve, else in straight lines.
        jitter: about how far each point is moved, on that grid.
        turned: ``(2, 2)``, what is made of the points in the end; of ``slant``, for example.
    """
    lines = []
    for smooth, points in written_strokes(text):
        moved = (points - 4 + rng.normal(0, jitter, points.shape)) @ turned.T
        lines.append(_swayed(rng, curve(moved) if smooth else _straight(moved)))
    return lines


@functools.cache
def written_strokes(text: str) -> list[tuple[bool, Floats]]:
    """Return of each stroke in ``text`` (see ``penned``) whether it is smooth, and its points."""
    return [
        ("~" in stroke, np.array([list(map(float, point)) for point in stroke.strip(" ~").split()]))
        for stroke in text.split(",")
    ]


def _straight(points: Floats) -> Floats:
    """Return the straight lines between the points, ten points each."""
    steps = np.linspace(0, len(points) - 1, 10 * (len(points) - 1) + 1)
    return np.stack([np.interp(steps, range(len(points)), axis) for axis in points.T], axis=1)


def _swayed(rng: np.random.Generator, points: Floats) -> Floats:
    """Return the points shifted by a slow wave, as no hand draws straight; size about 8."""
    phase, speed = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.3, 0.8, 2)
    return points + 0.3 * np.sin(points[:, ::-1] * speed + phase)


def slant(
    rng: np.random.Generator, turn: float = 15, shear: float = 0.25, stretch: float = 1.3
) -> Floats:
    """Return a random ``(2, 2)`` matrix for points: a stretch, a slant, then a turn.

    Args:
        rng: where it takes its chance from.
        turn: the largest, in degrees, either way.
        shear: the largest, either way.
        stretch: the largest, of one side against the other being 1.
    """
    angle = np.deg2rad(rng.uniform(-turn, turn))
    lean = rng.uniform(-shear, shear)
    side = np.sqrt(stretch) ** rng.uniform(-1, 1)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(turned @ np.array([[1, lean], [0, 1]]) @ np.diag([side, 1 / side]))


def smooth_noise(rng: np.random.Generator, side: int, cells: int) -> Floats:
    """Return ``(side, side)`` values about 0, about 1 large, that change over ``side / cells``."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float64)
