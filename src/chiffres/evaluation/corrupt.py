"""The fifteen corruptions of MNIST-C: how a model reads digits worse than those it was trained on.

Source: N. Mu and J. Gilmer, MNIST-C: A Robustness Benchmark for Computer Vision, 2019,
arXiv:1906.02337. The corruptions are made anew from its description, each at the severity of the
published images as far as https://github.com/google-research/mnist-c tells it. The images are not
the published ones, so neither is what a model makes of them.

Every corruption takes images, ``(n, 28, 28)`` uint8, 0 = background, 255 = ink, and a source of
randomness, and returns as many, leaving the given ones as they are. A share is of full ink.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from chiffres.data import Dataset, Digits
from chiffres.data.dataset import SIDE, Images, Indices, PartName
from chiffres.errors import UnknownNameError
from chiffres.evaluation.metrics import Evaluation, evaluate
from chiffres.models.backend import keras
from chiffres.models.files import load_model

Corruption = Callable[[Images, np.random.Generator], Images]
Levels = npt.NDArray[np.float32]
"""Images as shares of full ink, ``(n, 28, 28)``, 0 to 1."""
Places = npt.NDArray[Any]
"""A row or a column of each image, ``(n,)``, not always whole."""


def shot_noise(images: Images, rng: np.random.Generator) -> Images:
    """Count photons: each pixel is Poisson with a mean of 3 at full ink, a third of it each."""
    return _images(rng.poisson(_levels(images) * 3) / 3)


def impulse_noise(images: Images, rng: np.random.Generator) -> Images:
    """Set 17 % of the pixels, drawn at random, half of them to 0 and half to 255."""
    drawn = rng.random(images.shape, np.float32)
    return np.where(drawn < 0.085, 0, np.where(drawn >= 1 - 0.085, 255, images)).astype(np.uint8)


def glass_blur(images: Images, rng: np.random.Generator) -> Images:
    """Look through frosted glass: pixels shuffled between two blurs of sigma 0.7.

    Twice, from the bottom right, every second pixel on average changes places with the one 0 or 1
    above and 0 or 1 to the left. As in the published images, whose authors' library took columns
    for colours, the blur is along the columns alone.
    """
    blurred = np.floor(255 * ndimage.gaussian_filter(_levels(images), (0, 0.7, 0), mode="nearest"))
    pixels = blurred.reshape(-1, SIDE**2).T.copy()  # (784, n): a pixel of all images is together
    steps = np.array([0, 0, 0, 0, 0, 1, SIDE, SIDE + 1])
    each = np.arange(len(images))
    for _, row, column in itertools.product(range(2), *[range(SIDE - 1, 1, -1)] * 2):
        here = row * SIDE + column
        there = here - steps[rng.integers(len(steps), size=len(images), dtype=np.uint8)]
        pixels[here], pixels[there, each] = pixels[there, each], pixels[here].copy()
    shuffled = pixels.T.reshape(images.shape) / 255
    return _images(ndimage.gaussian_filter(shuffled, (0, 0.7, 0), mode="nearest"))


def motion_blur(images: Images, rng: np.random.Generator) -> Images:
    """Move the digit at an angle of -45° to 45° to the horizontal while it is seen.

    Each pixel becomes the mean of the 21 pixels from it to the right, at whole steps, weighted by
    half a Gaussian of sigma 3: ImageMagick's motion blur of radius 10.
    """
    reach = 20
    steps = np.arange(reach + 1)
    weights = np.exp(-(steps**2) / (2 * 3**2))
    angles = rng.uniform(-np.pi / 4, np.pi / 4, len(images))
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    blurred = np.zeros(images.shape, np.float32)
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        down, right = (
            np.ceil(step * along - 0.5).astype(int) for along in (np.sin(angles), np.cos(angles))
        )
        blurred += np.float32(weight) * _windows(padded, reach + down, reach + right)
    return _images(blurred / 255)


def shear(images: Images, rng: np.random.Generator) -> Images:
    """Lean the digit by 0.4 radians to the left or to the right, about the centre.

    Each row is pushed by ``tan 0.4`` = 0.42 of its height, and as in the published images the
    digit becomes ``1 / cos 0.4`` = 1.09 times as high.
    """
    return _either_way(images, rng, lambda a: [[np.cos(a), 0], [-np.sin(a), 1]])


def scale(images: Images, rng: np.random.Generator) -> Images:
    """Shrink the digit to 0.7 of its size, about the centre."""
    return _warp(images, np.eye(2) / 0.7)


def rotate(images: Images, rng: np.random.Generator) -> Images:
    """Turn the digit by 0.4 radians (23°) to the left or to the right, about the centre."""
    return _either_way(images, rng, lambda a: [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])


def brightness(images: Images, rng: np.random.Generator) -> Images:
    """Add half of full ink (128) to every pixel."""
    return np.minimum(images, 127) + np.uint8(128)


def translate(images: Images, rng: np.random.Generator) -> Images:
    """Move the digit by 3 pixels up or down and by 3 to the left or to the right."""
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3)))
    down, right = rng.choice([-3, 3], (2, len(images)))
    return _windows(padded, 3 - down, 3 - right)


def stripe(images: Images, rng: np.random.Generator) -> Images:
    """Invert the 7 columns on the left and the 7 on the right: the middle is a stripe."""
    outside = np.abs(np.arange(SIDE) - (SIDE - 1) / 2) > 7
    return np.where(outside, 255 - images, images)


def fog(images: Images, rng: np.random.Generator) -> Images:
    """Put three times as much fog as ink over the digit, and dim both to the range of the digit.

    The fog is a plasma fractal of 256×256, whose bumps are 1.4² times lower at each halving of
    their size, brought to 0 to 1 and cut to 28×28.
    """
    levels = _levels(images)
    strongest = levels.max(axis=(1, 2), keepdims=True, initial=0)
    return _images((levels + 3 * _plasma(len(images), rng)) * strongest / (strongest + 3))


def spatter(images: Images, rng: np.random.Generator) -> Images:
    """Spatter with mud of a quarter of full ink (63).

    There is mud where noise of mean 0.65 and deviation 0.3, blurred with sigma 1, is over 0.65
    and, blurred again with sigma 1.5, that is still so of 80 %: how much then covers the digit.
    """
    noise = 0.65 + 0.3 * rng.standard_normal(images.shape, np.float32)
    wet = ndimage.gaussian_filter(noise, (0, 1, 1), mode="nearest") > 0.65
    cover = ndimage.gaussian_filter(wet.astype(np.float32), (0, 1.5, 1.5), mode="nearest")
    cover[cover < 0.8] = 0
    return _images(_levels(images) * (1 - cover) + 63 / 255 * cover)


def dotted_line(images: Images, rng: np.random.Generator) -> Images:
    """Draw a straight line from the left edge to the right, two columns of four.

    Its rows at both edges are drawn from 0 to 26.
    """
    left, right = rng.integers(0, SIDE - 1, (2, len(images)))
    stroke = _stroke(np.zeros_like(left), left, np.full_like(right, SIDE - 1), right)
    return _images(_levels(images) + stroke * (np.arange(SIDE) % 4 >= 2))


def zigzag(images: Images, rng: np.random.Generator) -> Images:
    """Draw a zigzag of height 2 × 2 and period 8 from column 2 to column 25.

    It starts in a row drawn from 0 to 26 and ends -5 to 4 rows lower.
    """
    start, fall = rng.integers(0, SIDE - 1, len(images)), rng.integers(-5, 5, len(images))
    slope = np.arctan2(fall, 23)
    length = 23 / np.cos(slope)
    along = [0, 2, 6, 10, 14, 18, 22, length]
    aside = [0, 2, -2, 2, -2, 2, -2, length - 24]
    columns = [2 + a * np.cos(slope) - b * np.sin(slope) for a, b in zip(along, aside, strict=True)]
    rows = [
        start + a * np.sin(slope) + b * np.cos(slope) for a, b in zip(along, aside, strict=True)
    ]
    levels = _levels(images)
    for (column, next_column), (row, next_row) in zip(
        itertools.pairwise(columns), itertools.pairwise(rows), strict=True
    ):
        levels += _stroke(column, row, next_column, next_row)
    return _images(levels)


def canny_edges(images: Images, rng: np.random.Generator) -> Images:
    """Keep the edges alone, 255 on 0: sigma 1, thresholds 0.1 and 0.2 of Sobel's gradient.

    Source: J. Canny, A computational approach to edge detection, IEEE Transactions on Pattern
    Analysis and Machine Intelligence 8 (1986), 679-698.
    """
    smooth = ndimage.gaussian_filter(_levels(images), (0, 1, 1), mode="nearest")
    gradient = np.stack([_sobel(smooth, 1), _sobel(smooth, 2)])
    magnitude = np.hypot(*gradient)
    crests = magnitude >= 0.1
    crests[crests] = _is_crest(magnitude, np.array(np.nonzero(crests)), gradient[:, crests])
    touching = np.pad(np.ones((1, 3, 3)), ((1, 1), (0, 0), (0, 0)))  # within an image, 8 ways
    lines, count = ndimage.label(crests, touching)
    strong = np.zeros(count + 1, bool)
    strong[lines[crests & (magnitude >= 0.2)]] = True
    return np.where(strong[lines], 255, 0).astype(np.uint8)


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__.replace("_", "-"): corruption
    for corruption in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}
"""Every corruption by its name, in the paper's order."""


