"""What each C kernel computes, in plain NumPy: made to be read, and what the fast ones must equal.

Shapes as in ``kernels.c``; float64 in, float64 out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[Any]
TILE = 64
"""Images whose dropout is drawn together, as in ``kernels.c``."""
NONE = 4
"""The winner where none of the four is above 0."""


def conv_relu(images: Array, weights: Array, bias: Array) -> Array:
    """Return the maps ``(n, rows, columns, filters)`` of images ``(n, height, width)``."""
    patches = sliding_window_view(images, weights.shape[:2], axis=(1, 2))
    maps = np.einsum("nijuv,uvf->nijf", patches, weights) + bias
    return np.where(maps <= 0, 0, maps)


def conv_relu_pool(images: Array, weights: Array, bias: Array) -> tuple[Array, Array]:
    """Return the pooled maps, and which of the four was the maximum: the first one, row by row."""
    return pooled_of(conv_relu(images, weights, bias))


def pooled_of(maps: Array) -> tuple[Array, Array]:
    """Return the maxima of 2×2 pixels, and which of the four each was: the first, row by row."""
    four = fours_of(maps)
    pooled = four.max(axis=3)
    return pooled, np.where(pooled > 0, four.argmax(axis=3), NONE).astype(np.uint8)


def fours_of(maps: Array) -> Array:
    """Return the 2×2 pixels of each maximum, row by row: ``(n, rows, columns, 4, filters)``."""
    n, rows, columns, filters = maps.shape
    rows, columns = rows // 2, columns // 2
    squares = maps[:, : 2 * rows, : 2 * columns].reshape(n, rows, 2, columns, 2, filters)
    return squares.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, 4, filters)


def conv_relu_gradients(
    images: Array, maps: Array, gradients: Array, size: int
) -> tuple[Array, Array]:
    """Return the gradients of weights ``(size, size, filters)`` and bias ``(filters,)``."""
    patches = sliding_window_view(images, (size, size), axis=(1, 2))
    above = np.where(maps > 0, gradients, 0)
    return np.einsum("nijuv,nijf->uvf", patches, above), above.sum(axis=(0, 1, 2))


def conv_relu_pool_gradients(
    images: Array, winners: Array, gradients: Array, size: int
) -> tuple[Array, Array]:
    """Return the gradients of weights and bias, from the winners alone."""
    _, height, width = images.shape
    maps = spread(winners, gradients, height - size + 1, width - size + 1)
    return conv_relu_gradients(images, np.ones_like(maps), maps, size)


def spread(winners: Array, gradients: Array, height: int, width: int) -> Array:
    """Return the gradients of maps ``(n, height, width, filters)`` from those of their maxima."""
    maps = np.zeros((len(gradients), height, width, gradients.shape[-1]), gradients.dtype)
    for winner in range(4):
        down, right = divmod(winner, 2)
        rows, columns = 2 * winners.shape[1], 2 * winners.shape[2]
        maps[:, down:rows:2, right:columns:2] = np.where(winners == winner, gradients, 0)
    return maps


def convolve(maps: Array, kernel: Array, padding: int) -> Array:
    """Return the convolution of maps ``(n, height, width, channels)`` with zeros around them."""
    return np.asarray(np.einsum("nijcuv,uvcf->nijf", _windows(maps, len(kernel), padding), kernel))


def convolve_gradients(
    maps: Array, kernel: Array, padding: int, gradients: Array
) -> tuple[Array, Array]:
    """Return the gradients of maps and kernel."""
    size = len(kernel)
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    of_kernel = np.einsum("nijcuv,nijf->uvcf", _windows(maps, size, padding), gradients)
    return convolve(gradients, turned, size - 1 - padding), of_kernel


def _windows(maps: Array, size: int, padding: int) -> Array:
    around = np.pad(maps, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return sliding_window_view(around, (size, size), axis=(1, 2))


def normalize(maps: Array, scale: Array, offset: Array, epsilon: float, pool: bool) -> Array:
    """Return maps after batch normalization, ReLU and, where asked for, 2×2 max pooling."""
    rectified = np.maximum(normal_of(maps, epsilon) * scale + offset, 0)
    return pooled_of(rectified)[0] if pool else rectified


def normalize_gradients(
    maps: Array, scale: Array, offset: Array, epsilon: float, pool: bool, gradients: Array
) -> tuple[Array, Array, Array]:
    """Return the gradients of maps, scale and offset."""
    normal = normal_of(maps, epsilon)
    rectified = np.maximum(normal * scale + offset, 0)
    if pool:
        gradients = spread(pooled_of(rectified)[1], gradients, *maps.shape[1:3])
    gradients = np.where(rectified > 0, gradients, 0)
    of_scale, of_offset = (gradients * normal).sum((0, 1, 2)), gradients.sum((0, 1, 2))
    means = (of_offset + normal * of_scale) / (maps.size / len(scale))
    factor = scale / np.sqrt(maps.var((0, 1, 2)) + epsilon)
    return factor * (gradients - means), of_scale, of_offset


def normal_of(maps: Array, epsilon: float) -> Array:
    """Return maps whose channels have a mean of 0 and a variance of 1, but for ``epsilon``."""
    mean, variance = maps.mean((0, 1, 2)), maps.var((0, 1, 2))
    return np.asarray((maps - mean) / np.sqrt(variance + epsilon))


def conv_dense(
    images: Array, weights: Array, bias: Array, dense: Array, pool: bool, factors: Array
) -> tuple[Array, Array]:
    """Return flattened maps, or pooled maps, times ``dense``, and which windows are not flat.

    A window ``(n, rows, columns)`` is flat where all its pixels are the first pixel of all. The
    flattened maps are first multiplied by ``factors``, which is what dropout does.
    """
    maps = conv_relu_pool(images, weights, bias)[0] if pool else conv_relu(images, weights, bias)
    step, side = 1 + pool, len(weights) + pool
    windows = sliding_window_view(images, (side, side), axis=(1, 2))[:, ::step, ::step]
    active = (windows != images[0, 0, 0]).any(axis=(3, 4))
    return (maps.reshape(len(maps), -1) * factors) @ dense, active


def conv_dense_gradients(
    images: Array,
    weights: Array,
    bias: Array,
    dense: Array,
    pool: bool,
    factors: Array,
    gradients: Array,
) -> tuple[Array, Array, Array]:
    """Return the gradients of weights, bias and ``dense`` from those ``(n, units)`` of outputs."""
    if pool:
        maps, kept = conv_relu_pool(images, weights, bias)
    else:
        kept = maps = conv_relu(images, weights, bias)
    back = ((gradients @ dense.T) * factors).reshape(maps.shape)
    of_maps = conv_relu_pool_gradients if pool else conv_relu_gradients
    flattened = maps.reshape(len(maps), -1) * factors
    return *of_maps(images, kept, back, len(weights)), flattened.T @ gradients


def factors(
    n: int, positions: int, filters: int, threshold: int, seed: int, draw: int
) -> npt.NDArray[np.float64]:
    """Return what dropout multiplies flattened maps ``(n, positions * filters)`` by."""
    rows = -(-n // TILE) * TILE
    stay = kept(positions * rows * filters, threshold, seed, draw) / (1 - threshold / 2**16)
    by_position = stay.reshape(positions, rows, filters)[:, :n]
    return np.asarray(by_position.transpose(1, 0, 2).reshape(n, -1))


def multiply_zeros(left: Array, right: Array) -> Array:
    """Return the product of ``left`` (rows, count) and ``right`` (count, columns)."""
    return np.asarray(left @ right)


def dense_loss(
    x: Array, labels: Array, weights: list[Array], biases: list[Array], factors: list[Array]
) -> tuple[float, Array, list[Array], list[Array], Array]:
    """Return loss, logits, and the gradients of weights, of biases and of the first product.

    The values of each layer but the last are multiplied by ``factors``, which is what dropout does.
    """
    entering, products = [x], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        products.append(entering[-1] @ weight + bias)
        if layer < len(factors):
            entering.append(np.maximum(products[-1], 0) * factors[layer])
    logits = products[-1] - products[-1].max(axis=1, keepdims=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(x))
    loss = -log_probabilities[rows, labels].mean()
    back = np.exp(log_probabilities)
    back[rows, labels] -= 1
    back /= len(x)
    of_weights: list[Array] = []
    of_biases: list[Array] = []
    for layer in reversed(range(len(weights))):
        if layer < len(factors):
            back = (back @ weights[layer + 1].T) * factors[layer] * (products[layer] > 0)
        of_weights.insert(0, entering[layer].T @ back)
        of_biases.insert(0, back.sum(axis=0))
    return float(loss), products[-1], of_weights, of_biases, back


def philox(counters: Array, key: tuple[int, int]) -> Array:
    """Return the Philox4x32-10 blocks of ``counters`` ``(n, 4)`` uint32, of the same shape.

    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
    """
    c = [counters[:, word].astype(np.uint64) for word in range(4)]
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    k = list(key)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c[0], c[2] = (b >> half) ^ c[1] ^ np.uint64(k[0]), (a >> half) ^ c[3] ^ np.uint64(k[1])
        c[1], c[3] = b & low, a & low
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return np.stack(c, axis=1).astype(np.uint32)


def kept(count: int, threshold: int, seed: int, draw: int) -> npt.NDArray[np.bool_]:
    """Return which of ``count`` values stay: those whose 16 random bits reach ``threshold``."""
    groups = -(-count // 128)
    first = np.arange(16 * groups, dtype=np.uint64)
    counters = np.zeros((len(first), 4), np.uint32)
    counters[:, 0], counters[:, 1], counters[:, 2] = first & 0xFFFFFFFF, first >> 32, draw
    words = philox(counters, (seed, 0))
    halves = np.stack([words & 0xFFFF, words >> 16], axis=2).reshape(groups, 16, 8)
    bits = halves.transpose(0, 2, 1).reshape(-1)[:count]  # value 16 q + k: half q of block k
    return np.asarray(bits >= threshold)
