"""Keras layers as flat lists of Torch operations on the layers' own variables.

Every operation takes and returns tensors of the shapes that Keras's layer would; images stay
``(n, height, width, channels)`` in memory, Torch's channels-last.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.models.backend import keras
from chiffres.native import kernels
from chiffres.native.joint import normalize_together
from chiffres.native.team import Team

Operation = Callable[[torch.Tensor], torch.Tensor]


class Product:
    """A dense layer without its bias and activation, which the next operation applies."""

    bias = None
    activation = staticmethod(keras.activations.linear)

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)


class NotLowered(Exception):  # noqa: N818 - no error: such a model trains with plain Keras
    """Why a model keeps to plain Keras."""


def softmax(x: torch.Tensor) -> torch.Tensor:
    """Return the softmax over the last axis."""
    return torch.softmax(x, -1)


def lower_layer(layer: Any, team: Team | None) -> list[Operation]:
    """Return what one layer does, its activation included.

    Args:
        layer: built; its variables are used as they are, in place.
        team: the workers that train; None: nothing is trained.

    Raises:
        NotLowered: the layer, or one of its options, has no such operation.
    """
    kind = type(layer)
    if kind not in _LOWERINGS:
        raise NotLowered(f"the layer {layer.name!r} is a {kind.__name__}")
    for option, usual in _USUAL.items():
        if getattr(layer, option, usual) != usual:
            raise NotLowered(f"the layer {layer.name!r} has {option}={getattr(layer, option)!r}")
    if layer.dtype_policy.name != "float32":
        raise NotLowered(f"the layer {layer.name!r} computes in {layer.dtype_policy.name}")
    if any(getattr(variable, "regularizer", None) for variable in layer.variables):
        raise NotLowered(f"the layer {layer.name!r} has a regularizer")
    return _LOWERINGS[kind](layer, team)


_USUAL = {
    "data_format": "channels_last",
    "activity_regularizer": None,
    "lora_enabled": False,
    "quantization_mode": None,
    "synchronized": False,
    "noise_shape": None,
}
"""The options that an operation takes for granted, with their value."""


def _activation(function: Any) -> list[Operation]:
    function = inspect.unwrap(function)
    if function is keras.activations.linear:
        return []
    return [_ACTIVATIONS.get(function, function)]


_ACTIVATIONS: dict[Any, Operation] = {
    keras.activations.relu: torch.relu,
    keras.activations.sigmoid: torch.sigmoid,
    keras.activations.softmax: softmax,
    keras.activations.tanh: torch.tanh,
}
"""All others are called as they are: Keras's functions take tensors too."""


def _cropping(layer: Any, team: Team | None) -> list[Operation]:
    (top, bottom), (left, right) = layer.cropping
    return [lambda x: x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]]


def _dense(layer: Any, team: Team | None) -> list[Operation]:
    kernel: torch.Tensor = layer.kernel.value
    bias = value(layer.bias)

    def dense(x: torch.Tensor) -> torch.Tensor:
        if bias is not None and x.ndim == 2:
            return torch.addmm(bias, x, kernel)
        product = x @ kernel
        return product if bias is None else product + bias

    return [dense, *_activation(layer.activation)]


def _convolution(layer: Any, team: Team | None) -> list[Operation]:
    kernel, bias = layer.kernel.value, value(layer.bias)
    size, strides, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    every = (1, 1)
    if math.prod(size) == 1:  # with strides, oneDNN writes beyond its memory here: its issue 6035
        every, strides = strides, every

    def convolution(x: torch.Tensor) -> torch.Tensor:
        x = x[:, :: every[0], :: every[1]]
        padding = [0, 0]
        if layer.padding == "same":
            _, _, left, right, top, bottom = around = _same(x, size, strides, dilation)
            if (left, top) == (right, bottom):
                padding = [top, left]
            else:
                x = F.pad(x, around)
        weight = kernel.permute(3, 2, 0, 1)
        maps = F.conv2d(_first(x), weight, bias, strides, padding, dilation, layer.groups)
        return _last(maps).contiguous()

    return [convolution, *_activation(layer.activation)]


def _max_pooling(layer: Any, team: Team | None) -> list[Operation]:
    size, strides = layer.pool_size, layer.strides

    def max_pooling(x: torch.Tensor) -> torch.Tensor:
        if layer.padding == "same":
            x = F.pad(x, _same(x, size, strides), value=-math.inf)
        return _last(F.max_pool2d(_first(x), size, strides))

    return [max_pooling]


def _average_pooling(layer: Any, team: Team | None) -> list[Operation]:
    size, strides = layer.pool_size, layer.strides

    def average_pooling(x: torch.Tensor) -> torch.Tensor:
        images = _first(x)
        _, _, left, right, top, bottom = _same(x, size, strides)
        if layer.padding == "valid":
            top = left = 0
        elif left != right or top != bottom:  # Keras on Torch then repeats the edge
            images = F.pad(images, [left, right, top, bottom], mode="replicate")
            top = left = 0
        pooled = F.avg_pool2d(images, size, strides, (top, left), count_include_pad=False)
        return _last(pooled)

    return [average_pooling]


