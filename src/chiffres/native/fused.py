"""Several layers by one C kernel, where there is one: the first ones, and normalized maps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import torch

from chiffres.models.backend import keras
from chiffres.native import kernels
from chiffres.native.layers import Operation, Product, draw, is_dropout, lower_layer, value
from chiffres.native.team import Team

MOST_NONZERO = 0.5
"""The share of a batch's values up to which skipping zeros is faster than multiplying them."""


def first_layers(layers: Sequence[Any], team: Team | None) -> tuple[list[Operation], int]:
    """Return the C kernel for the first layers, and how many they are: 0 where there is none."""
    if kernels.LIBRARY and type(layers[0]) is keras.layers.Dense and layers[0].units >= 16:
        return _first_dense(layers[0]), 1
    if kernels.LIBRARY and _is_single_channel(layers[0]):
        return _first_convolution(layers, team or Team())
    return [], 0


def small_convolution(layer: Any, team: Team | None) -> list[Operation]:
    """Return the C kernel for a convolution of small maps; nothing where there is none."""
    if not (kernels.LIBRARY and team and _is_small_convolution(layer)):
        return []
    convolution, *after = lower_layer(layer, team)
    kernel, bias = layer.kernel.value, value(layer.bias)
    padding = layer.kernel_size[0] // 2 if layer.padding == "same" else 0

    def small(x: torch.Tensor) -> torch.Tensor:
        if x.dtype is not torch.float32 or torch.is_autocast_enabled("cpu"):
            return convolution(x)
        return kernels.convolve(x, kernel, bias, padding)

    return [small, *after]


def _is_small_convolution(layer: Any) -> bool:
    if type(layer) is not keras.layers.Conv2D or layer.kernel_size[0] != layer.kernel_size[1]:
        return False
    _, height, width, channels = layer.input.shape
    return (
        None not in (height, width)
        and kernels.convolves(height, width, channels, layer.filters)
        and (*layer.strides, *layer.dilation_rate, layer.groups) == (1, 1, 1, 1, 1)
        and layer.padding in ("valid", "same")
        and (layer.padding == "valid" or layer.kernel_size[0] % 2 == 1)
    )


def normalized_layers(layers: Sequence[Any], team: Team | None) -> tuple[list[Operation], int]:
    """Return the C kernel for a batch normalization with what follows, and how many layers it is.

    That is a ReLU and perhaps a pooling. There is none, and 0 layers, for any other ones, and where
    nothing is trained.
    """
    if not (kernels.LIBRARY and team and _is_normalized_relu(layers)):
        return [], 0
    normalization, pool = layers[0], len(layers) > 2 and _halves(layers[2])
    used = 2 + pool
    apart = [operation for layer in layers[:used] for operation in lower_layer(layer, team)]
    mean, variance = normalization.moving_mean.value, normalization.moving_variance.value
    scale, offset = normalization.gamma.value, normalization.beta.value
    epsilon, share = normalization.epsilon, 1 - normalization.momentum

    def together(x: torch.Tensor) -> torch.Tensor:
        if team.divides or x.dtype is not torch.float32:
            return functools.reduce(lambda maps, operation: operation(maps), apart, x)
        y, batch, spread = kernels.normalize(x, scale, offset, epsilon, pool)
        with torch.no_grad():
            mean.lerp_(batch, share)
            variance.lerp_(spread, share)
        return y

    return [together], used


def _is_normalized_relu(layers: Sequence[Any]) -> bool:
    """Whether the first layers normalize the channels of images, which ReLU follows."""
    normalization, *others = layers
    return (
        type(normalization) is keras.layers.BatchNormalization
        and normalization.trainable
        and normalization.input_spec.ndim == 4
        and normalization.axis in (-1, 3)
        and normalization.scale
        and normalization.center
        and bool(others)
        and _is_relu(others[0])
    )


def _is_relu(layer: Any) -> bool:
    if type(layer) is keras.layers.Activation:
        return inspect.unwrap(layer.activation) is keras.activations.relu
    return type(layer) is keras.layers.ReLU and (
        (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0)
    )


def mostly_zeros(x: torch.Tensor) -> bool:
    """Whether skipping the zeros of ``x`` ``(n, …)`` is worth while: some rows tell."""
    some = x[::8]
    return int(some.count_nonzero()) <= MOST_NONZERO * some.numel()


def _first_dense(layer: Any) -> list[Operation]:
    dense, *after = lower_layer(layer, None)
    kernel, bias = layer.kernel.value, value(layer.bias)

    def of_pixels(x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 2 or not mostly_zeros(x):
            return dense(x)
        product = kernels.multiply_zeros(x, kernel)
        return product if bias is None else product + bias

    return [of_pixels, *after]


def _first_convolution(layers: Sequence[Any], team: Team) -> tuple[list[Operation], int]:
    convolution, *others = layers
    lower_layer(convolution, None)  # raises where an option has no operation
    kernel, bias = convolution.kernel.value, value(convolution.bias)
    if bias is None:
        bias = torch.zeros(convolution.filters)
    pool = bool(others) and _halves(others[0])
    dropout, dense = _flattened_into(others[pool:])
    if dense and kernels.takes(convolution.filters, dense.units):
        after = lower_layer(dense, None)[1:]
        weights, offset = dense.kernel.value, value(dense.bias)

        def together(x: torch.Tensor) -> torch.Tensor:
            drop = draw(dropout, team) if dropout else kernels.KEEP_ALL
            product = kernels.conv_dense(x, kernel, bias, weights, pool, drop)
            return product if offset is None else product + offset

        return [together, *after], 3 + pool + bool(dropout)
    run = kernels.conv_relu_pool if pool else kernels.conv_relu
    return [lambda x: run(x, kernel, bias)], 1 + pool


def _is_single_channel(layer: Any) -> bool:
    """Whether ``layer`` is the convolution that the C kernels compute."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.kernel.shape[2] == 1
        and layer.kernel_size[0] == layer.kernel_size[1] <= kernels.MAX_SIZE
        and (*layer.strides, *layer.dilation_rate, layer.groups) == (1, 1, 1, 1, 1)
        and layer.padding == "valid"
        and inspect.unwrap(layer.activation) is keras.activations.relu
    )


def _halves(layer: Any) -> bool:
    """Whether ``layer`` is the pooling that the C kernels compute."""
    return type(layer) is keras.layers.MaxPooling2D and (
        (*layer.pool_size, *layer.strides, layer.padding) == (2, 2, 2, 2, "valid")
    )


def _flattened_into(layers: Sequence[Any]) -> tuple[Any, Any]:
    """Return the dropout, if any, and the dense layer that flattened maps go to, if they do."""
    dropout = layers[0] if layers and is_dropout(layers[0]) else None
    flat, *others = layers[dropout is not None :][:2] or [None]
    if type(flat) is not keras.layers.Flatten or not others:
        return None, None
    if type(others[0]) not in (keras.layers.Dense, Product):
        return None, None
    if dropout:
        lower_layer(dropout, None)
    return dropout, others[0]
