"""Keras layers as flat lists of Torch operations on the layers' own variables.

Every operation takes and returns tensors of the shapes that Keras's layer would; images stay
``(n, height, width, channels)`` in memory, Torch's channels-last.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.models.backend import keras
from chiffres.native import kernels
from chiffres.native.joint import normalize_together
from chiffres.native.team import Team

Operation = Callable[[torch.Tensor], torch.Tensor]
MOST_NONZERO = 0.5
"""The share of a batch's values up to which skipping zeros is faster than multiplying them."""


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


def lower(model: keras.Sequential, training: bool, team: Team | None = None) -> list[Operation]:
    """Return what ``model`` does to its inputs, one operation after the other.

    Args:
        model: built; its variables are used as they are, in place.
        training: whether dropout drops and batch normalization measures the batch.
        team: the workers that do so together; None: this one alone.

    Raises:
        NotLowered: a layer, or one of its options, has no such operation.
    """
    return lower_all(flatten(model), (team or Team()) if training else None)


def lower_all(layers: Iterable[Any], team: Team | None) -> list[Operation]:
    """Return what ``layers``, the first ones of a model, do one after the other; see ``lower``.

    Args:
        layers: layers without a model among them.
        team: the workers that train; None: nothing is trained.
    """
    layers = [layer for layer in layers if team or not _is_dropout(layer)]
    operations: list[Operation] = []
    inputs_only = True  # no weight before this layer, so nothing needs its input's gradient
    while layers:
        fused, used = _first_layers(layers, team) if inputs_only else ([], 0)
        if not used:
            fused, used = _lower(layers[0], team), 1
        inputs_only = inputs_only and not any(layer.weights for layer in layers[:used])
        operations += fused
        del layers[:used]
    return operations


def softmax(x: torch.Tensor) -> torch.Tensor:
    """Return the softmax over the last axis."""
    return torch.softmax(x, -1)


def flatten(model: keras.Sequential) -> Iterator[Any]:
    """Yield the layers of ``model`` and of the models inside it, in order.

    A dropout that drops nothing is left out; Keras gives it no generator to draw from.
    """
    for layer in model.layers:
        if type(layer) is keras.Sequential:
            yield from flatten(layer)
        elif _is_dropout(layer) and not layer.rate:
            continue
        elif type(layer) is not keras.layers.InputLayer:
            yield layer


def _lower(layer: Any, team: Team | None) -> list[Operation]:
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


def _dense(layer: Any, team: Team | None) -> list[Operation]:
    kernel: torch.Tensor = layer.kernel.value
    bias = _value(layer.bias)

    def dense(x: torch.Tensor) -> torch.Tensor:
        if bias is not None and x.ndim == 2:
            return torch.addmm(bias, x, kernel)
        product = x @ kernel
        return product if bias is None else product + bias

    return [dense, *_activation(layer.activation)]


def _convolution(layer: Any, team: Team | None) -> list[Operation]:
    kernel, bias = layer.kernel.value, _value(layer.bias)
    size, strides, dilation = layer.kernel_size, layer.strides, layer.dilation_rate

    def convolution(x: torch.Tensor) -> torch.Tensor:
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
    scale, offset = _value(layer.gamma), _value(layer.beta)
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


def _first_layers(layers: Sequence[Any], team: Team | None) -> tuple[list[Operation], int]:
    """Return the C kernel for the first layers, and how many they are: 0 where there is none."""
    if kernels.LIBRARY and type(layers[0]) is keras.layers.Dense and layers[0].units >= 16:
        return _first_dense(layers[0]), 1
    if kernels.LIBRARY and _is_single_channel(layers[0]):
        return _first_convolution(layers, team or Team())
    return [], 0


def mostly_zeros(x: torch.Tensor) -> bool:
    """Whether skipping the zeros of ``x`` ``(n, …)`` is worth while: some rows tell."""
    some = x[::8]
    return int(some.count_nonzero()) <= MOST_NONZERO * some.numel()


def _first_dense(layer: Any) -> list[Operation]:
    dense, *after = _lower(layer, None)
    kernel, bias = layer.kernel.value, _value(layer.bias)

    def of_pixels(x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 2 or not mostly_zeros(x):
            return dense(x)
        product = kernels.multiply_zeros(x, kernel)
        return product if bias is None else product + bias

    return [of_pixels, *after]


def _first_convolution(layers: Sequence[Any], team: Team) -> tuple[list[Operation], int]:
    convolution, *others = layers
    _lower(convolution, None)  # raises where an option has no operation
    kernel, bias = convolution.kernel.value, _value(convolution.bias)
    if bias is None:
        bias = torch.zeros(convolution.filters)
    pool = bool(others) and _halves(others[0])
    dropout, dense = _flattened_into(others[pool:])
    if dense and kernels.takes(convolution.filters, dense.units):
        after = _lower(dense, None)[1:]
        weights, offset = dense.kernel.value, _value(dense.bias)

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


def _is_dropout(layer: Any) -> bool:
    return type(layer) is keras.layers.Dropout


def _halves(layer: Any) -> bool:
    """Whether ``layer`` is the pooling that the C kernels compute."""
    return type(layer) is keras.layers.MaxPooling2D and (
        (*layer.pool_size, *layer.strides, layer.padding) == (2, 2, 2, 2, "valid")
    )


def _flattened_into(layers: Sequence[Any]) -> tuple[Any, Any]:
    """Return the dropout, if any, and the dense layer that flattened maps go to, if they do."""
    dropout = layers[0] if layers and _is_dropout(layers[0]) else None
    flat, *others = layers[dropout is not None :][:2] or [None]
    if type(flat) is not keras.layers.Flatten or not others:
        return None, None
    if type(others[0]) not in (keras.layers.Dense, Product):
        return None, None
    if dropout:
        _lower(dropout, None)
    return dropout, others[0]


def _value(variable: Any) -> torch.Tensor | None:
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
