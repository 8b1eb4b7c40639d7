"""Keras's activation functions as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chiffres.export.onnx_graph import Graph
from chiffres.models.backend import keras


def softmax(graph: Graph, axis: int = -1) -> None:
    """Append the softmax over ``axis``, which counts as Keras's do: the batch is 0."""
    axis %= len(graph.shape) + 1
    graph.softmax_size = graph.shape[axis - 1]
    graph.add("Softmax", axis=(0, 2, 3, 1)[axis] if graph.has_images else axis)


def _gelu(graph: Graph) -> None:
    """Append x · (1 + erf(x / √2)) / 2, which ONNX has as one operator only from opset 20 on."""
    x = graph.value
    graph.add("Div", math.sqrt(2))
    graph.add("Erf")
    graph.add("Add", 1.0)
    graph.add("Mul", x)
    graph.add("Mul", 0.5)


def _silu(graph: Graph) -> None:
    x = graph.value
    graph.add("Sigmoid")
    graph.add("Mul", x)


def _operator(kind: str, *others: float, **attributes: float) -> Callable[[Graph], None]:
    return lambda graph: graph.add(kind, *others, **attributes)


ACTIVATIONS: dict[Any, Callable[[Graph], None]] = {
    keras.activations.elu: _operator("Elu"),
    keras.activations.exponential: _operator("Exp"),
    keras.activations.gelu: _gelu,
    keras.activations.hard_sigmoid: _operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    keras.activations.hard_silu: _operator("HardSwish"),
    keras.activations.leaky_relu: _operator("LeakyRelu", alpha=0.2),
    keras.activations.linear: lambda graph: None,
    keras.activations.relu: _operator("Relu"),
    keras.activations.relu6: _operator("Clip", 0.0, 6.0),
    keras.activations.selu: _operator("Selu"),
    keras.activations.sigmoid: _operator("Sigmoid"),
    keras.activations.silu: _silu,
    keras.activations.softmax: softmax,
    keras.activations.softplus: _operator("Softplus"),
    keras.activations.softsign: _operator("Softsign"),
    keras.activations.tanh: _operator("Tanh"),
}
"""What appends each function; linear, nothing."""
