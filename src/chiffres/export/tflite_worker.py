"""The process in which Keras runs on TensorFlow, which converts to LiteRT and interprets it.

    python -m chiffres.export.tflite_worker convert MODEL IMAGES.npy OUT.tflite
    python -m chiffres.export.tflite_worker ask FILE.tflite IMAGES.npy

Prints one JSON document, as the last line.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from chiffres.models import as_input
from chiffres.models.files import load_model


def convert(model: str, images: str, out: str) -> dict[str, Any]:
    """Write the model as int8, rounded by the images ``(n, 28, 28)`` uint8."""
    loaded = load_model(model)
    inputs = as_input(np.load(images), loaded)

    def representative() -> Iterator[list[Any]]:
        for each in inputs:
            yield [each[None]]

    loaded.export(
        out,
        format="litert",
        verbose=False,
        input_signature=[tf.TensorSpec((1, *inputs.shape[1:]), tf.float32)],
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=representative,
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    return {"file": out}


def ask(file: str, images: str) -> dict[str, Any]:
    """Return the digits that the interpreter reads, and the bytes of its values."""
    interpreter = tf.lite.Interpreter(model_path=file, num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = taken["quantization"]
    digits = []
    for image in np.load(images):
        levels = np.clip(np.rint(image.reshape(taken["shape"]) / scale) + zero, -128, 127)
        interpreter.set_tensor(taken["index"], levels.astype(np.int8))
        interpreter.invoke()
        digits.append(int(interpreter.get_tensor(given["index"])[0].argmax()))
    return {"digits": digits, "live_bytes": _live_bytes(interpreter)}


def _live_bytes(interpreter: Any) -> int:
    """Return how much the values that wait to be used take at most, with what an operator makes."""
    sizes = {
        each["index"]: math.prod(map(int, each["shape"])) * int(np.dtype(each["dtype"]).itemsize)
        for each in interpreter.get_tensor_details()
    }
    operators = interpreter._get_ops_details()
    made = {index: at for at, each in enumerate(operators) for index in each["outputs"]}
    made |= {each["index"]: -1 for each in interpreter.get_input_details()}
    used = {index: at for at, each in enumerate(operators) for index in each["inputs"]}
    live = [
        sum(sizes[index] for index in made if made[index] <= at <= used.get(index, made[index]))
        for at in range(len(operators))
    ]
    return max(live)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    print(json.dumps(convert(*arguments) if command == "convert" else ask(*arguments)))
