"""What a model answers to images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from chiffres.data.dataset import CLASSES
from chiffres.errors import ModelFileError
from chiffres.models import as_input
from chiffres.models.backend import keras
from chiffres.models.files import load_model

BATCH = 1000


def predict(
    model: keras.Model | str | Path, images: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Return the probability that the model gives to each digit of each image.

    They are computed from the logits in float64, so that a loss made of them is exact where
    float32 would round a small probability to 0.

    Args:
        model: a Keras model, or where one is: a run folder, a ``.keras`` or an ``.h5`` file.
            A model without a final softmax is given one.
        images: ``(n, 28, 28)`` uint8, 0 = background, 255 = ink.

    Returns:
        ``(n, 10)`` float64, each row 0 to 1 with the sum 1.

    Raises:
        ModelFileError: the model does not go from one 28×28 image to ten outputs.
    """
    if isinstance(model, str | Path):
        model = load_model(model)
    if model.output_shape != (None, CLASSES):
        raise ModelFileError(
            f"the model {model.name!r} gives outputs of shape {model.output_shape}; "
            f"expected (None, {CLASSES})"
        )
    if len(images) == 0:
        return np.empty((0, CLASSES))
    chunks = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    outputs = np.concatenate([_logits(model(as_input(chunk, model))) for chunk in chunks])
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return outputs
    return np.asarray(softmax(outputs, axis=1))


def _logits(outputs: Any) -> npt.NDArray[np.float64]:
    """Return what went into the model's final softmax, or its outputs where Keras kept no such."""
    logits = getattr(outputs, "_keras_logits", outputs)
    return np.asarray(keras.ops.convert_to_numpy(logits), np.float64)
