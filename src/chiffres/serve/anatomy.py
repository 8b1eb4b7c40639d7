"""What a network sees: its feature maps after the first convolution and after the first pooling.

An ONNX file is a protocol buffer, and one that is followed by a second one with more outputs in its
graph is a file with those outputs: https://protobuf.dev/programming-guides/encoding/#last-one-wins.
So ONNX Runtime itself gives what flows inside the model, with nothing of it computed anew.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from chiffres.data.dataset import SIDE
from chiffres.reading.ink import Floats
from chiffres.reading.network import session_options
from chiffres.reading.onnx_checks import (
    ATTRIBUTES,
    BYTES,
    GRAPH,
    NODES,
    OPERATOR,
    fields,
    message,
    numbers,
    text,
)

MOST_MAPS = 64
"""Of more feature maps, the first are shown."""
OUTPUTS = 12  # of a graph
NAME, INPUT, OUTPUT = 1, 1, 2  # of a value or an attribute; of a node
ONE, MANY = 3, 8  # whole numbers of an attribute
_ELEMENTWISE = """
    BatchNormalization Celu Clip Elu Gelu HardSigmoid HardSwish LeakyRelu PRelu Relu Selu Sigmoid
    Softplus Softsign Tanh
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
"""What follows a convolution and still belongs to it: each number by itself."""
POOLING = {"MaxPool": "max", "AveragePool": "mean"}


