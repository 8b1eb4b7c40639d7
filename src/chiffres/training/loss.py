"""The cross-entropy of a softmax, taken from its logits.

On TensorFlow, Keras takes the logits behind a final softmax by itself. On its other backends it
takes the probabilities, clipped to 1e-7: a digit less probable than that has no gradient, so it
is never learnt, and raw inputs from 0 to 255 leave many digits there. Here every backend trains
as TensorFlow does, the backend that the lab was made with.
"""

from __future__ import annotations

from typing import Any

from chiffres.models.backend import keras


def train_on_logits(model: keras.Model) -> None:
    """Let ``fit`` of this model, compiled with the sparse cross-entropy, take the logits.

    What is saved does not change: the model still ends with its softmax and its loss.
    """
    on_probabilities = model.compute_loss

    def compute_loss(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **rest: Any
    ) -> Any:
        logits = getattr(y_pred, "_keras_logits", None)
        if logits is None or sample_weight is not None:
            return on_probabilities(x, y, y_pred, sample_weight, **rest)
        losses = keras.ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return keras.ops.mean(losses)

    model.compute_loss = compute_loss
