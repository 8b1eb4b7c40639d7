"""Cross-validation: how much an accuracy owes to which digits were held out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chiffres.evaluation.intervals import Estimate, Interval


@dataclass(frozen=True)
class CrossValidation:
    """A model trained on all folds but one and measured on that one, each in turn.

    Attributes:
        model: its name.
        accuracies: on the fold held out, 0 to 1, one per fold, two at least.
        trained_on: how many digits each training had.
        held_out: how many each was measured on.
    """

    model: str
    accuracies: Sequence[float]
    trained_on: int
    held_out: int

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def sd(self) -> float:
        """The standard deviation of the accuracy over the folds."""
        return statistics.stdev(self.accuracies)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean.

        The trainings share most of their digits, so their accuracies vary less than those of
        independent ones would; the standard error is corrected for it.

        Source: C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning
        52 (2003), 239-281.
        """
        folds = len(self.accuracies)
        error = self.sd * math.sqrt(1 / folds + self.held_out / self.trained_on)
        low, high = Estimate(self.mean, error, folds - 1).interval
        return max(low, 0.0), min(high, 1.0)

    def json(self) -> dict[str, Any]:
        """Return what ``chiffres compare --json`` says of it."""
        return {
            "model": self.model,
            "accuracies": list(self.accuracies),
            "accuracy_mean": self.mean,
            "accuracy_sd": self.sd,
            "accuracy_interval": list(self.interval),
        }
