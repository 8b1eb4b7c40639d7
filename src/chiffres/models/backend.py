"""Keras, with its backend chosen: ``KERAS_BACKEND`` where it is set, else Torch.

Import ``keras`` from here and nowhere else, so that the choice is made before Keras makes its own.
"""

from __future__ import annotations

import os

from chiffres.errors import MissingExtraError, UsageError

BACKENDS = {"torch": "train", "tensorflow": "tensorflow", "jax": "jax"}
"""Each backend that Chiffres trains on, and the extra that installs it."""

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up notices

try:
    import keras
except ImportError as error:
    chosen = os.environ["KERAS_BACKEND"]
    raise MissingExtraError(
        f"training (KERAS_BACKEND={chosen})", BACKENDS.get(chosen, "train"), error.name
    ) from error
except ValueError as error:
    raise UsageError(f"KERAS_BACKEND: {error}; use one of {', '.join(BACKENDS)}") from error

BACKEND: str = keras.backend.backend()

if BACKEND == "torch":
    import torch

    # Raw 0–255 inputs saturate the softmax; the denormal gradients that follow halve the speed.
    torch.set_flush_denormal(True)

__all__ = ["BACKEND", "BACKENDS", "keras"]
