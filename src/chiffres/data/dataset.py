"""What a dataset is: labelled digits, cut into training, validation and test parts."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from chiffres.errors import DatasetError, UnknownNameError

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
PartName = Literal["train", "validation", "test"]

CLASSES = 10
SIDE = 28
SPLIT_SEED = 42
"""The lab's ``random_state`` of every split."""


class Labelled(Protocol):
    """Images with a label each, as in ``Digits``; others than digits may be among them."""

    @property
    def images(self) -> Images:
        """``(n, 28, 28)`` uint8, 0 = background, 255 = ink."""

    @property
    def labels(self) -> Labels:
        """``(n,)`` uint8."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Labelled images of digits.

    Attributes:
        images: ``(n, 28, 28)`` uint8, 0 = background, 255 = ink.
        labels: ``(n,)`` uint8, each 0 to 9.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        """Raise DatasetError with the bare fact where shape, dtype or range is not as stated."""
        if self.images.ndim != 3 or self.images.shape[1:] != (SIDE, SIDE):
            raise DatasetError(f"expected images of shape (n, 28, 28), found {self.images.shape}")
        if self.images.dtype != np.uint8:
            raise DatasetError(f"expected images of dtype uint8, found {self.images.dtype}")
        if self.labels.shape != self.images.shape[:1]:
            raise DatasetError(
                f"expected one label per image ({len(self.images)}), "
                f"found labels of shape {self.labels.shape}"
            )
        if self.labels.dtype.kind not in "ui":
            raise DatasetError(f"expected integer labels, found dtype {self.labels.dtype}")
        if not len(self.labels):
            raise DatasetError("expected at least one digit, found none")
        if self.labels.min() < 0 or self.labels.max() >= CLASSES:
            raise DatasetError(
                "expected labels from 0 to 9, "
                f"found labels from {self.labels.min()} to {self.labels.max()}"
            )
        if self.labels.dtype != np.uint8:
            object.__setattr__(self, "labels", self.labels.astype(np.uint8))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Indices) -> Digits:
        """Return the digits at ``indices`` (``(k,)`` integers), in that order."""
        return Digits(self.images[indices], self.labels[indices])

    def counts(self) -> npt.NDArray[np.int64]:
        """Return how many of each digit there are, ``(10,)``."""
        return np.bincount(self.labels, minlength=CLASSES).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named digits with a training, a validation and a test part.

    Attributes:
        name: as given on the command line, ``"mnist"`` for example.
        origin: where the digits were found, in words.
        development: the source's own training set, in its own order.
        train_indices: which of ``development`` are for training, in training order.
        validation_indices: which of ``development`` are for validation.
        test: opened once, at the end; every choice is made on the validation part.
    """

    name: str
    origin: str
    development: Digits
    train_indices: Indices
    validation_indices: Indices
    test: Digits

    @cached_property
    def train(self) -> Digits:
        """The digits to train on."""
        return self.development.take(self.train_indices)

    @cached_property
    def validation(self) -> Digits:
        """The digits to choose by."""
        return self.development.take(self.validation_indices)

    def part(self, name: str) -> Digits:
        """Return the part called ``name``; raise UnknownNameError for any other word."""
        if name not in get_args(PartName):
            raise UnknownNameError("part", name, get_args(PartName))
        part: Digits = getattr(self, name)
        return part

    @cached_property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) of all images and labels and of how they are split."""
        digest = hashlib.sha256()
        for array in (
            self.development.images,
            self.development.labels,
            self.train_indices.astype("<i8"),
            self.validation_indices.astype("<i8"),
            self.test.images,
            self.test.labels,
        ):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def split(labels: Labels, held_out: float | int) -> tuple[Indices, Indices]:
    """Split ``range(len(labels))`` as the lab does: stratified, ``random_state=42``.

    Args:
        labels: ``(n,)``, what the two sides are stratified by.
        held_out: the second side's size, as a fraction (0 to 1) or as a count.

    Returns:
        The kept and the held-out indices, exactly those of scikit-learn's ``train_test_split``.

    Raises:
        DatasetError: some digit is too rare to stand on both sides.
    """
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(
            np.arange(len(labels)), stratify=labels, test_size=held_out, random_state=SPLIT_SEED
        )
    except ValueError as error:
        raise DatasetError(
            f"cannot split {len(labels)} digits ({held_out} held out) by class: {error}"
        ) from error
    return kept, held


def fold(dataset: Dataset, number: int, folds: int) -> Dataset:
    """Return the dataset with one of the folds of ``development`` to validate on.

    Args:
        dataset: whose ``development`` is cut into folds, stratified; the test part stays.
        number: which of them, from 1.
        folds: how many, from 2 to the count of the rarest digit.
    """
    from sklearn.model_selection import StratifiedKFold

    labels = dataset.development.labels
    splits = StratifiedKFold(folds, shuffle=True, random_state=SPLIT_SEED).split(labels, labels)
    kept, held = next(itertools.islice(splits, number - 1, None))
    return replace(dataset, train_indices=kept, validation_indices=held)


def with_validation(
    name: str, origin: str, development: Digits, test: Digits, held_out: float | int
) -> Dataset:
    """Return the dataset whose validation part is ``held_out`` of ``development``."""
    train_indices, validation_indices = split(development.labels, held_out)
    return Dataset(name, origin, development, train_indices, validation_indices, test)


def split_three_ways(name: str, origin: str, digits: Digits) -> Dataset:
    """Return the dataset that keeps 80 % for training, 10 % for validation, 10 % for test."""
    tenth = round(len(digits) / 10)
    kept, tested = split(digits.labels, tenth)
    return with_validation(name, origin, digits.take(kept), digits.take(tested), tenth)
