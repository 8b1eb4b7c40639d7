"""The labels of MNIST's test part that people corrected."""

from __future__ import annotations

import numpy as np

from chiffres.data import Dataset
from chiffres.evaluation.corrected import CORRECTED, DISPUTED, on_corrected_labels
from chiffres.evaluation.metrics import Evaluation

GIVEN = {947: 8, 1621: 0, 1901: 9, 2462: 2, 2597: 5, 3558: 5, 5937: 5, 6651: 0, 6783: 1, 9729: 5}
"""What the labels say, in the source of the corrections."""


def answering(dataset: Dataset, answers: np.ndarray) -> Evaluation:
    return Evaluation("model", dataset.name, "test", dataset.test, np.eye(10)[answers])


def test_the_corrections_are_of_these_digits(full_mnist: Dataset) -> None:
    assert {index: int(full_mnist.test.labels[index]) for index in CORRECTED} == GIVEN
    assert not set(CORRECTED) & set(DISPUTED)


def test_who_answers_as_the_people_did_is_right_about_all(full_mnist: Dataset) -> None:
    answers = full_mnist.test.labels.copy()
    answers[list(CORRECTED)] = list(CORRECTED.values())
    answers[list(DISPUTED)] = 0
    corrected = on_corrected_labels(answering(full_mnist, answers))
    assert corrected is not None
    assert (corrected.n, corrected.accuracy) == (9_995, 1)
    assert corrected.digits.images.shape == (9_995, 28, 28)


def test_who_answers_as_the_labels_do_is_wrong_about_the_ten(full_mnist: Dataset) -> None:
    raw = answering(full_mnist, full_mnist.test.labels)
    corrected = on_corrected_labels(raw)
    assert raw.accuracy == 1
    assert corrected is not None
    assert corrected.n - corrected.right.sum() == 10
    assert raw.accuracy == 1, "the evaluation itself stays as it was"


def test_other_digits_have_no_corrections(small: Dataset) -> None:
    assert on_corrected_labels(answering(small, small.test.labels)) is None
