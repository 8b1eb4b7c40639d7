"""Keras layers as ONNX nodes: one small function per kind of layer.

Batch normalization right after a convolution or a dense layer becomes part of its weights, and
dropout is left out. Images are never transposed: the rows of the dense weights after a Flatten are
put into the graph's order instead.

The operators: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chiffres.errors import UsageError
from chiffres.export.keras_layers import (
    Array,
    array_of,
    bias_of,
    layers_of,
    normalization,
    obstacle,
    pads,
)
from chiffres.export.onnx_activations import ACTIVATIONS, softmax
from chiffres.export.onnx_graph import Graph, is_flat
from chiffres.models.backend import BACKEND, keras


def append(graph: Graph, model: keras.Sequential) -> None:
    """Append what ``model`` does to its inputs when it is not trained.

    Raises:
        UsageError: a layer, or one of its options, has no such node.
    """
    for layer in layers_of(model):
        if why := obstacle(layer, _NODES):
            _refuse(layer, why)
        shape = tuple(layer.compute_output_shape((None, *graph.shape))[1:])
        _NODES[type(layer)](graph, layer)
        graph.shape = shape
        if hasattr(layer, "activation"):
            _activate(graph, layer)


def _refuse(layer: Any, why: str) -> None:
    raise UsageError(
        f"the layer {layer.name!r} {why}, which cannot be exported to ONNX; "
        "train a model without it, or export this one to h5 or keras"
    )


def _nothing(graph: Graph, layer: Any) -> None:
    """Append nothing: all that the layer does is its activation, or is done in training only."""


def _dense(graph: Graph, layer: Any) -> None:
    kernel, bias = array_of(layer.kernel), bias_of(layer, layer.units)
    if graph.has_images:  # the same for each pixel, so a convolution of size 1×1
        graph.add("Conv", kernel.T[:, :, None, None], bias)
    elif len(graph.shape) == 1:
        graph.add("Gemm", kernel if graph.order is None else kernel[graph.order], bias)
        graph.order = None
    else:
        graph.add("MatMul", kernel)
        graph.add("Add", bias)


def _convolution(graph: Graph, layer: Any) -> None:
    kernel = array_of(layer.kernel).transpose(3, 2, 0, 1)
    graph.add(
        "Conv", kernel, bias_of(layer, layer.filters), group=layer.groups, **_window(graph, layer)
    )


def _depthwise_convolution(graph: Graph, layer: Any) -> None:
    kernel = array_of(layer.kernel)
    _convolve_each(graph, layer, kernel, bias_of(layer, math.prod(kernel.shape[2:])))


def _separable_convolution(graph: Graph, layer: Any) -> None:
    kernel = array_of(layer.depthwise_kernel)
    _convolve_each(graph, layer, kernel, np.zeros(math.prod(kernel.shape[2:])))
    graph.add(
        "Conv",
        array_of(layer.pointwise_kernel).transpose(3, 2, 0, 1),
        bias_of(layer, layer.filters),
    )


def _convolve_each(graph: Graph, layer: Any, kernel: Array, bias: Array) -> None:
    """Append the convolution of each channel with its own kernels."""
    height, width, channels, multiplier = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    graph.add("Conv", kernel, bias, group=channels, **_window(graph, layer))


def _window(graph: Graph, layer: Any) -> dict[str, Any]:
    """Return the attributes of a convolution or pooling."""
    around = [*pads(layer, graph.shape)]
    if hasattr(layer, "pool_size"):
        return {"kernel_shape": layer.pool_size, "strides": layer.strides, "pads": around}
    return {"strides": layer.strides, "pads": around, "dilations": layer.dilation_rate}


def _max_pooling(graph: Graph, layer: Any) -> None:
    graph.add("MaxPool", **_window(graph, layer))


def _average_pooling(graph: Graph, layer: Any) -> None:
    window = _window(graph, layer)
    top, left, bottom, right = window["pads"]
    if BACKEND == "torch" and (top, left) != (bottom, right):  # Keras on Torch repeats the edge
        _pad(graph, window.pop("pads"), mode="edge")
    graph.add("AveragePool", **window)


def _zero_padding(graph: Graph, layer: Any) -> None:
    (top, bottom), (left, right) = layer.padding
    _pad(graph, [top, left, bottom, right])


def _cropping(graph: Graph, layer: Any) -> None:
    (top, bottom), (left, right) = layer.cropping
    _pad(graph, [-top, -left, -bottom, -right])


def _pad(graph: Graph, pads: list[int], **attributes: str) -> None:
    graph.add("Pad", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]), **attributes)


def _global_pooling(kind: str) -> Callable[[Graph, Any], None]:
    def pool(graph: Graph, layer: Any) -> None:
        graph.add(kind)
        if not layer.keepdims:
            graph.add("Flatten")

    return pool


def _batch_normalization(graph: Graph, layer: Any) -> None:
    if layer.axis not in (-1, len(graph.shape)):
        _refuse(layer, f"normalizes axis {layer.axis}")
    scale, offset = normalization(layer)
    if graph.nodes[-1].op_type in ("Conv", "Gemm"):
        _scale_weights(graph, scale, offset)
    elif graph.has_images:  # faster than the two operators
        as_is = np.zeros(len(scale)), np.ones(len(scale))
        graph.add("BatchNormalization", scale, offset, *as_is, epsilon=0.0)
    else:
        graph.add("Mul", graph.per_feature(scale))
        graph.add("Add", graph.per_feature(offset))


def _scale_weights(graph: Graph, scale: Array, offset: Array) -> None:
    """Let the last node give ``scale`` times what it gave, plus ``offset``."""
    _, weights, bias = graph.nodes[-1].input
    across = scale[:, None, None, None] if graph.nodes[-1].op_type == "Conv" else scale
    graph.constants[weights] = np.asarray(graph.constants[weights] * across, "f4")
    graph.constants[bias] = np.asarray(graph.constants[bias] * scale + offset, "f4")


def _rescaling(graph: Graph, layer: Any) -> None:
    for kind, values in (("Mul", layer.scale), ("Add", layer.offset)):
        array = np.asarray(values, "f4")
        if array.shape not in ((), graph.shape[-1:]):
            _refuse(layer, f"has numbers of the shape {array.shape}")
        if array.any() or kind == "Mul":
            graph.add(kind, graph.per_feature(array))


def _flatten(graph: Graph, layer: Any) -> None:
    if graph.has_images and not is_flat(graph.shape):
        places = np.arange(math.prod(graph.shape)).reshape(graph.shape)
        graph.order = places.transpose(2, 0, 1).ravel()
    if len(graph.shape) > 1:
        graph.add("Flatten")


def _reshape(graph: Graph, layer: Any) -> None:
    graph.reshape(tuple(layer.compute_output_shape((None, *graph.shape))[1:]))


def _activate(graph: Graph, layer: Any) -> None:
    function = inspect.unwrap(layer.activation)
    if function not in ACTIVATIONS:
        _refuse(layer, f"has the activation {getattr(function, '__name__', function)!r}")
    ACTIVATIONS[function](graph)


def _softmax_layer(graph: Graph, layer: Any) -> None:
    axes = np.atleast_1d(layer.axis)
    if len(axes) > 1 or axes[0] == 0:
        _refuse(layer, f"has axis={layer.axis}")
    softmax(graph, int(axes[0]))


def _relu_layer(graph: Graph, layer: Any) -> None:
    if layer.threshold:
        _refuse(layer, f"has threshold={layer.threshold}")
    if layer.negative_slope:
        graph.add("LeakyRelu", alpha=float(layer.negative_slope))
    else:
        graph.add("Relu")
    if layer.max_value is not None:
        graph.add("Min", float(layer.max_value))


_NODES: dict[type, Callable[[Graph, Any], None]] = {
    keras.layers.Activation: _nothing,
    keras.layers.AveragePooling2D: _average_pooling,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Conv2D: _convolution,
    keras.layers.Cropping2D: _cropping,
    keras.layers.Dense: _dense,
    keras.layers.DepthwiseConv2D: _depthwise_convolution,
    keras.layers.Dropout: _nothing,
    keras.layers.ELU: lambda graph, layer: graph.add("Elu", alpha=float(layer.alpha)),
    keras.layers.Flatten: _flatten,
    keras.layers.GaussianDropout: _nothing,
    keras.layers.GaussianNoise: _nothing,
    keras.layers.GlobalAveragePooling2D: _global_pooling("GlobalAveragePool"),
    keras.layers.GlobalMaxPooling2D: _global_pooling("GlobalMaxPool"),
    keras.layers.LeakyReLU: lambda graph, layer: graph.add(
        "LeakyRelu", alpha=float(layer.negative_slope)
    ),
    keras.layers.MaxPooling2D: _max_pooling,
    keras.layers.ReLU: _relu_layer,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.SeparableConv2D: _separable_convolution,
    keras.layers.Softmax: _softmax_layer,
    keras.layers.SpatialDropout2D: _nothing,
    keras.layers.ZeroPadding2D: _zero_padding,
}
