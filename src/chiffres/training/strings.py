"""Strings of digits in batches, as Keras asks for them: written anew for each epoch."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from chiffres.data import Dataset, Digits
from chiffres.data.forms import unusual_forms
from chiffres.data.negatives import training_negatives
from chiffres.data.strings import String, write_string
from chiffres.data.strips import stacked
from chiffres.data.strokes import CONTOUR
from chiffres.models.backend import keras
from chiffres.training.recipe import Recipe

AT_ONCE = 16
"""Batches whose strings are sorted by width, so that each is of strings about as wide."""
FEWEST = 12
"""Pixels of ink that what is no digit has at least."""


def strings_of(recipe: Recipe, dataset: Dataset) -> tuple[StringBatches, StringBatches]:
    """Return the strings that a recipe trains and validates with."""
    train, validation = (
        StringBatches(digits, recipe.batch_size, recipe.seed, recipe.forms, recipe.negatives)
        for digits in (dataset.train, dataset.validation)
    )
    return train, validation


class StringBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Strings written with ``digits``, in as many batches as those would make.

    Batch ``i`` is ``(strips, answers)``: ``(b, 28, width, 1)`` float32, 0 to 255, and
    ``(b, 1, width / 2)`` int64, as ``chiffres.data.strings.String`` has them.
    """

    def __init__(
        self, digits: Digits, batch_size: int, seed: int, forms: float = 0, negatives: float = 0
    ) -> None:
        """Choose what is written with.

        Args:
            digits: whose handwriting it is.
            batch_size: strings in a batch.
            seed: of all chance, until ``shuffle`` draws another.
            forms: how many digits in unusual forms there are besides, as a share of the digits.
            negatives: likewise, how many images of no digit.
        """
        super().__init__()
        count = len(digits)
        forms_, values = unusual_forms(digits, round(forms * count), seed)
        self.digits = _inked(
            Digits(np.concatenate([digits.images, forms_]), np.concatenate([digits.labels, values]))
        )
        none = training_negatives(max(1, round(negatives * count)), seed)[0]
        self.no_digits = none[_ink(none) >= FEWEST]
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.pool: tuple[tuple[int, int], list[list[String]]] | None = None

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        strings = self.written(index)
        strips = stacked([string.strip for string in strings]).astype(np.float32)[..., None]
        answers = np.zeros((len(strings), strips.shape[2] // 2), np.int64)
        for row, string in zip(answers, strings, strict=True):
            row[: len(string.answers)] = string.answers
        return strips, answers[:, None]

    def written(self, index: int) -> list[String]:
        """Return the strings of batch ``index``."""
        return self._pool(index // AT_ONCE)[index % AT_ONCE]

    def shuffle(self, rng: np.random.Generator) -> None:
        """Draw what is written next."""
        self.seed = int(rng.integers(2**62))

    def _pool(self, number: int) -> list[list[String]]:
        """Return some batches, which are kept until others are asked for."""
        key = (self.seed, number)
        if self.pool is None or self.pool[0] != key:
            rng = np.random.default_rng([self.seed, number])
            written = [
                write_string(rng, self.digits, self.no_digits)
                for _ in range(AT_ONCE * self.batch_size)
            ]
            written.sort(key=lambda string: string.strip.shape[1])
            starts = self.batch_size * rng.permutation(AT_ONCE)
            self.pool = key, [written[start : start + self.batch_size] for start in starts]
        return self.pool[1]


def _ink(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    return np.asarray((images >= CONTOUR).sum(axis=(1, 2)))


def _inked(digits: Digits) -> Digits:
    return digits.take(np.flatnonzero(_ink(digits.images) > 0))
