from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.evaluation.intervals import wilson

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
