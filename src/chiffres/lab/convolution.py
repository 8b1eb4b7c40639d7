"""Convolution by hand: a kernel slides over an array, and each stop gives one sum of products.

As in every deep-learning library, the kernel is not flipped (mathematicians call this operation
cross-correlation).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def feature_map_length(length: int, kernel_length: int, stride: int = 1) -> int:
    """Return how many stops a kernel makes on an array.

    With a stride of 1 it is the lab's formula: length - kernel length + 1.

    Raises:
        ValueError: the kernel is empty or longer than the array, or the stride is under 1.
    """
    if not 1 <= kernel_length <= length:
        raise ValueError(f"a kernel of {kernel_length} does not fit on an array of {length}")
    if stride < 1:
        raise ValueError(f"the stride is {stride}; it must be at least 1")
    return (length - kernel_length) // stride + 1


def convolve_1d(
    array: npt.ArrayLike, kernel: npt.ArrayLike, stride: int = 1, *, trace: bool = False
) -> Array:
    """Return the feature map of a 1-D array.

    Args:
        array: ``(n,)`` numbers.
        kernel: ``(k,)`` numbers, ``k <= n``.
        stride: how far the kernel moves each time.
        trace: print a line for each stop: kernel * subset = sum.

    Raises:
        ValueError: as ``feature_map_length``.
    """
    array, kernel = np.asarray(array), np.asarray(kernel)
    length = feature_map_length(len(array), len(kernel), stride)
    feature_map = np.zeros(length, np.result_type(array, kernel))
    for i in range(length):
        subset = array[i * stride : i * stride + len(kernel)]
        feature_map[i] = (kernel * subset).sum()
        if trace:
            print(kernel, "*", subset, "=", feature_map[i])
    return feature_map


def convolve_2d(image: npt.ArrayLike, kernel: npt.ArrayLike, stride: int = 1) -> Array:
    """Return the feature map of a 2-D image.

    Args:
        image: ``(height, width)`` numbers.
        kernel: ``(k, l)`` numbers, no larger than the image.
        stride: how far the kernel moves each time, down and to the right.

    Raises:
        ValueError: as ``feature_map_length``.
    """
    image, kernel = np.asarray(image), np.asarray(kernel)
    height, width = kernel.shape
    rows = feature_map_length(image.shape[0], height, stride)
    columns = feature_map_length(image.shape[1], width, stride)
    feature_map = np.zeros((rows, columns), np.result_type(image, kernel))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            feature_map[i, j] = (kernel * image[top : top + height, left : left + width]).sum()
    return feature_map