def _global_average_pooling(layer: Any, team: Team | None) -> list[Operation]:
    return [lambda x: x.mean((1, 2), keepdim=layer.keepdims)]


def _batch_normalization(layer: Any, team: Team | None) -> list[Operation]:
    if layer.axis not in (-1, layer.input_spec.ndim - 1):
        raise NotLowered(f"the layer {layer.name!r} normalizes axis {layer.axis}")
    mean, variance = layer.moving_mean.value, layer.moving_variance.value
    scale, offset = value(layer.gamma), value(layer.beta)
    epsilon, share = layer.epsilon, 1 - layer.momentum

    def frozen(x: torch.Tensor) -> torch.Tensor:
        x = x.movedim(-1, 1)
        return F.batch_norm(x, mean, variance, scale, offset, False, 0.0, epsilon).movedim(1, -1)

    def measuring(x: torch.Tensor) -> torch.Tensor:
        x = x.movedim(-1, 1)
        if team and team.divides:
            y, batch, spread = normalize_together(x, scale, offset, epsilon, team)
        else:
            y, batch, inverse = torch.native_batch_norm(
                x, scale, offset, None, None, True, 0.0, epsilon
            )
            spread = (inverse**-2 - epsilon).clamp_(min=0)
        with torch.no_grad():  # Keras keeps the variance of the batch, Torch an estimate of all's
            mean.lerp_(batch, share)
            variance.lerp_(spread, share)
        return y.movedim(1, -1)

    return [measuring if team and layer.trainable else frozen]


def _dropout(layer: Any, team: Team | None) -> list[Operation]:
    team = team or Team()

    def dropout(x: torch.Tensor) -> torch.Tensor:
        if kernels.LIBRARY:
            return kernels.dropout(x.float(), draw(layer, team))
        if not team.divides:
            return _keras_dropout(x, layer)
        factors = _keras_dropout(torch.ones((team.whole, *x.shape[1:]), dtype=x.dtype), layer)
        return x * factors[team.rows(team.whole)]

    return [dropout]


def _keras_dropout(x: torch.Tensor, layer: Any) -> torch.Tensor:
    dropped: torch.Tensor = keras.random.dropout(x, layer.rate, seed=layer.seed_generator)
    return dropped


def draw(layer: Any, team: Team) -> kernels.Drop:
    """Return what a dropout layer drops next, and let its generator go on."""
    state = layer.seed_generator.state.value
    seed, number = (int(word) % 2**32 for word in state.tolist())
    state[1] += 1
    return kernels.Drop(layer.rate, seed, number, team.first, team.whole)


def _flat(layer: Any, team: Team | None) -> list[Operation]:
    return [lambda x: x.reshape(len(x), -1)]


def _reshape(layer: Any, team: Team | None) -> list[Operation]:
    return [lambda x: x.reshape(len(x), *layer.target_shape)]


def _rescaling(layer: Any, team: Team | None) -> list[Operation]:
    scale, offset = layer.scale, layer.offset
    if not all(isinstance(each, int | float) for each in (scale, offset)):
        return [layer.call]
    return [(lambda x: x * scale + offset) if offset else (lambda x: x * scale)]


def _relu(layer: Any, team: Team | None) -> list[Operation]:
    if layer.threshold or layer.negative_slope:
        return [layer.call]
    if layer.max_value is None:
        return [torch.relu]
    return [lambda x: x.clamp(0, layer.max_value)]


def _call(layer: Any, team: Team | None) -> list[Operation]:
    return [layer.call]


_LOWERINGS: dict[type, Callable[[Any, Team | None], list[Operation]]] = {
    keras.layers.Activation: lambda layer, team: _activation(layer.activation),
    keras.layers.AveragePooling2D: _average_pooling,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Conv2D: _convolution,
    keras.layers.Cropping2D: _cropping,
    keras.layers.Dense: _dense,
    keras.layers.Dropout: _dropout,
    keras.layers.ELU: _call,
    keras.layers.Flatten: _flat,
    keras.layers.GlobalAveragePooling2D: _global_average_pooling,
    keras.layers.LeakyReLU: _call,
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.ReLU: _relu,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    Product: _dense,
}


def is_dropout(layer: Any) -> bool:
    """Whether a layer drops values at random."""
    return type(layer) is keras.layers.Dropout


def value(variable: Any) -> torch.Tensor | None:
    """Return what a variable of Keras holds, None where there is no variable."""
    return None if variable is None else variable.value


def _first(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def _same(
    x: torch.Tensor, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int] = (1, 1)
) -> list[int]:
    """Return the padding of TensorFlow's "same", as ``F.pad`` takes it: last axis first."""
    padding = [0, 0]
    for axis in (1, 0):
        length = x.shape[1 + axis]
        outputs = -(-length // strides[axis])
        reach = (outputs - 1) * strides[axis] + (size[axis] - 1) * dilation[axis] + 1
        missing = max(reach - length, 0)
        padding += [missing // 2, missing - missing // 2]
    return padding
