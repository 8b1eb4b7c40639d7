"""How far a model's confidence, its highest probability, tells right answers from wrong ones.

Everywhere ``probabilities`` is ``(n, 10)``, each row 0 to 1 with the sum 1, and ``labels`` is
``(n,)`` integers from 0 to 9; ``n`` is at least 1.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

BINS = 15
"""Of the confidence, in the calibration error: as many as in its source."""
REFUSE_ALL = 2.0
"""The threshold that no confidence reaches, however it is rounded."""

Probabilities = npt.NDArray[np.float64]
AnyLabels = npt.NDArray[Any]


class Acceptance(NamedTuple):
    """What is accepted: the answers whose confidence is ``threshold`` or more.

    Attributes:
        threshold: 0 where all are, ``REFUSE_ALL`` where none is.
        coverage: the share accepted, 0 to 1.
    """

    threshold: float
    coverage: float


def confidence_of(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Return the highest probability of each answer, ``(n,)``, 0.1 to 1."""
    return np.asarray(probabilities.max(axis=1))


def expected_calibration_error(probabilities: Probabilities, labels: AnyLabels) -> float:
    """Return by how much the confidence misses the accuracy, 0 to 1, averaged over the answers.

    The answers are put into 15 bins of equal width by their confidence; within each, accuracy and
    mean confidence are compared.

    Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On Calibration of Modern Neural
    Networks, ICML 2017, arXiv:1706.04599, equation 3.
    """
    confidence = confidence_of(probabilities)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum(np.ceil(confidence * BINS), BINS).astype(np.int64)  # the upper edge is in
    missed = np.bincount(bins, weights=right - confidence)
    return float(np.abs(missed).sum() / len(labels))


def errors_at_coverage(
    probabilities: Probabilities, labels: AnyLabels, coverage: float = 0.99
) -> float:
    """Return the share of wrong answers, 0 to 1, among the most confident ones.

    Of answers with the same confidence the wrong ones count first, so that their order has no say.

    Source: Y. Geifman and R. El-Yaniv, Selective Classification for Deep Neural Networks,
    NeurIPS 2017, arXiv:1705.08500: the selective risk at a coverage.

    Args:
        probabilities: what was answered.
        labels: what was right.
        coverage: how many are the most confident ones, as a share of all, above 0 and up to 1;
            rounded up to whole answers.
    """
    wrong = probabilities.argmax(axis=1) != labels
    order = np.lexsort([~wrong, -confidence_of(probabilities)])
    accepted = math.ceil(coverage * len(labels) - 1e-9)  # 0.07 × 100 is 7.000000000000001
    return float(wrong[order[:accepted]].mean())


def threshold_for(
    probabilities: Probabilities, labels: AnyLabels, errors: float = 0.001
) -> Acceptance:
    """Return the lowest threshold that keeps errors rare among what it accepts.

    It is chosen after the answers were seen, so other answers have somewhat more errors.

    Args:
        probabilities: what was answered.
        labels: what was right.
        errors: the largest share of the accepted answers that may be wrong, 0 to 1.
    """
    wrong = probabilities.argmax(axis=1) != labels
    confidence = confidence_of(probabilities)
    order = np.argsort(-confidence)
    falling, n = confidence[order], len(labels)
    share_wrong = np.cumsum(wrong[order]) / np.arange(1, n + 1)
    last_of_equals = np.append(falling[:-1] > falling[1:], True)
    good = np.flatnonzero(last_of_equals & (share_wrong <= errors))
    if not len(good):
        return Acceptance(REFUSE_ALL, 0.0)
    last = int(good[-1])
    return Acceptance(float(falling[last]) if last < n - 1 else 0.0, (last + 1) / n)


def auroc(digits: Probabilities, others: Probabilities) -> float:
    """Return how often a digit is answered with more confidence than what is no digit.

    It is the area under the receiver operating characteristic, of all thresholds together: 1 where
    one threshold tells all digits from all others, 0.5 where the confidence says nothing.

    Source: D. Hendrycks and K. Gimpel, A Baseline for Detecting Misclassified and
    Out-of-Distribution Examples in Neural Networks, ICLR 2017, arXiv:1610.02136.

    Args:
        digits: what was answered to digits, ``(n, 10)``.
        others: what was answered to images of no digit, ``(k, 10)``, ``k`` at least 1.
    """
    is_digit = np.repeat([1, 0], [len(digits), len(others)])
    confidence = np.concatenate([confidence_of(digits), confidence_of(others)])
    return float(roc_auc_score(is_digit, confidence))