def corrupt(images: Images, name: str, seed: int = 0) -> Images:
    """Return the images corrupted.

    Args:
        images: ``(n, 28, 28)`` uint8, 0 = background, 255 = ink.
        name: one of CORRUPTIONS.
        seed: 0 or more. The same images, name and seed give the same bits.

    Raises:
        UnknownNameError: there is no such corruption.
    """
    if name not in CORRUPTIONS:
        raise UnknownNameError("corruption", name, CORRUPTIONS)
    return CORRUPTIONS[name](images, np.random.default_rng([seed, list(CORRUPTIONS).index(name)]))


def corrupted(dataset: Dataset, name: str, seed: int = 0) -> Dataset:
    """Return the dataset with its test part corrupted, called ``"mnist/shot-noise"`` for example.

    Raises:
        UnknownNameError: there is no such corruption.
    """
    test = Digits(corrupt(dataset.test.images, name, seed), dataset.test.labels)
    return dataclasses.replace(dataset, name=f"{dataset.name}/{name}", test=test)


def robustness(
    model: keras.Model | str | Path, dataset: Dataset, seed: int = 0, part: PartName = "test"
) -> dict[str, Evaluation]:
    """Ask a model for every digit of one part of a dataset under each corruption.

    Args:
        model: a Keras model, or where one is: a run folder, a ``.keras`` or an ``.h5`` file.
        dataset: the digits, not corrupted.
        seed: 0 or more.
        part: which part of them; the test part is for the end.

    Returns:
        An evaluation by corruption, in the order of CORRUPTIONS.

    Raises:
        UnknownNameError: there is no such part.
        ModelFileError: the model cannot be loaded, or does not read 28×28 images of digits.
    """
    where = str(model) if isinstance(model, str | Path) else ""
    loaded = load_model(model) if isinstance(model, str | Path) else model
    asked = dataclasses.replace(dataset, test=dataset.part(part))  # the test part is corrupted
    found = {
        name: evaluate(loaded, corrupted(asked, name, seed), name=where) for name in CORRUPTIONS
    }
    return {name: dataclasses.replace(each, part=part) for name, each in found.items()}


