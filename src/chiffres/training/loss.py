"""The cross-entropy of a softmax, taken from its logits.

On TensorFlow, Keras takes the logits behind a final softmax by itself. On its other backends it
takes the probabilities, clipped to 1e-7: a digit less probable than that has no gradient, so it
is never learnt, and raw inputs from 0 to 255 leave many digits there. Here every backend trains
as TensorFlow does, the backend that the lab was made with.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import CLASSES
from chiffres.models.backend import BACKEND, keras

NOT_A_DIGIT = CLASSES
"""The label of an image that no digit is to be read in."""
Loss = Callable[[Any, Any], Any]


def crossentropy(labels: Any, logits: Any, smoothing: float = 0.0) -> Any:
    """Return the mean cross-entropy, where ``NOT_A_DIGIT`` is to make all digits as probable.

    Args:
        labels: ``(n,)`` or ``(n, 1)`` integers, 0 to 10.
        logits: ``(n, 10)`` float32.
        smoothing: the share of each target, 0 to below 1, that is spread over all digits.
            Source: C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
            CVPR 2016. For images of no digit: D. Hendrycks, M. Mazeika and T. Dietterich, Deep
            Anomaly Detection with Outlier Exposure, ICLR 2019.
    """
    if BACKEND == "torch":
        import torch

        rows = torch.as_tensor(labels).reshape(-1).long()
        targets = torch.from_numpy(_targets(smoothing))[rows]
        return torch.nn.functional.cross_entropy(torch.as_tensor(logits), targets)
    table = keras.ops.convert_to_tensor(_targets(smoothing))
    targets = keras.ops.take(table, keras.ops.reshape(labels, (-1,)), axis=0)
    losses = keras.ops.categorical_crossentropy(targets, logits, from_logits=True)
    return keras.ops.mean(losses)


@functools.cache
def _targets(smoothing: float) -> npt.NDArray[np.float32]:
    """Return the probabilities to be learnt for each label, ``(11, 10)``.

    An array: a tensor that JAX or TensorFlow made while tracing a function is lost outside it.
    """
    table = np.eye(NOT_A_DIGIT + 1, CLASSES) * (1 - smoothing) + smoothing / CLASSES
    table[NOT_A_DIGIT] = 1 / CLASSES
    return table.astype(np.float32)


def train_on_logits(model: keras.Model, training_loss: Loss | None = None) -> None:
    """Let ``fit`` of this model, compiled with the sparse cross-entropy, take the logits.

    What is saved does not change: the model still ends with its softmax and its loss.

    Args:
        model: layers in a row.
        training_loss: of labels and logits, what is minimised in place of the cross-entropy.
    """
    on_probabilities = model.compute_loss
    last = model.layers[-1]
    softmax = last.activation
    kept: list[tuple[Any, Any]] = []

    # Keras hangs the logits on the softmax's output, where it can: JAX's tracers take no attribute.
    @functools.wraps(softmax)  # the model is saved with the name of its activation
    def keeping_logits(logits: Any) -> Any:
        outputs = softmax(logits)
        kept[:] = [(outputs, logits)]
        return outputs

    def compute_loss(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **rest: Any
    ) -> Any:
        outputs, logits = kept.pop() if kept else (None, None)
        if outputs is not y_pred or sample_weight is not None:
            return on_probabilities(x, y, y_pred, sample_weight, **rest)
        if training_loss and rest.get("training"):
            return training_loss(y, logits)
        losses = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return keras.ops.mean(losses)

    last.activation = keeping_logits
    model.compute_loss = compute_loss
