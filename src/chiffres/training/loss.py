"""The cross-entropy of a softmax, taken from its logits.

On TensorFlow, Keras takes the logits behind a final softmax by itself. On its other backends it
takes the probabilities, clipped to 1e-7: a digit less probable than that has no gradient, so it
is never learnt, and raw inputs from 0 to 255 leave many digits there. Here every backend trains
as TensorFlow does, the backend that the lab was made with.
"""

from __future__ import annotations

import functools
from typing import Any

from chiffres.models.backend import keras


def train_on_logits(model: keras.Model) -> None:
    """Let ``fit`` of this model, compiled with the sparse cross-entropy, take the logits.

    What is saved does not change: the model still ends with its softmax and its loss.
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
        losses = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return keras.ops.mean(losses)

    last.activation = keeping_logits
    model.compute_loss = compute_loss