def _levels(images: Images) -> Levels:
    return np.asarray(images, np.float32) / np.float32(255)


def _images(levels: npt.NDArray[np.floating[Any]]) -> Images:
    """Return levels as images; what is under 0 or over 1 is cut."""
    return np.asarray(np.rint(np.clip(levels, 0, 1) * 255), np.uint8)


def _windows(padded: Images, rows: Indices, columns: Indices) -> Images:
    """Cut from each image the 28×28 pixels that begin at its row and column, ``(n,)`` each."""
    windows = sliding_window_view(padded, (SIDE, SIDE), axis=(1, 2))
    return np.asarray(windows[np.arange(len(padded)), rows, columns])


def _warp(images: Images, matrix: npt.ArrayLike) -> Images:
    """Fill each place, seen from the centre, from ``matrix`` (2×2: row, column) times the place."""
    full = np.eye(3)
    full[1:, 1:] = matrix
    centre = np.array([0, (SIDE - 1) / 2, (SIDE - 1) / 2])
    return _images(
        ndimage.affine_transform(
            _levels(images), full, centre - full @ centre, order=1, mode="grid-constant"
        )
    )


def _either_way(
    images: Images, rng: np.random.Generator, matrix: Callable[[float], npt.ArrayLike]
) -> Images:
    """Warp each image by the matrix of 0.4 radians or of -0.4, drawn at random."""
    warped = np.empty_like(images)
    forwards = rng.random(len(images)) < 0.5
    for angle, chosen in ((0.4, forwards), (-0.4, ~forwards)):
        warped[chosen] = _warp(images[chosen], matrix(angle))
    return warped


