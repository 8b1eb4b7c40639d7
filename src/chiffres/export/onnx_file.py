"""One ``.onnx`` file, complete in itself: grey levels in, probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import chiffres
from chiffres.data.dataset import CLASSES, SIDE
from chiffres.errors import MissingExtraError, UsageError
from chiffres.evaluation.predict import predict
from chiffres.export.keras_files import output_path
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.models.strings import reads_strings
from chiffres.storage import replacing
from chiffres.training.run import Run

if TYPE_CHECKING:
    import onnx

    from chiffres.export.onnx_graph import Graph

OPSET, IR_VERSION = 17, 8
"""Of 2022, which all that reads ONNX files knows by now."""
KEEP_SUM = {"AveragePool", "Flatten", "Gather", "GlobalAveragePool", "Reshape", "Transpose"}
"""The nodes after which what summed to 1 over the channels still does."""
STRIPS = "(n, 28, width) uint8, 0 = background, 255 = ink, of any even width"
ANSWERS = "(n, 11, 1, width / 2) float32: that no digit has its middle there, that a 0 has, …"
IMAGES = "(n, 28, 28) uint8, 0 = background, 255 = ink"
PROBABILITIES = "(n, 10) float32, of each digit from 0 to 9"


def export_onnx(model: Path, out: Path | None = None) -> Path:
    """Write the model as one ONNX file, from grey levels to probabilities.

    Its input ``images`` is ``(n, 28, 28)`` uint8, 0 = background, 255 = ink, for any ``n``; its
    output ``probabilities`` is ``(n, 10)`` float32, each row 0 to 1 with the sum 1. A model without
    a final softmax is given one. Where ``model`` is a run folder, the file's metadata have what it
    was trained with, ``recipe`` (TOML), ``dataset`` and ``dataset_sha256``, and, once calibrated,
    the ``threshold`` below which an answer is better refused, 0 to 1.

    Raises:
        MissingExtraError: the package onnx is not installed.
        ModelFileError: the model does not go from one 28×28 image to ten outputs.
        UsageError: it is no Sequential, or has a layer that cannot be exported.
    """
    content = onnx_bytes(model)
    path = output_path(model, out, ".onnx")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def onnx_bytes(model: Path) -> bytes:
    """Return what :func:`export_onnx` writes; it raises the same errors."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("converting to ONNX", "train", error.name) from error

    protobuf = as_onnx(load_model(model))
    onnx.helper.set_model_props(protobuf, _metadata(model))
    return bytes(protobuf.SerializeToString())


def as_onnx(model: keras.Model) -> onnx.ModelProto:
    """Return the model as :func:`export_onnx` writes it, without metadata."""
    from onnx import TensorProto, helper

    from chiffres.export import onnx_layers
    from chiffres.export.onnx_graph import Graph

    if reads_strings(model):
        return _strings_as_onnx(model)
    predict(model, np.zeros((1, 28, 28), np.uint8))  # raises where it takes or gives another shape
    if not isinstance(model, keras.Sequential):
        raise UsageError(
            f"the model {model.name!r} is a {type(model).__name__}; only a Sequential can be "
            "exported to ONNX, others to h5 or keras"
        )
    graph = Graph("images", (28, 28))
    graph.add("Cast", to=TensorProto.FLOAT)
    graph.reshape(model.input_shape[1:])
    onnx_layers.append(graph, model)
    graph.sort()
    if graph.nodes[-1].op_type == "Sigmoid":  # for predict, too, the logits are what went into it
        graph.value = graph.nodes.pop().input[0]
    if not _gives_probabilities(graph):
        graph.add("Softmax", axis=1)
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 28, 28], IMAGES)
    probabilities = helper.make_tensor_value_info(
        "probabilities", TensorProto.FLOAT, ["n", CLASSES], PROBABILITIES
    )
    return _complete(graph.protobuf(images, probabilities))


def _strings_as_onnx(model: keras.Sequential) -> onnx.ModelProto:
    """Return a model that reads strings of digits along strips of any width."""
    from onnx import TensorProto, helper

    from chiffres.export import onnx_layers
    from chiffres.export.onnx_graph import Graph

    graph = Graph("strips", (SIDE, SIDE, 1))  # of another width the nodes would be the same
    graph.add("Cast", to=TensorProto.FLOAT)
    graph.add("Unsqueeze", np.array([1]))
    onnx_layers.append(graph, model)
    strips = helper.make_tensor_value_info("strips", TensorProto.UINT8, ["n", 28, "width"], STRIPS)
    answers = helper.make_tensor_value_info(
        "answers", TensorProto.FLOAT, ["n", 1 + CLASSES, 1, "answers"], ANSWERS
    )
    return _complete(graph.protobuf(strips, answers))


def _complete(graph: onnx.GraphProto) -> onnx.ModelProto:
    from onnx import helper

    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="chiffres",
        producer_version=chiffres.__version__,
    )


def _gives_probabilities(graph: Graph) -> bool:
    """Whether the ten outputs come out of one softmax, and keep its sum."""
    for node in reversed(graph.nodes):
        if node.op_type not in KEEP_SUM:
            return node.op_type == "Softmax" and graph.softmax_size == CLASSES
    return False


def _metadata(model: Path) -> dict[str, str]:
    """Return what is known of the training, empty for a file that is in no run folder."""
    run = Run(model)
    if not run.exists:
        return {}
    dataset = run.environment().get("dataset", {})
    calibration = run.metrics().get("calibration") or {}
    known = {
        "recipe": run.recipe().toml(),
        "dataset": dataset.get("name"),
        "dataset_sha256": dataset.get("sha256"),
        "threshold": calibration.get("threshold"),
    }
    return {key: str(value) for key, value in known.items() if value is not None}
