"""MNIST's test digits whose labels people found wrong, so that a right answer to them counts.

Source: C. G. Northcutt, A. Athalye and J. Mueller, Pervasive Label Errors in Test Sets Destabilize
Machine Learning Benchmarks, NeurIPS Datasets and Benchmarks 2021, arXiv:2103.14749. Of the test
digits that their method suspected, each was shown to five people; here is where fewer than three
of them agreed with the label (``mturk/mnist_mturk.json`` of cleanlab/label-errors).
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from chiffres.data import Digits
from chiffres.evaluation.metrics import Evaluation

CORRECTED = {
    947: 9,
    1621: 6,
    1901: 4,
    2462: 0,
    2597: 3,
    3558: 0,
    5937: 3,
    6651: 6,
    6783: 6,
    9729: 6,
}
"""Which digit at least three of the five people saw, by its index in the test part."""
DISPUTED = (2130, 2654, 3520, 8527, 9679)
"""Where no three of them agreed on any digit: no answer to these is right or wrong."""
MNIST_TEST_LABELS = "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"
"""SHA-256 of the 10,000 labels, one byte each."""


def on_corrected_labels(evaluation: Evaluation) -> Evaluation | None:
    """Return the evaluation with the labels corrected and the disputed digits left out.

    None where it is of other digits than MNIST's test part.
    """
    labels = evaluation.digits.labels
    if hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() != MNIST_TEST_LABELS:
        return None
    corrected = labels.copy()
    corrected[list(CORRECTED)] = list(CORRECTED.values())
    agreed = np.delete(np.arange(len(labels)), DISPUTED)
    digits = Digits(evaluation.digits.images, corrected).take(agreed)
    return dataclasses.replace(
        evaluation, digits=digits, probabilities=evaluation.probabilities[agreed]
    )