def _stroke(column: Places, row: Places, next_column: Places, next_row: Places) -> Levels:
    """Draw a straight stroke in each of n images, ``(n, 28, 28)``, 0 to 1.

    It is full ink on the line, and fades to none 1.45 pixels above and below it, as the published
    images do: ``1 + log(1 - distance / 2.3)``.
    """
    across = np.arange(SIDE)
    slope = (next_row - row) / (next_column - column)
    line = row[:, None] + slope[:, None] * (across - column[:, None])  # the row of each column
    distance = np.abs(across[:, None] - line[:, None].astype(np.float32))
    drawn = (across >= np.floor(column)[:, None]) & (across < np.ceil(next_column)[:, None])
    ink = 1 + np.log1p(-np.minimum(distance, 1.5) / np.float32(2.3))
    return np.asarray(np.maximum(ink, 0) * drawn[:, None], np.float32)


def _plasma(n: int, rng: np.random.Generator) -> Levels:
    """Return the corner of each of n plasma fractals of 256×256, ``(n, 28, 28)``, 0 to 1.

    Source: A. Fournier, D. Fussell and L. Carpenter, Computer rendering of stochastic models,
    Communications of the ACM 25 (1982), 371-384; the diamond-square algorithm, its edges joined.
    """
    heights, amplitude = np.zeros((n, 1, 1), np.float32), 1.0
    for _ in range(6):
        heights, amplitude = _refine(heights, amplitude, rng), amplitude / 1.4**2
    low, high = (edge(heights, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    corner = np.roll(heights, (2, 2), axis=(1, 2))[:, :12, :12]  # the last two steps, here alone
    for _ in range(2):
        corner, amplitude = _refine(corner, amplitude, rng), amplitude / 1.4**2
    return np.asarray((corner[:, 8 : 8 + SIDE, 8 : 8 + SIDE] - low) / (high - low))


def _refine(heights: Levels, amplitude: float, rng: np.random.Generator) -> Levels:
    """Double the sides: each new point is the mean of four neighbours, up to ``amplitude`` off."""

    def off() -> Levels:
        return np.asarray(amplitude * (2 * rng.random(heights.shape, np.float32) - 1))

    below, right = np.roll(heights, -1, axis=1), np.roll(heights, -1, axis=2)
    centres = (heights + below + right + np.roll(below, -1, axis=2)) / 4 + off()
    tops = (heights + right + centres + np.roll(centres, 1, axis=1)) / 4 + off()
    lefts = (heights + below + centres + np.roll(centres, 1, axis=2)) / 4 + off()
    n, side, _ = heights.shape
    rows = np.stack([np.stack([heights, tops], axis=-1), np.stack([lefts, centres], axis=-1)], 2)
    return rows.reshape(n, 2 * side, 2 * side)


def _sobel(levels: Levels, axis: int) -> Levels:
    """Return Sobel's derivative; ``ndimage.sobel`` would smooth over neighbouring images, too."""
    smooth = ndimage.correlate1d(levels, [1, 2, 1], axis=3 - axis)
    return np.asarray(ndimage.correlate1d(smooth, [-1, 0, 1], axis=axis))


def _is_crest(magnitude: Levels, at: Indices, gradient: Levels) -> npt.NDArray[np.bool_]:
    """Say where ``magnitude`` is not lower than one step up and one step down the gradient.

    Args:
        magnitude: ``(n, 28, 28)``.
        at: ``(3, k)``, the image, row and column of each pixel in question.
        gradient: ``(2, k)``, down and to the right, not 0.
    """
    step = np.zeros(at.shape)
    step[1:] = gradient / np.abs(gradient).max(axis=0, initial=0)
    beside = [ndimage.map_coordinates(magnitude, at + way * step, order=1) for way in (1, -1)]
    return np.asarray(magnitude[*at] >= np.maximum(*beside))
