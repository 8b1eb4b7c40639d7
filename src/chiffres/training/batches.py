"""Digits in batches, as Keras asks for them."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chiffres.data import Digits
from chiffres.models import as_input, in_input_shape
from chiffres.models.backend import BACKEND, keras


class Shuffled(Protocol):
    """Batches, as ``fit`` takes them, whose order is drawn from a generator of one's own."""

    def __len__(self) -> int: ...

    def shuffle(self, rng: np.random.Generator) -> None:
        """Draw a new order of the digits."""


def make_batches(digits: Digits, model: keras.Model, batch_size: int) -> Shuffled:
    """Return ``digits`` as the model is fed with them fastest, in the same order everywhere."""
    if BACKEND != "torch":
        return Batches(digits, model, batch_size)
    from chiffres.native.arrays import TensorBatches

    labels = digits.labels.astype(np.int64)
    return TensorBatches(in_input_shape(digits.images, model), labels, batch_size)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """``digits`` in batches of ``batch_size``, each made when asked for.

    Batch ``i`` is ``(inputs, labels)``: float32 of the model's input shape, and ``(b,)`` int64.
    """

    def __init__(self, digits: Digits, model: keras.Model, batch_size: int) -> None:
        super().__init__()
        self.digits = digits
        self.model = model
        self.batch_size = batch_size
        self.order = np.arange(len(digits))

    def __len__(self) -> int:
        return math.ceil(len(self.digits) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        start = index * self.batch_size
        chosen = self.order[start : start + self.batch_size]
        return (
            as_input(self.digits.images[chosen], self.model),
            self.digits.labels[chosen].astype(np.int64),
        )

    def shuffle(self, rng: np.random.Generator) -> None:
        """Draw a new order of the digits."""
        self.order = rng.permutation(len(self.digits))
