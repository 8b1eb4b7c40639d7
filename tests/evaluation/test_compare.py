from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiffres.data import Digits
from chiffres.evaluation.compare import compare, compare_all
from chiffres.evaluation.metrics import Evaluation
from chiffres.evaluation.seeds import Evaluations

DIGITS = Digits(np.zeros((60, 28, 28), np.uint8), (np.arange(60) % 10).astype(np.uint8))


def run(name: str, wrong: set[int]) -> Evaluation:
    """Return the evaluation of a run that misreads the digits of these numbers."""
    read = DIGITS.labels.astype(int)
    read[list(wrong)] = (read[list(wrong)] + 1) % 10
    return Evaluation(name, "own", "test", DIGITS, np.eye(10)[read])


def reader(name: str, *wrong: set[int]) -> Evaluations:
    """Return the evaluations of a model whose runs misread the digits of these numbers."""
    return Evaluations([run(name, each) for each in wrong])


def mcnemar(only_a: float, only_b: float) -> float:
    """Return the exact two-sided p-value: twice the binomial tail, at most 1."""
    n, fewer = int(only_a + only_b), int(min(only_a, only_b))
    tail: int = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / float(2**n))


def test_ten_against_two() -> None:
    a, b = reader("a", {20, 21, 30, 31, 32}), reader("b", {*range(10), 30, 31, 32})
    pair = compare(a, b)
    assert (pair.a, pair.b, pair.only_a, pair.only_b) == ("a", "b", 10, 2)
    assert pair.p_value == pytest.approx(158 / 4096)
    assert pair.p_value == pytest.approx(0.0386, abs=5e-5)
    assert pair.difference == pytest.approx(8 / 60)
    assert pair.distinguishable


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"), [(0, 5, 0.0625), (0, 6, 0.03125), (3, 3, 1.0), (1, 0, 1.0)]
)
def test_known_p_values(only_a: int, only_b: int, p: float) -> None:
    pair = compare(reader("a", set(range(only_b))), reader("b", set(range(30, 30 + only_a))))
    assert (pair.only_a, pair.only_b) == (only_a, only_b)
    assert pair.p_value == pytest.approx(p)
    assert pair.distinguishable == (p < 0.05)


def test_models_that_make_the_same_mistakes_do_not_differ() -> None:
    pair = compare(reader("a", {1, 2}), reader("b", {1, 2}))
    assert (pair.difference, pair.p_value, pair.distinguishable) == (0, 1, False)


def test_models_that_read_other_digits_are_not_compared() -> None:
    a = reader("a", set())
    others = Digits(DIGITS.images + np.uint8(1), DIGITS.labels)
    with pytest.raises(ValueError, match="a and b did not read the same digits"):
        compare(a, Evaluations([dataclasses.replace(run("b", set()), digits=others)]))


mistakes = st.sets(st.integers(0, 59))


@given(mistakes, mistakes)
def test_a_comparison_can_be_turned_round(first: set[int], second: set[int]) -> None:
    pair = compare(reader("a", first), reader("b", second))
    turned = compare(reader("b", second), reader("a", first))
    assert (pair.only_a, pair.only_b) == (turned.only_b, turned.only_a)
    assert (pair.only_a, pair.only_b) == (len(second - first), len(first - second))
    assert pair.difference == pytest.approx(-turned.difference)
    assert pair.difference == pytest.approx((pair.only_a - pair.only_b) / 60)
    assert pair.p_value == pytest.approx(turned.p_value)
    assert pair.p_value == pytest.approx(mcnemar(pair.only_a, pair.only_b))


def test_holm_s_correction_of_three_pairs() -> None:
    """One-sided tables of 6, 9 and 3 digits: 2 / 2**6, 2 / 2**9 and 2 / 2**3 before it."""
    a, b, c = reader("a", set()), reader("b", set(range(6))), reader("c", set(range(9)))
    uncorrected = [compare(*pair).p_value for pair in ((a, b), (a, c), (b, c))]
    assert uncorrected == pytest.approx([1 / 32, 1 / 256, 1 / 4])
    pairs = compare_all([a, b, c])
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.p_corrected for pair in pairs] == pytest.approx([2 / 32, 3 / 256, 1 / 4])
    assert [pair.distinguishable for pair in pairs] == [False, True, False]


@settings(max_examples=15)
@given(st.lists(mistakes, min_size=1, max_size=4))
def test_the_correction_is_holm_s(each: list[set[int]]) -> None:
    readers = [reader(f"model {number}", wrong) for number, wrong in enumerate(each)]
    pairs = compare_all(readers)
    assert len(pairs) == math.comb(len(readers), 2)
    plain = [mcnemar(pair.only_a, pair.only_b) for pair in pairs]
    least = 0.0
    for rank, index in enumerate(np.argsort(plain, kind="stable")):
        least = max(least, min(1.0, plain[index] * (len(pairs) - rank)))
        assert pairs[index].p_corrected == pytest.approx(least)


def test_one_model_alone_is_compared_to_none() -> None:
    assert compare_all([reader("a", set())]) == []
