"""Small networks as ONNX files, to look into."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Floats = npt.NDArray[np.float32]
MAPS = 4


def weights() -> tuple[Floats, Floats]:
    """Return the kernels ``(4, 1, 3, 3)`` and the biases ``(4,)`` of the convolution."""
    rng = np.random.default_rng(5)
    return rng.normal(0, 1, (MAPS, 1, 3, 3)).astype("f4"), rng.normal(0, 0.1, MAPS).astype("f4")


def convolutional() -> bytes:
    """Return the lab's conv-pool in small: convolution, ReLU, max pooling, ten outputs."""
    kernels, biases = weights()
    rng = np.random.default_rng(6)
    nodes = [
        helper.make_node("Mul", ["levels", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "kernels", "biases"], ["sums"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["sums"], ["maps"]),
        helper.make_node("MaxPool", ["maps"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    constants = {
        "scale": np.array([1 / 255], np.float32),
        "kernels": kernels,
        "biases": biases,
        "dense": rng.normal(0, 0.05, (MAPS * 13 * 13, 10)).astype("f4"),
    }
    return _model([1, 28, 28], nodes, constants)


def dense() -> bytes:
    """Return a network without any convolution."""
    nodes = [helper.make_node("Flatten", ["levels"], ["features"])]
    rng = np.random.default_rng(7)
    return _model([784], nodes, {"dense": rng.normal(0, 0.01, (784, 10)).astype("f4")})


def _model(
    shape: list[int], nodes: list[onnx.NodeProto], constants: dict[str, npt.NDArray[np.float32]]
) -> bytes:
    first = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "shape"], ["levels"]),
    ]
    last = [
        helper.make_node("MatMul", ["features", "dense"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    arrays = {"shape": np.array([0, *shape]), **constants}
    graph = helper.make_graph(
        [*first, *nodes, *last],
        "small",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 28, 28])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
