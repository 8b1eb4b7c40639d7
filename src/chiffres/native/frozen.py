"""A trained network that only answers: batch normalization is part of the convolution before it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.models.backend import keras
from chiffres.native.layers import Operation
from chiffres.native.lowering import flatten, lower_all


def freeze(model: keras.Sequential, numbers: torch.dtype) -> list[Operation]:
    """Return what ``model`` does to its inputs, one operation after the other.

    Args:
        model: built; later changes to its weights are not seen.
        numbers: what convolutions that are normalized compute with.

    Raises:
        NotLowered: a layer, or one of its options, has no such operation.
    """
    layers = list(flatten(model))
    operations: list[Operation] = []
    while layers:
        layer, *others = layers
        if others and _is_normalized(layer, others[0]):
            operations.append(_normalized(layer, others.pop(0), numbers))
        else:
            operations += lower_all([layer], None)
        layers = others
    return operations


def _is_normalized(layer: Any, after: Any) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and type(after) is keras.layers.BatchNormalization
        and after.axis in (-1, 3)
        and inspect.unwrap(layer.activation) is keras.activations.linear
        and (layer.data_format, layer.groups, tuple(layer.strides)) == ("channels_last", 1, (1, 1))
        and (layer.padding == "valid" or all(size % 2 for size in layer.kernel_size))
    )


def _normalized(layer: Any, after: Any, numbers: torch.dtype) -> Operation:
    """Return a convolution of images ``(n, height, width, channels)`` and what normalizes it."""
    with torch.no_grad():
        factor = torch.rsqrt(after.moving_variance.value + after.epsilon)
        if after.scale:
            factor *= after.gamma.value
        offset = -after.moving_mean.value * factor
        if layer.use_bias:
            offset += layer.bias.value * factor
        if after.center:
            offset += after.beta.value
        weight = (layer.kernel.value * factor).permute(3, 2, 0, 1)
        weight = weight.to(numbers, memory_format=torch.channels_last)
        offset = offset.to(numbers)
    dilation = layer.dilation_rate
    around = [step * (size // 2) for step, size in zip(dilation, layer.kernel_size, strict=True)]
    padding = around if layer.padding == "same" else [0, 0]

    def normalized(x: torch.Tensor) -> torch.Tensor:
        images = x.to(numbers).permute(0, 3, 1, 2)
        return F.conv2d(images, weight, offset, 1, padding, dilation).permute(0, 2, 3, 1)

    return normalized
