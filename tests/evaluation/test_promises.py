"""What a test at 5 % and an interval of 95 % promise, checked on simulated runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from chiffres.evaluation.intervals import (
    difference_over_seeds,
    gap_of_one_run,
    gap_over_seeds,
    paired_interval,
    wilson,
)
from chiffres.evaluation.seeds import accuracy_interval
from tests.evaluation.simulated import Population

TIMES, DIGITS = 2000, 600
# Two seeds differ by 0.4, 1 and 2 points, on average.
LUCK = {"little": Population(seed=0.03), "some": Population(), "much": Population(seed=0.2)}


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


def rejected_over_seeds(population: Population, seeds: int) -> float:
    """Return how many of the pairs of two equal models are found to differ."""
    rng = np.random.default_rng(0)
    rejected = []
    for _ in range(TIMES):
        digits = population.digits(DIGITS, rng)
        a, b = (population.read(digits, population.luck(seeds, rng), rng) for _ in range(2))
        rejected.append(difference_over_seeds(a, b).p_value < 0.05)
    return share(rejected)


@pytest.mark.parametrize("luck", LUCK)
def test_of_null_pairs_over_five_seeds_one_in_twenty_is_rejected(luck: str) -> None:
    assert rejected_over_seeds(LUCK[luck], 5) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("luck", LUCK)
def test_of_null_pairs_over_three_seeds_no_more_are_rejected(luck: str) -> None:
    """Welch's degrees of freedom are cautious where so few seeds differ much."""
    assert 0.03 < rejected_over_seeds(LUCK[luck], 3) < 0.06


def test_of_null_pairs_of_one_run_one_in_twenty_is_rejected() -> None:
    """McNemar's exact test, on as many digits as MNIST has; its p-values come in steps."""
    population, rng = Population(seed=0), np.random.default_rng(0)
    rejected = []
    for _ in range(TIMES):
        digits = population.digits(10_000, rng)
        a, b = (population.read(digits, population.luck(1, rng), rng)[0] for _ in range(2))
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        rejected.append(binomtest(only_a, only_a + only_b).pvalue < 0.05)
    assert share(rejected) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("luck", LUCK)
def test_intervals_over_seeds_cover(luck: str) -> None:
    population, rng = LUCK[luck], np.random.default_rng(1)
    better = 0.3
    true_b = population.accuracy()
    true_a = population.accuracy(better)
    of_mean, of_difference, of_gap = [], [], []
    for _ in range(TIMES):
        digits, others = (population.digits(DIGITS, rng) for _ in range(2))
        luck_a, luck_b = (population.luck(5, rng) for _ in range(2))
        a = population.read(digits, luck_a, rng, better)
        b = population.read(digits, luck_b, rng)
        validation = population.read(others, luck_a, rng)
        of_mean.append(covers(accuracy_interval(b), true_b))
        of_difference.append(covers(difference_over_seeds(a, b).interval, true_a - true_b))
        of_gap.append(covers(gap_over_seeds(a, validation).interval, true_a - true_b))
    for covered in (of_mean, of_difference, of_gap):
        assert share(covered) == pytest.approx(0.95, abs=0.015)


def test_intervals_of_one_run_cover() -> None:
    population, rng = Population(seed=0), np.random.default_rng(2)
    true, true_a = population.accuracy(), population.accuracy(0.3)
    of_accuracy, of_difference, of_gap = [], [], []
    for _ in range(TIMES):
        digits, others = population.digits(DIGITS, rng), population.digits(DIGITS, rng)
        luck = population.luck(1, rng)
        a = population.read(digits, luck, rng, 0.3)[0]
        b = population.read(digits, luck, rng)[0]
        validation = population.read(others, luck, rng)[0]
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        of_accuracy.append(covers(wilson(int(b.sum()), DIGITS), true))
        of_difference.append(covers(paired_interval(only_a, only_b, DIGITS), true_a - true))
        of_gap.append(covers(gap_of_one_run(a, validation), true_a - true))
    for covered in (of_accuracy, of_difference, of_gap):
        assert share(covered) == pytest.approx(0.95, abs=0.015)


def covers(interval: tuple[float, float], true: float) -> bool:
    return interval[0] <= true <= interval[1]
