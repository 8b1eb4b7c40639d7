"""An ONNX graph under construction, from images to whatever the last layer gives.

Images lie ``(n, channels, height, width)`` in it, as ONNX's convolutions take them. Where Keras
flattens them they stay in that order, and what order that is is kept for the layer after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]


@dataclass
class Graph:
    """A chain of nodes under construction, each fed by the one before.

    Attributes:
        value: the name of what the last node gives.
        shape: its shape as Keras has it, ``(height, width, channels)`` for images; without the
            batch.
        nodes: from the first to the last.
        constants: the nodes' weights by name, float32 or, for shapes, int64.
        order: where flattened features do not lie as in Keras: the place in Keras of each.
        softmax_size: how many numbers the last softmax brought to the sum 1; 0 without any.
    """

    value: str
    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    order: Array | None = None
    softmax_size: int = 0

    @property
    def has_images(self) -> bool:
        """Whether the chain's end is images, so with their channels before height and width."""
        return len(self.shape) == 3

    def add(self, kind: str, *others: str | Array | float, **attributes: Any) -> None:
        """Append a node that takes the chain's end and then ``others``, values by name or not."""
        output = f"{kind}_{len(self.nodes)}"
        inputs = [self.value]
        for other in others:
            name = other if isinstance(other, str) else f"{output}_{len(inputs)}"
            inputs.append(name)
            if not isinstance(other, str):
                array = np.asarray(other)
                whole = np.issubdtype(array.dtype, np.integer)
                self.constants[name] = np.ascontiguousarray(array, np.int64 if whole else "f4")
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        self.value = output

    def reshape(self, shape: tuple[int, ...]) -> None:
        """Give each example the new ``shape``, its numbers in the order that Keras has them."""
        if shape == self.shape:
            return
        self.sort()
        if self.has_images and not is_flat(self.shape):
            self.add("Transpose", perm=[0, 2, 3, 1])
        self.shape = shape
        if self.has_images and is_flat(shape):
            self.add("Reshape", np.array([0, shape[2], *shape[:2]]))  # 0: as many as there are
            return
        self.add("Reshape", np.array([0, *shape]))
        if self.has_images:
            self.add("Transpose", perm=[0, 3, 1, 2])

    def sort(self) -> None:
        """Put flattened features in the order that Keras has them."""
        if self.order is not None:
            self.add("Gather", np.argsort(self.order), axis=1)
            self.order = None

    def per_feature(self, values: Array) -> Array:
        """Return one value, or one per feature of Keras's last axis, as the chain's end has it."""
        if values.ndim == 0:
            return values
        if self.order is not None:
            values = values[self.order]
        return values[:, None, None] if self.has_images else values

    def protobuf(
        self, images: onnx.ValueInfoProto, outputs: onnx.ValueInfoProto
    ) -> onnx.GraphProto:
        """Return the graph that takes ``images`` and gives the last node's value as ``outputs``."""
        self.nodes[-1].output[0] = outputs.name
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        return helper.make_graph(self.nodes, "chiffres", [images], [outputs], constants)


def is_flat(shape: tuple[int, ...]) -> bool:
    """Whether images lie in memory alike with their channels first and last."""
    return shape[2] == 1 or shape[:2] == (1, 1)
