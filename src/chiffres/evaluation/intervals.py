"""How sure an accuracy is, or a difference of two.

An accuracy is measured with seeds that were drawn and on digits that were drawn. Where a model was
trained with several seeds, both count: other seeds would have given other models, other digits
other mistakes. ``right`` is ``(seeds, digits)`` bool everywhere: which run read which digit right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import binomtest, t
from statsmodels.stats.proportion import confint_proportions_2indep

CONFIDENCE = 0.95

Right = npt.NDArray[np.bool_]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A measured value and how far chance may have moved it.

    Attributes:
        value: what was measured.
        standard_error: of the value, 0 or more.
        freedom: the degrees of freedom that the standard error was estimated with.
    """

    value: float
    standard_error: float
    freedom: float

    @property
    def interval(self) -> Interval:
        """The 95 % interval, by Student's t."""
        reach = float(t.ppf((1 + CONFIDENCE) / 2, self.freedom)) * self.standard_error
        return self.value - reach, self.value + reach

    @property
    def interval_of_share(self) -> Interval:
        """The 95 % interval of a value that is a share, above 0 and below 1, between 0 and 1.

        It is taken on the logarithm of the odds, where luck is as far from the value on either
        side: an accuracy of 98 % can be 5 points lower, and not 5 higher.
        """
        slope = self.value * (1 - self.value)
        odds = Estimate(float(logit(self.value)), self.standard_error / slope, self.freedom)
        low, high = odds.interval
        return float(expit(low)), float(expit(high))

    @property
    def p_value(self) -> float:
        """How often chance alone would move a true 0 as far as this, to either side."""
        if not self.standard_error:
            return 0.0 if self.value else 1.0
        return float(2 * t.sf(abs(self.value) / self.standard_error, self.freedom))


def wilson(successes: int, n: int) -> Interval:
    """Return the 95 % Wilson score interval of the proportion ``successes / n``.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22 (1927), 209-212.

    Raises:
        ValueError: ``n`` is under 1, or ``successes`` is not between 0 and ``n``.
    """
    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def mean_over_seeds(right: Right) -> Estimate:
    """Estimate a model's accuracy with any seed on any digits; two seeds at least.

    Seeds and digits are crossed: each seed's run reads every digit. The variance of the mean is
    that of the seeds, as their accuracies show it, and that of the digits, without the share of
    either that is chance between one run and one digit and would be counted twice. Degrees of
    freedom by Satterthwaite. Student's t over the seeds alone would speak of these very digits,
    Wilson's interval of one trained model, and a percentile bootstrap of few seeds is too narrow.

    Source: S. L. Hillis, A comparison of denominator degrees of freedom methods for multiple
    observer ROC analysis, Statistics in Medicine 26 (2007), 596-619: seeds are the readers, digits
    the cases.
    """
    return _estimate(
        right.mean(),
        [_of_seeds(right.mean(axis=1)), _of_digits(right.mean(axis=0), [right])],
    )


def difference_over_seeds(a: Right, b: Right) -> Estimate:
    """Estimate the accuracy of ``a`` less that of ``b``, read from the same digits.

    The digits are paired; the seeds of the two are taken for independent, two at least of each.
    Source: as of ``mean_over_seeds``.
    """
    return _estimate(
        a.mean() - b.mean(),
        [
            _of_seeds(a.mean(axis=1)),
            _of_seeds(b.mean(axis=1)),
            _of_digits(a.mean(axis=0) - b.mean(axis=0), [a, b]),
        ],
    )


def gap_over_seeds(train: Right, validation: Right) -> Estimate:
    """Estimate training accuracy less validation accuracy: the same seeds, other digits."""
    return _estimate(
        train.mean() - validation.mean(),
        [
            _of_seeds(train.mean(axis=1) - validation.mean(axis=1)),
            _of_digits(train.mean(axis=0), [train]),
            _of_digits(validation.mean(axis=0), [validation]),
        ],
    )


def gap_difference(a: tuple[Right, Right], b: tuple[Right, Right]) -> Estimate:
    """Estimate the gap of ``a`` less that of ``b``.

    With one run each, it speaks of these runs on any digits.

    Args:
        a: the first model on the training and on the validation part of a dataset.
        b: the second model on the same.
    """
    gaps = [train.mean(axis=1) - validation.mean(axis=1) for train, validation in (a, b)]
    return _estimate(
        gaps[0].mean() - gaps[1].mean(),
        [
            *(_of_seeds(gap) for gap in gaps),
            *(
                _of_digits(mine.mean(axis=0) - other.mean(axis=0), [mine, other])
                for mine, other in zip(a, b, strict=True)
            ),
        ],
    )


def p_of_another_run(value: float, runs: Sequence[float]) -> float:
    """Return how likely one more run is to be as far as ``value`` from the mean of ``runs``.

    Two runs at least, on the same digits as the one that gave ``value``.
    """
    spread = np.std(runs, ddof=1) * np.sqrt(1 + 1 / len(runs))
    return Estimate(float(value - np.mean(runs)), float(spread), len(runs) - 1).p_value


def gap_of_one_run(train: Right, validation: Right) -> Interval:
    """Return the 95 % interval of one run's gap, both ``(digits,)``, by Newcombe's method.

    Source: R. G. Newcombe, Interval estimation for the difference between independent proportions:
    comparison of eleven methods, Statistics in Medicine 17 (1998), 873-890.
    """
    low, high = confint_proportions_2indep(
        train.sum(), train.size, validation.sum(), validation.size, "newcomb", alpha=1 - CONFIDENCE
    )
    return float(low), float(high)


def paired_interval(only_a: int, only_b: int, n: int) -> Interval:
    """Return the 95 % interval of the difference of two accuracies on the same ``n`` digits.

    Source: D. G. Bonett and R. M. Price, Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data, Journal of Educational and Behavioral Statistics 37
    (2012), 479-488.

    Args:
        only_a: how many digits only the first read right.
        only_b: how many only the second.
        n: how many digits there are.
    """
    share_a, share_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    difference = share_a - share_b
    error = np.sqrt((share_a + share_b - difference**2) / (n + 2))
    return Estimate(difference, float(error), np.inf).interval


Part = tuple[float, float]
"""A variance, and the degrees of freedom that it was estimated with."""


def _estimate(value: Any, parts: Sequence[Part]) -> Estimate:
    """Sum up independent variances; the degrees of freedom by Welch and Satterthwaite."""
    total = sum(variance for variance, _ in parts)
    weighed = sum(variance**2 / freedom for variance, freedom in parts)
    return Estimate(float(value), float(np.sqrt(total)), total**2 / weighed if weighed else np.inf)


def _of_seeds(values: npt.NDArray[np.float64]) -> Part:
    """Return the variance of the mean of ``values``, ``(seeds,)``; one seed says nothing of it."""
    if len(values) == 1:
        return 0.0, 1
    return float(values.var(ddof=1)) / len(values), len(values) - 1


def _of_digits(values: npt.NDArray[np.float64], rights: Sequence[Right]) -> Part:
    """Return the variance of the mean of ``values``, ``(digits,)``, that is due to the digits."""
    n = len(values)
    apart = float(values.var(ddof=1)) / n - sum(_between(right) for right in rights)
    return max(apart, 0.0), n - 1


def _between(right: Right) -> float:
    """Return the variance of the mean that is due neither to the seed nor to the digit alone."""
    seeds, digits = right.shape
    if seeds == 1:
        return 0.0
    rest = right - right.mean(axis=1, keepdims=True) - right.mean(axis=0) + right.mean()
    return float((rest**2).sum() / ((seeds - 1) * (digits - 1) * right.size))
