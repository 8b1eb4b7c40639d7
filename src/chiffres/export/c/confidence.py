"""How sure a network of integers is: a table from the margin of the scores to right answers.

The chance that an answer is right is taken to be a logistic function of how far its score is above
the second highest, and fitted on answers to digits that the network was not trained on. The table
has where that function reaches some levels, so the C code compares and computes nothing.

Source: J. Platt, Probabilistic Outputs for Support Vector Machines, 1999, with its corrected
targets, by which a network that makes no mistake here is not taken for one that never will.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from chiffres.export.c.network import INT32_MAX, UNKNOWN, Confidence

LEVELS = (500, 600, 700, 800, 900, 950, 980, 990, 995, 998, 999)
"""Of 1,000 answers, how many are right at each step of the table."""


def fit_confidence(margins: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> Confidence:
    """Return the table for a network that gave these answers.

    Args:
        margins: by how much each answer's score is above the second highest, ``(n,)``, 0 or more.
        right: whether each answer is right, ``(n,)``.

    Returns:
        The table; empty where answers with a large margin are right no more often than others.
    """
    unit = max(float(np.median(margins)), 1.0)
    x = margins / unit
    good, bad = np.count_nonzero(right), np.count_nonzero(~right)
    targets = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))

    def loss(line: npt.NDArray[np.float64]) -> float:
        z = line[0] * x + line[1]
        return float((np.logaddexp(0, z) - targets * z).sum())

    def slope(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        excess = expit(line[0] * x + line[1]) - targets
        return np.array([excess @ x, excess.sum()])

    steepness, start = minimize(loss, np.zeros(2), jac=slope, method="BFGS").x
    if steepness <= 1e-6:
        return UNKNOWN
    reached = (logit(np.array(LEVELS) / 1000) - start) / steepness * unit
    margin_at = np.clip(np.ceil(reached), 0, INT32_MAX).astype(int).tolist()
    return Confidence(tuple(margin_at), LEVELS)
