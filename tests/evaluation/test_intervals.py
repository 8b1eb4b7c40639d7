from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_rel

from chiffres.evaluation.bootstrap import bootstrap_difference
from chiffres.evaluation.intervals import (
    Estimate,
    Right,
    difference_over_seeds,
    gap_difference,
    gap_of_one_run,
    gap_over_seeds,
    mean_over_seeds,
    p_of_another_run,
    paired_interval,
    wilson,
)

Z = 1.959963984540054  # of the normal distribution, 97.5 %


def by_formula(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's interval as his paper writes it."""
    p = successes / n
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return middle - half, middle + half


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 100_000))
    return draw(st.integers(0, n)), n


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (9814, 10_000, 0.978561, 0.983869),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),
        (50, 100, 0.403832, 0.596168),
    ],
)
def test_known_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=1e-6)


@given(counts())
def test_it_is_wilson_s_formula(count: tuple[int, int]) -> None:
    assert wilson(*count) == pytest.approx(by_formula(*count), abs=1e-9)


@given(counts())
def test_it_lies_between_0_and_1_and_holds_the_proportion(count: tuple[int, int]) -> None:
    low, high = wilson(*count)
    assert 0 <= low <= count[0] / count[1] <= high <= 1
    assert low < high


@given(counts(), st.integers(2, 50))
def test_it_narrows_with_more_digits(count: tuple[int, int], times: int) -> None:
    low, high = wilson(*count)
    narrower = wilson(count[0] * times, count[1] * times)
    assert narrower[1] - narrower[0] < high - low


@given(counts())
def test_mistakes_are_successes_mirrored(count: tuple[int, int]) -> None:
    low, high = wilson(*count)
    successes, n = count
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(
    ("successes", "n", "message"),
    [
        (0, 0, r"n.* must be"),
        (11, 10, r"k \(11\) must not be greater than n \(10\)"),
        (-1, 10, r"k.* must be"),
    ],
)
def test_counts_that_cannot_be(successes: int, n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wilson(successes, n)


def copies(right: Right, seeds: int) -> Right:
    """Return so many runs that read exactly alike."""
    return np.tile(right, (seeds, 1))


def test_newcombe_s_own_example() -> None:
    """56 of 70 less 48 of 80, by method 10: 0.0524 to 0.3339 in table II of the paper."""
    train, validation = np.arange(70) < 56, np.arange(80) < 48
    assert gap_of_one_run(train, validation) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_agresti_s_approval_ratings() -> None:
    """Of 1,600 asked twice, 150 approved the first time alone and 86 the second: 0.02 to 0.06.

    A. Agresti, Categorical Data Analysis, section 10.1.1.
    """
    low, high = paired_interval(150, 86, 1600)
    assert (low, high) == pytest.approx((0.02, 0.06), abs=0.0015)
    assert paired_interval(86, 150, 1600) == pytest.approx((-high, -low))


def test_student_s_t_of_an_estimate() -> None:
    estimate = Estimate(2.0, 0.5, 4)
    assert estimate.interval == pytest.approx((2 - 2.776445 * 0.5, 2 + 2.776445 * 0.5))
    assert estimate.p_value == pytest.approx(0.016130, abs=1e-6)
    assert Estimate(0.0, 0.0, 4).p_value == 1
    assert Estimate(0.1, 0.0, 4).p_value == 0


rights = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((2, 40)) < 0.8
)


@given(rights, st.integers(2, 5))
def test_seeds_that_read_alike_leave_the_paired_t_test_over_digits(both: Right, seeds: int) -> None:
    a, b = both
    found = difference_over_seeds(copies(a, seeds), copies(b, seeds))
    known = ttest_rel(a.astype(float), b.astype(float))
    assert found.value == pytest.approx(a.mean() - b.mean())
    if (a != b).any():
        assert found.p_value == pytest.approx(known.pvalue)
        assert found.interval == pytest.approx(tuple(known.confidence_interval()))


def test_digits_that_are_no_matter_leave_student_s_t_over_seeds() -> None:
    """Every run misreads digits of its own, as many as its accuracy says: no digit is hard."""
    accuracies = [0.96, 0.97, 0.975, 0.98, 0.965]
    right = np.ones((5, 100_000), bool)
    rng = np.random.default_rng(0)
    for row, accuracy in zip(right, accuracies, strict=True):
        row[rng.choice(100_000, round(100_000 * (1 - accuracy)), replace=False)] = False
    reach = t.ppf(0.975, 4) * np.std(accuracies, ddof=1) / np.sqrt(5)
    low, high = mean_over_seeds(right).interval
    assert (low, high) == pytest.approx((0.97 - reach, 0.97 + reach), rel=1e-3)


@given(st.integers(0, 2**32 - 1))
def test_a_difference_can_be_turned_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random((3, 50)) < 0.9, rng.random((4, 50)) < 0.7
    found, turned = difference_over_seeds(a, b), difference_over_seeds(b, a)
    assert found.value == pytest.approx(-turned.value)
    assert found.p_value == pytest.approx(turned.p_value)
    gap, gap_turned = gap_difference((a, a[::-1]), (b, b)), gap_difference((b, b), (a, a[::-1]))
    assert gap.value == pytest.approx(-gap_turned.value)
    assert gap_over_seeds(a, a[::-1]).value == pytest.approx(0)


def test_the_interval_of_a_share_stays_between_0_and_1_and_is_the_plain_one_when_narrow() -> None:
    low, high = Estimate(0.98, 0.02, 4).interval_of_share
    assert 0 < low < 0.98 < high < 1
    assert 0.98 - low > high - 0.98
    narrow = Estimate(0.98, 0.0001, 4)
    assert narrow.interval_of_share == pytest.approx(narrow.interval, abs=1e-5)


def test_another_run_is_as_far_as_a_prediction_interval_says() -> None:
    runs = [0.9752, 0.9757, 0.9768, 0.9772, 0.9790]
    mean, sd = np.mean(runs), np.std(runs, ddof=1)
    edge = float(mean + t.ppf(0.975, 4) * sd * np.sqrt(1 + 1 / 5))
    assert p_of_another_run(edge, runs) == pytest.approx(0.05)
    assert p_of_another_run(float(mean), runs) == pytest.approx(1)


def test_the_bootstrap_of_one_run_each_is_the_plain_one_over_digits() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 5000)) < 0.95, rng.random((1, 5000)) < 0.94
    low, high = bootstrap_difference(a, b)
    error = float(np.std(a.astype(float) - b) / np.sqrt(5000))
    assert (low + high) / 2 == pytest.approx(a.mean() - b.mean(), abs=0.1 * error)
    assert high - low == pytest.approx(2 * Z * error, rel=0.05)
    assert bootstrap_difference(a, b) == (low, high)
    assert bootstrap_difference(b, a) == pytest.approx((-high, -low), abs=0.2 * error)