@dataclass(frozen=True)
class Node:
    """An operator of a graph, with the attributes that are whole numbers."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, Sequence[int]] = field(default_factory=dict)


def graph_nodes(model: bytes) -> list[Node]:
    """Return the nodes of an ONNX file that has been checked."""
    return [
        _node(message(node))
        for number, graph in fields(memoryview(model))
        if number == GRAPH
        for kind, node in fields(message(graph))
        if kind == NODES
    ]


def _node(node: memoryview) -> Node:
    operator, attributes = "", {}
    inputs: list[str] = []
    outputs: list[str] = []
    for number, value in fields(node):
        if number == OPERATOR:
            operator = text(value)
        elif number in (INPUT, OUTPUT):
            (inputs if number == INPUT else outputs).append(text(value))
        elif number == ATTRIBUTES:
            parts = list(fields(message(value)))
            name = next((text(part) for kind, part in parts if kind == NAME), "")
            attributes[name] = [
                each for kind, part in parts if kind in (ONE, MANY) for each in numbers(part)
            ]
    return Node(operator, inputs, outputs, attributes)


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """Return the ONNX file with more of its values among its outputs."""
    values = b"".join(
        _encoded(OUTPUTS, _encoded(NAME, name.encode())) for name in dict.fromkeys(names)
    )
    return model + _encoded(GRAPH, values)


def _encoded(number: int, value: bytes) -> bytes:
    size, rest = b"", len(value)
    while rest > 127:
        size += bytes([rest & 127 | 128])
        rest >>= 7
    return bytes([number << 3 | BYTES]) + size + bytes([rest]) + value


class Anatomy:
    """Looks into a model; one thread at a time."""

    def __init__(self, model: bytes) -> None:
        """Find the first convolution and the first pooling.

        Args:
            model: an ONNX file that a :class:`chiffres.reading.Reader` takes.
        """
        nodes = graph_nodes(model)
        self._convolution = next((node for node in nodes if node.operator == "Conv"), None)
        self._pooling = next((node for node in nodes if node.operator in POOLING), None)
        self._activated = _after(nodes, self._convolution) if self._convolution else ""
        names = [*self._convolution.inputs, self._activated] if self._convolution else []
        names += [self._pooling.inputs[0], self._pooling.outputs[0]] if self._pooling else []
        own = {output for node in nodes[-1:] for output in node.outputs}
        self._session = ort.InferenceSession(
            with_outputs(model, [name for name in names if name and name not in own]),
            session_options(threads=1),
            providers=["CPUExecutionProvider"],
        )
        self._input = self._session.get_inputs()[0].name
        self._names = [output.name for output in self._session.get_outputs()]

    def shapes(self) -> dict[str, list[int] | None]:
        """Return how many feature maps there are, and their height and width, after each layer."""
        values = self._run(np.zeros((SIDE, SIDE), np.uint8))
        return {
            "convolution": list(values[self._activated].shape) if self._convolution else None,
            "pooling": list(values[self._pooling.outputs[0]].shape) if self._pooling else None,
        }

    def look(self, image: npt.NDArray[np.uint8], inspected: int | None = None) -> dict[str, Any]:
        """Return what the network sees in an image.

        Args:
            image: ``(28, 28)`` uint8, 0 = background, 255 = ink.
            inspected: the number of a feature map to return in full.
        """
        values = self._run(image)
        seen: dict[str, Any] = {
            "probabilities": [round(float(p), 6) for p in values[self._names[0]]],
            "convolution": None,
            "pooling": None,
            "inspected": None,
        }
        if self._convolution:
            seen["convolution"] = _as_grey(values[self._activated])
        if self._pooling:
            seen["pooling"] = _as_grey(values[self._pooling.outputs[0]])
        if self._convolution and inspected is not None:
            seen["inspected"] = self._inspected(self._convolution, values, inspected)
        return seen

    def _run(self, image: npt.NDArray[np.uint8]) -> dict[str, Floats]:
        """Return the values inside by name, weights as they are, the others without the batch."""
        results = self._session.run(None, {self._input: image[None]})
        weights = set(self._convolution.inputs[1:]) if self._convolution else set()
        return {
            name: result if name in weights else result[0]
            for name, result in zip(self._names, results, strict=True)
        }

    def _inspected(
        self, convolution: Node, values: Mapping[str, Floats], number: int
    ) -> dict[str, Any] | None:
        """Return all that it takes to follow the sum behind each pixel of one feature map."""
        maps = values[self._activated]
        if not 0 <= number < len(maps):
            return None
        source, weights = values[convolution.inputs[0]], values[convolution.inputs[1]]
        bias = values[convolution.inputs[2]][number] if any(convolution.inputs[2:]) else 0.0
        plain = _is_plain(convolution) and len(source) == 1
        return {
            "map": number,
            "input": _rounded(source[0]) if plain else None,
            "kernel": _rounded(weights[number, 0]) if plain else None,
            "bias": round(float(bias), 5),
            "strides": list(convolution.attributes.get("strides", (1, 1))),
            "pads": list(convolution.attributes.get("pads", (0, 0, 0, 0)))[:2],
            "activated": _rounded(maps[number]),
            "pooling": self._window(values, number),
        }

    def _window(self, values: Mapping[str, Floats], number: int) -> dict[str, Any] | None:
        """Return one feature map before and after the pooling."""
        if self._pooling is None:
            return None
        before, after = values[self._pooling.inputs[0]], values[self._pooling.outputs[0]]
        if number >= len(after) or any(self._pooling.attributes.get("pads", ())):
            return None
        size = self._pooling.attributes["kernel_shape"]
        return {
            "kind": POOLING[self._pooling.operator],
            "direct": self._pooling.inputs[0] == self._activated,
            "size": list(size),
            "strides": list(self._pooling.attributes.get("strides", (1, 1))),
            "before": _rounded(before[number]),
            "after": _rounded(after[number]),
        }


def _after(nodes: Sequence[Node], convolution: Node) -> str:
    """Return the value in which what a convolution gives ends, its activation included."""
    value = convolution.outputs[0]
    while True:
        takers = [node for node in nodes if value in node.inputs]
        if len(takers) != 1 or takers[0].operator not in ELEMENTWISE:
            return value
        value = takers[0].outputs[0]


def _is_plain(convolution: Node) -> bool:
    """Whether each sum is over one window of one image, as the lab has it."""
    attributes = convolution.attributes
    return set(attributes.get("dilations", (1,))) == {1} and "auto_pad" not in attributes


def _as_grey(maps: Floats) -> dict[str, Any]:
    """Return feature maps ``(n, height, width)`` as grey levels, one scale for all of them."""
    maps = maps[:MOST_MAPS]
    lowest, highest = min(0.0, float(maps.min())), float(maps.max())
    levels = np.rint((maps - lowest) * (255 / ((highest - lowest) or 1))).astype(np.uint8)
    return {
        "shape": list(maps.shape),
        "lowest": round(lowest, 5),
        "highest": round(highest, 5),
        "maps": base64.b64encode(levels.tobytes()).decode(),
    }


def _rounded(array: Floats) -> list[Any]:
    rounded: list[Any] = np.round(array.astype(np.float64), 4).tolist()
    return rounded
