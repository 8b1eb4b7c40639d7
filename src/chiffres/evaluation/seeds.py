"""A model that was trained with several seeds, judged as one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import CLASSES
from chiffres.evaluation.intervals import (
    Interval,
    Right,
    gap_of_one_run,
    gap_over_seeds,
    mean_over_seeds,
    wilson,
)
from chiffres.evaluation.judge import JudgedRun
from chiffres.evaluation.metrics import Evaluation


@dataclass(frozen=True, eq=False)
class Evaluations:
    """What the runs of one model, one per seed, answered to the same part of a dataset.

    Attributes:
        each: one evaluation per run, at least one.
    """

    each: Sequence[Evaluation]

    @property
    def n(self) -> int:
        """How many digits there are."""
        return self.each[0].n

    @cached_property
    def right(self) -> Right:
        """Which run read which digit right, ``(seeds, digits)``."""
        return np.stack([evaluation.right for evaluation in self.each])

    @property
    def accuracy(self) -> float:
        """The mean accuracy, 0 to 1."""
        return float(self.right.mean())

    @property
    def accuracy_sd(self) -> float | None:
        """The standard deviation of the accuracy over the seeds; None of a single one."""
        if len(self.each) == 1:
            return None
        return statistics.stdev(evaluation.accuracy for evaluation in self.each)

    @property
    def accuracy_interval(self) -> Interval:
        """The 95 % interval: Wilson's of one run, else of the mean over seeds and digits."""
        return accuracy_interval(self.right)

    @property
    def loss(self) -> float:
        """The mean loss, in nats."""
        return statistics.fmean(evaluation.loss for evaluation in self.each)

    @property
    def calibration_error(self) -> float:
        """The mean expected calibration error, 0 to 1."""
        return statistics.fmean(evaluation.calibration_error for evaluation in self.each)

    def accuracy_by_digit(self) -> npt.NDArray[np.float64]:
        """Return the mean accuracy on the images of each digit, ``(10,)``; nan where none is."""
        labels = self.each[0].digits.labels
        shares = self.right.mean(axis=0)
        counts = np.bincount(labels, minlength=CLASSES)
        right = np.bincount(labels, weights=shares, minlength=CLASSES)
        return np.asarray(np.divide(right, counts, out=np.full(CLASSES, np.nan), where=counts > 0))


@dataclass(frozen=True, eq=False)
class JudgedModel:
    """Judged runs of one recipe that differ by their seed alone.

    Attributes:
        name: what the report calls the model.
        runs: at least one, in the order of their seeds.
    """

    name: str
    runs: Sequence[JudgedRun]

    @property
    def first(self) -> JudgedRun:
        """The run of the first seed, for what can only be shown of one."""
        return self.runs[0]

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [run.seed for run in self.runs]

    @cached_property
    def train(self) -> Evaluations:
        """The answers to the training part, dropout off."""
        return Evaluations([run.train for run in self.runs])

    @cached_property
    def validation(self) -> Evaluations:
        """The answers to the validation part."""
        return Evaluations([run.validation for run in self.runs])

    @cached_property
    def test(self) -> Evaluations:
        """The answers to the test part."""
        return Evaluations([run.test for run in self.runs])

    @property
    def parameters(self) -> int:
        """How many numbers the model has learnt."""
        return int(self.first.model.count_params())

    @property
    def epoch_seconds(self) -> float:
        """The median time of an epoch, validation apart."""
        return statistics.median(run.epoch_seconds for run in self.runs)

    @property
    def gap(self) -> float:
        """Training accuracy less validation accuracy, -1 to 1: how much is learnt by heart."""
        return self.train.accuracy - self.validation.accuracy

    @cached_property
    def gap_interval(self) -> Interval:
        """The 95 % interval of the gap: Newcombe's of one run, else over seeds and digits."""
        train, validation = self.train.right, self.validation.right
        if len(self.runs) == 1:
            return gap_of_one_run(train[0], validation[0])
        return gap_over_seeds(train, validation).interval

    def curve(self, column: str) -> npt.NDArray[np.float64]:
        """Return a column of the histories, ``(seeds, epochs)``."""
        return np.array([run.history[column] for run in self.runs])

    @property
    def best_epochs(self) -> list[int]:
        """Of each run, the epoch, from 1, after which the validation loss was lowest."""
        return [run.best_epoch for run in self.runs]

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, after which the validation loss, mean of the runs, was lowest."""
        return int(self.curve("val_loss").mean(axis=0).argmin()) + 1


def accuracy_interval(right: Right) -> Interval:
    """Return the 95 % interval of the accuracy of ``right``, ``(seeds, digits)``, 0 to 1.

    Wilson's where there is one seed, or where no digit tells the seeds or the digits apart.
    """
    estimate = mean_over_seeds(right) if len(right) > 1 else None
    if not estimate or not estimate.standard_error:
        return wilson(int(right[0].sum()), right.shape[1])
    return estimate.interval_of_share
