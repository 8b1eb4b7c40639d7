"""The arithmetic of the exported C code, to the bit.

With ``x`` the values of a window, ``w`` the weights of a filter, ``b`` its bias, ``f`` its factor
and ``s`` its shift, all integers::

    sum    = w₁x₁ + w₂x₂ + … + b                           fits int32 for every image
    output = 0 if sum < 0 else min((sum · f) >> s, 255)    sum · f fits uint32 for every image

That is ReLU, rounding to nearest and saturation at once: half a unit of the output is part of the
bias. The factor is 1, but where weights were trained whose unit is no power of two. Of a pool the
largest output is kept. The scores are the sums of the last layer; the answer is the first of the
highest ones.

Here products are added up in float64, whose 53 bits hold every such sum exactly, because NumPy
multiplies matrices of floats many times faster than matrices of integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from chiffres.export.c.network import (
    LARGEST,
    Array,
    Confidence,
    Convolution,
    Layer,
    Network,
    Pooling,
    Scaling,
    Window,
)

AT_ONCE = 100
"""Images: their windows take some tens of megabytes."""


class Answers(NamedTuple):
    """What ``chiffres_classify`` answers to each of n images.

    Attributes:
        scores: ``(n, 10)`` int32.
        digits: ``(n,)`` uint8, 0 to 9.
        confidence: ``(n,)`` uint16, how many of 1,000 such answers are right.
    """

    scores: npt.NDArray[np.int32]
    digits: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.uint16]


def classify(network: Network, images: npt.NDArray[np.uint8]) -> Answers:
    """Return what the exported code answers.

    Args:
        network: what is exported.
        images: ``(n, 28, 28)`` uint8, 0 = background, 255 = ink.
    """
    scores = scores_of(network, images)
    confidence = confidence_of(network.confidence, margins_of(scores))
    return Answers(scores, scores.argmax(axis=1).astype(np.uint8), confidence)


def scores_of(network: Network, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return the scores of ``images``, ``(n, 10)`` int32; see ``classify``."""
    scores = np.empty((len(images), network.layers[-1].output.size), np.int32)
    for start in range(0, len(images), AT_ONCE):
        some = images[start : start + AT_ONCE]
        *_, last = outputs(network, some)
        scores[start : start + AT_ONCE] = last.reshape(len(some), -1)
    return scores


def outputs(network: Network, images: npt.NDArray[np.uint8]) -> Iterator[Array]:
    """Yield what each layer makes of ``images``: ``(n, height, width, channels)`` integers."""
    values: Array = images
    for layer in network.layers:
        values = _apply(layer, values.reshape(len(images), *layer.shape))
        yield values


def margins_of(scores: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return by how much the highest score of each row is above the second, ``(n,)``, 0 or more."""
    highest = np.sort(scores.astype(np.int64), axis=1)
    return np.asarray(highest[:, -1] - highest[:, -2])


def confidence_of(table: Confidence, margins: npt.NDArray[np.int64]) -> npt.NDArray[np.uint16]:
    """Return the entry of the largest margin of the table that is reached, 0 where none is."""
    reached = np.searchsorted(table.margins, margins, side="right")
    return np.asarray([0, *table.permille], np.uint16)[reached]


def _apply(layer: Layer, values: Array) -> Array:
    if isinstance(layer, Convolution):
        return _convolve(layer, values)
    if isinstance(layer, Scaling):
        sums = values.astype(np.int64) * layer.weights + layer.bias
        return _shifted(sums, layer.shift)
    return _pool(layer, values)


def _convolve(layer: Convolution, values: Array) -> Array:
    windows = windows_of(values, layer.window, layer.zero)
    n, down, right = windows.shape[:3]
    matrix = layer.weights.reshape(layer.filters, -1).T.astype(np.float64)
    sums = windows.reshape(-1, layer.taps).astype(np.float64) @ matrix
    whole = sums.astype(np.int64).reshape(n, down, right, layer.filters) + layer.bias
    if layer.is_last:
        return whole.astype(np.int32)
    scaled = np.maximum(whole, 0) * layer.factor.astype(np.int64)
    return largest_of(_shifted(scaled, layer.shift), Window(layer.pool, layer.pool))


def _shifted(sums: Array, shift: Array) -> Array:
    return np.asarray(np.minimum(np.maximum(sums, 0) >> shift, LARGEST).astype(np.uint8))


def _pool(layer: Pooling, values: Array) -> Array:
    if not layer.average:
        return largest_of(values, layer.window)
    windows = windows_of(values, layer.window)
    sums = windows.sum(axis=(3, 4), dtype=np.uint64)
    half = 2 ** (Pooling.SHIFT - 1)
    return np.asarray(((sums * layer.reciprocal + half) >> Pooling.SHIFT).astype(np.uint8))


def largest_of(values: Array, window: Window) -> Array:
    """Return the largest value of each channel in each window, whatever the type of numbers."""
    if math.prod(window.size) == math.prod(window.strides) == 1:
        return values
    lowest = 0 if values.dtype == np.uint8 else -np.inf
    return np.asarray(windows_of(values, window, lowest).max(axis=(3, 4)))


def windows_of(values: Array, window: Window, around: float = 0) -> Array:
    """Return the windows of maps.

    Args:
        values: ``(n, height, width, channels)``.
        window: its size, and how it moves.
        around: the value of what is put around the maps.

    Returns:
        ``(n, down, right, rows, columns, channels)``, of the same dtype, perhaps a view.
    """
    cut, pads = ([max(sign * pad, 0) for pad in window.pads] for sign in (-1, 1))
    height, width = values.shape[1:3]
    values = values[:, cut[0] : height - cut[2], cut[1] : width - cut[3]]
    if any(pads):
        border = ((0, 0), (pads[0], pads[2]), (pads[1], pads[3]), (0, 0))
        values = np.pad(values, border, constant_values=around)
    views = np.lib.stride_tricks.sliding_window_view(values, window.size, axis=(1, 2))
    chosen = views[:, :: window.strides[0], :: window.strides[1]]
    return chosen.transpose(0, 1, 2, 4, 5, 3)
