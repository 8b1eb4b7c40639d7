"""A model's metrics on one part of a dataset, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from chiffres.data import Dataset
from chiffres.data.dataset import CLASSES, Digits, PartName
from chiffres.evaluation.confidence import errors_at_coverage, expected_calibration_error
from chiffres.evaluation.intervals import wilson
from chiffres.evaluation.predict import predict
from chiffres.models.backend import keras

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model answered to one part of a dataset.

    Attributes:
        model: its name, or where it lies.
        dataset: the dataset's name.
        part: ``"train"``, ``"validation"`` or ``"test"``.
        digits: what was asked.
        probabilities: ``(n, 10)``, what was answered.
    """

    model: str
    dataset: str
    part: PartName
    digits: Digits
    probabilities: npt.NDArray[np.float64]

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The digit read in each image, ``(n,)``."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which images were read right, ``(n,)``."""
        return np.asarray(self.predicted == self.digits.labels)

    @property
    def n(self) -> int:
        """How many digits were read."""
        return len(self.digits)

    @property
    def accuracy(self) -> float:
        """The share read right, 0 to 1."""
        return float(self.right.mean())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson(int(self.right.sum()), self.n)

    @property
    def loss(self) -> float:
        """The mean sparse categorical cross-entropy, in nats."""
        given = self.probabilities[np.arange(self.n), self.digits.labels]
        return float(-np.log(np.maximum(given, np.finfo(np.float64).tiny)).mean())

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0 to 1."""
        return expected_calibration_error(self.probabilities, self.digits.labels)

    @property
    def errors_at_99_coverage(self) -> float:
        """The share misread, 0 to 1, of the 99 % that were read with the most confidence."""
        return errors_at_coverage(self.probabilities, self.digits.labels, 0.99)

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """How often each digit (row) was read as each (column), ``(10, 10)``."""
        matrix: npt.NDArray[np.int64] = confusion_matrix(
            self.digits.labels, self.predicted, labels=range(CLASSES)
        )
        return matrix

    def per_digit(self) -> npt.NDArray[np.float64]:
        """Return precision, recall and F1 of each digit, ``(10, 3)``; 0 where undefined."""
        scores = precision_recall_fscore_support(
            self.digits.labels, self.predicted, labels=range(CLASSES), zero_division=0
        )
        return np.stack(scores[:3], axis=1)

    def misread(self) -> npt.NDArray[np.int64]:
        """Return the indices of the misread digits, the most confident mistakes first."""
        wrong = np.flatnonzero(~self.right)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    def summary(self) -> dict[str, Any]:
        """Return what ``metrics.json`` keeps: loss, accuracy, and how far to trust either."""
        return {
            "n": self.n,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "calibration_error": self.calibration_error,
            "errors_at_99_coverage": self.errors_at_99_coverage,
        }

    def json(self) -> dict[str, Any]:
        """Return the document of ``chiffres evaluate --json``."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "dataset": self.dataset,
            "part": self.part,
            **self.summary(),
            "confusion": self.confusion.tolist(),
        }


def evaluate(
    model: keras.Model | str | Path, dataset: Dataset, part: PartName = "test", *, name: str = ""
) -> Evaluation:
    """Ask a model for every digit of one part of a dataset.

    Args:
        model: a Keras model, or where one is: a run folder, a ``.keras`` or an ``.h5`` file.
        dataset: the digits.
        part: which part of them; the test part is for the end.
        name: what to call the model; by default where it lies, or Keras's name for it.

    Raises:
        ModelFileError: the model cannot be loaded, or does not read 28×28 images of digits.
    """
    digits = dataset.part(part)
    name = name or (str(model) if isinstance(model, str | Path) else model.name)
    return Evaluation(name, dataset.name, part, digits, predict(model, digits.images))
