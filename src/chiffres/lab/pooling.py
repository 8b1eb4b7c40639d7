"""Pooling by hand: each window of an array becomes one number, its maximum or its mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from chiffres.lab.convolution import Array, feature_map_length


def max_pool_1d(array: npt.ArrayLike, size: int = 2, stride: int | None = None) -> Array:
    """Return the maximum of each window of a 1-D array.

    Args:
        array: ``(n,)`` numbers.
        size: of the window, 1 to ``n``.
        stride: how far the window moves each time; by default its size.

    Raises:
        ValueError: the window does not fit, or the stride is under 1.
    """
    return _pool_1d(np.asarray(array), size, stride, np.max)


def average_pool_1d(array: npt.ArrayLike, size: int = 2, stride: int | None = None) -> Array:
    """Return the mean of each window of a 1-D array; arguments as for ``max_pool_1d``."""
    return _pool_1d(np.asarray(array, np.float64), size, stride, np.mean)


def max_pool_2d(image: npt.ArrayLike, size: int = 2, stride: int | None = None) -> Array:
    """Return the maximum of each square window of an image ``(height, width)``."""
    return _pool_2d(np.asarray(image), size, stride, np.max)


def average_pool_2d(image: npt.ArrayLike, size: int = 2, stride: int | None = None) -> Array:
    """Return the mean of each square window of an image ``(height, width)``."""
    return _pool_2d(np.asarray(image, np.float64), size, stride, np.mean)


def _pool_1d(array: Array, size: int, stride: int | None, reduce: Callable[..., Any]) -> Array:
    stride = size if stride is None else stride
    result = np.zeros(feature_map_length(len(array), size, stride), array.dtype)
    for i in range(len(result)):
        result[i] = reduce(array[i * stride : i * stride + size])
    return result


def _pool_2d(image: Array, size: int, stride: int | None, reduce: Callable[..., Any]) -> Array:
    stride = size if stride is None else stride
    rows, columns = (feature_map_length(length, size, stride) for length in image.shape)
    result = np.zeros((rows, columns), image.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            result[i, j] = reduce(image[top : top + size, left : left + size])
    return result
