"""What a model costs: to keep, to train and to ask, as it is shipped."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np
import onnxruntime

from chiffres.errors import UsageError
from chiffres.export.onnx_file import as_onnx
from chiffres.models.backend import keras

QUESTIONS, WARM_UP = 200, 20


class Cost(NamedTuple):
    """What a model costs.

    Attributes:
        parameters: how many numbers it has learnt.
        bytes: of its ONNX file, without optimizer; of its weights alone where it has no such form.
        epoch_seconds: the median time of an epoch of its training.
        digit_milliseconds: the median time of an answer to one digit, on one thread of ONNX
            Runtime; None where it has no such form.
    """

    parameters: int
    bytes: int
    epoch_seconds: float
    digit_milliseconds: float | None


def measure_cost(model: keras.Model, epoch_seconds: float) -> Cost:
    """Return what ``model`` costs; asks it one digit at a time, on this machine, now."""
    parameters = int(model.count_params())
    try:
        shipped = as_onnx(model).SerializeToString()
    except UsageError:  # it has a layer without an ONNX form
        return Cost(parameters, 4 * parameters, epoch_seconds, None)
    return Cost(parameters, len(shipped), epoch_seconds, 1000 * _answer_seconds(shipped))


def _answer_seconds(shipped: bytes) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(shipped, options, providers=["CPUExecutionProvider"])
    digit = np.zeros((1, 28, 28), np.uint8)
    digit[0, 4:24, 12:16] = 255
    seconds = []
    for _ in range(WARM_UP + QUESTIONS):
        started = time.perf_counter()
        session.run(None, {"images": digit})
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:])
