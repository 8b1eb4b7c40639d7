"""Digits in batches, as Keras asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from chiffres.data import Digits
from chiffres.data.forms import unusual_forms
from chiffres.data.hand import rewritten
from chiffres.data.negatives import training_negatives
from chiffres.data.touching import touching_digits
from chiffres.models import as_input, in_input_shape
from chiffres.models.backend import BACKEND, keras
from chiffres.training.loss import NOT_A_DIGIT
from chiffres.training.recipe import Recipe

Change = Callable[[Any, Any], Any]
"""What is done to a batch of images, as by an ``Augmentation``: images and a generator in."""


class Shuffled(Protocol):
    """Batches, as ``fit`` takes them, whose order is drawn from a generator of one's own."""

    def __len__(self) -> int: ...

    def shuffle(self, rng: np.random.Generator) -> None:
        """Draw a new order of the digits."""


@dataclass(frozen=True)
class Examples:
    """Digits and images of none, which are labelled ``NOT_A_DIGIT``; arrays as in ``Digits``."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


def with_additions(digits: Digits, recipe: Recipe) -> Digits | Examples:
    """Return ``digits`` and, after them, the images that the recipe adds, as shares of them.

    Those are digits in unusual forms, what is no digit (negatives, touching digits), and some of
    all of these, written anew: were digits alone, their look would say that they are digits.
    """
    if not (recipe.forms or recipe.rewritten or recipe.has_negatives):
        return digits

    def count(share: float) -> int:
        return round(share * len(digits))

    forms, labels = unusual_forms(digits, count(recipe.forms), recipe.seed)
    negatives, _ = training_negatives(count(recipe.negatives), recipe.seed)
    touching = touching_digits(digits, count(recipe.touching), recipe.seed)
    none = np.full(len(negatives) + len(touching), NOT_A_DIGIT, np.uint8)
    drawn = Examples(
        np.concatenate([digits.images, forms, negatives, touching]),
        np.concatenate([digits.labels, labels, none]),
    )
    images, labels = rewritten(drawn, count(recipe.rewritten), recipe.seed)
    return Examples(np.concatenate([drawn.images, images]), np.concatenate([drawn.labels, labels]))


def make_batches(
    examples: Digits | Examples,
    model: keras.Model,
    batch_size: int,
    augmentation: Change | None = None,
    rows: int | None = None,
) -> Shuffled:
    """Return ``examples`` as the model is fed with them fastest, in the same order everywhere.

    Args:
        examples: what the batches are of.
        model: what is fed.
        batch_size: examples per batch; the last one may have fewer.
        augmentation: what is done to each batch.
        rows: how many examples an epoch takes, the first ones of its order; None: all.
    """
    if BACKEND != "torch":
        return Batches(examples, model, batch_size, augmentation, rows)
    from chiffres.native.arrays import TensorBatches

    labels = examples.labels.astype(np.int64)
    images = in_input_shape(examples.images, model)
    return TensorBatches(images, labels, batch_size, change=augmentation, rows=rows)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """``examples`` in batches of ``batch_size``, each made when asked for.

    Batch ``i`` is ``(inputs, labels)``: float32 of the model's input shape, and ``(b,)`` int64.
    """

    def __init__(
        self,
        examples: Digits | Examples,
        model: keras.Model,
        batch_size: int,
        augmentation: Change | None = None,
        rows: int | None = None,
    ) -> None:
        super().__init__()
        self.examples = examples
        self.model = model
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.rows = len(examples) if rows is None else rows
        self.order = np.arange(len(examples))[: self.rows]
        self.seed = 0

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        start = index * self.batch_size
        chosen = self.order[start : start + self.batch_size]
        inputs = as_input(self.examples.images[chosen], self.model)
        if self.augmentation:
            import torch

            generator = torch.Generator().manual_seed(self.seed + index)
            inputs = self.augmentation(torch.from_numpy(inputs), generator).numpy()
        return inputs, self.examples.labels[chosen].astype(np.int64)

    def shuffle(self, rng: np.random.Generator) -> None:
        """Draw a new order of the examples, and what changes them."""
        self.order = rng.permutation(len(self.examples))[: self.rows]
        if self.augmentation:
            self.seed = int(rng.integers(2**62))
