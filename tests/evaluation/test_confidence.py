from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from chiffres.evaluation.confidence import (
    REFUSE_ALL,
    Acceptance,
    auroc,
    confidence_of,
    errors_at_coverage,
    expected_calibration_error,
    threshold_for,
)

Floats = npt.NDArray[np.float64]
Answers = tuple[Floats, npt.NDArray[np.int64]]


def answers(*given: tuple[float, bool]) -> Answers:
    """Return answers of a confidence, above 0.1, each right or wrong: all of them say 3."""
    probabilities = np.array([np.full(10, (1 - confidence) / 9) for confidence, _ in given])
    probabilities[:, 3] = [confidence for confidence, _ in given]
    return probabilities, np.array([3 if right else 4 for _, right in given])


def drawn(n: int, seed: int = 0) -> Answers:
    """Return probabilities, and labels drawn from them: the confidence is the accuracy."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(2 * rng.standard_normal((n, 10)), axis=1)
    labels = (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return probabilities, labels


some_answers = st.lists(
    st.tuples(st.integers(3, 20).map(lambda k: k / 20), st.booleans()), min_size=1, max_size=40
)
"""Of few different confidences, so that many are equal."""


def test_the_confidence_is_the_highest_probability() -> None:
    np.testing.assert_array_equal(
        confidence_of(answers((0.75, True), (0.5, False))[0]), [0.75, 0.5]
    )


# The calibration error


def test_a_confidence_that_is_the_accuracy_has_no_calibration_error() -> None:
    given = answers(*[(0.8, True)] * 4, (0.8, False), *[(0.6, True)] * 3, *[(0.6, False)] * 2)
    assert expected_calibration_error(*given) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(*drawn(50_000)) < 0.01


def test_the_calibration_error_of_what_is_sure_and_wrong() -> None:
    assert expected_calibration_error(*answers((1.0, False), (1.0, False))) == 1
    assert expected_calibration_error(*answers((1.0, True))) == 0
    assert expected_calibration_error(*answers((0.9, False), (0.9, True))) == pytest.approx(0.4)


def test_over_and_under_confidence_cancel_out_within_a_bin_alone() -> None:
    together = answers((0.61, True), (0.61, True), (0.65, False), (0.65, False))
    assert expected_calibration_error(*together) == pytest.approx(0.63 - 0.5)
    apart = answers((0.61, True), (0.61, True), (0.75, False), (0.75, False))
    assert expected_calibration_error(*apart) == pytest.approx((0.39 + 0.75) / 2)


@given(some_answers)
def test_the_calibration_error_is_that_of_the_definition(given: list[tuple[float, bool]]) -> None:
    expected = 0.0
    for number in range(15):
        inside = [
            (confidence, right)
            for confidence, right in given
            if number < round(confidence * 15, 9) <= number + 1
        ]
        if inside:
            confidence, accuracy = np.mean(inside, axis=0)
            expected += len(inside) / len(given) * abs(accuracy - confidence)
    assert expected_calibration_error(*answers(*given)) == pytest.approx(expected, abs=1e-9)


# The errors at a coverage


def test_the_least_confident_answers_do_not_count() -> None:
    given = [(0.9, True)] * 98 + [(0.8, False), (0.7, False)]
    assert errors_at_coverage(*answers(*given)) == pytest.approx(1 / 99)
    assert errors_at_coverage(*answers(*given), coverage=0.98) == 0
    assert errors_at_coverage(*answers(*given), coverage=1.0) == 0.02


@pytest.mark.parametrize(("coverage", "count"), [(0.07, 7), (0.29, 29), (0.071, 8), (0.001, 1)])
def test_the_coverage_is_rounded_up_to_whole_answers(coverage: float, count: int) -> None:
    given = [(0.9, False), *[(0.8, True)] * 99]
    assert errors_at_coverage(*answers(*given), coverage=coverage) == 1 / count


def test_of_the_same_confidence_the_wrong_answers_count_first() -> None:
    for both in ([(0.9, True), (0.9, False)], [(0.9, False), (0.9, True)]):
        assert errors_at_coverage(*answers(*both), coverage=0.5) == 1


# The threshold


def test_the_threshold_leaves_out_no_more_than_it_must() -> None:
    given = answers((0.9, True), (0.8, True), (0.7, False), (0.6, True))
    assert threshold_for(*given) == Acceptance(0.8, 0.5)
    assert threshold_for(*given, errors=0.25) == Acceptance(0, 1)


def test_an_error_is_made_up_for_by_the_right_answers_below_it() -> None:
    given = [(0.9, False), *[(0.8, True)] * 999, (0.3, False)]
    assert threshold_for(*answers(*given)) == Acceptance(0.8, 1000 / 1001)
    assert threshold_for(*answers(*given[:-2])) == Acceptance(REFUSE_ALL, 0)


def test_where_no_answer_is_wrong_all_are_accepted() -> None:
    assert threshold_for(*answers((0.9, True), (0.2, True))) == Acceptance(0, 1)


def test_where_all_answers_are_wrong_none_is_accepted() -> None:
    threshold, coverage = threshold_for(*answers((1.0, False), (0.2, False)))
    assert coverage == 0
    assert threshold > np.float32(1)


def test_answers_of_the_same_confidence_are_accepted_together() -> None:
    three = [(0.9, True), (0.8, True), (0.8, False)]
    for order in (three, three[::-1]):
        assert threshold_for(*answers(*order)) == Acceptance(0.9, 1 / 3)


@given(some_answers, st.sampled_from([0, 0.001, 0.1, 0.25, 0.5, 1]))
def test_the_threshold_is_the_lowest_that_keeps_its_promise(
    given: list[tuple[float, bool]], errors: float
) -> None:
    threshold, coverage = threshold_for(*answers(*given), errors=errors)

    def accepted(lowest: float) -> list[bool]:
        return [right for confidence, right in given if confidence >= lowest]

    def good(rights: list[bool]) -> bool:
        return rights.count(False) <= errors * len(rights)

    assert len(accepted(threshold)) == round(coverage * len(given))
    assert good(accepted(threshold))
    lower = {confidence for confidence, _ in given if confidence < threshold}
    assert not any(good(accepted(confidence)) for confidence in lower)


# The area under the curve


def test_the_area_is_1_where_every_digit_is_more_confident() -> None:
    digits, others = answers((0.9, True), (0.8, False))[0], answers((0.7, False))[0]
    assert auroc(digits, others) == 1
    assert auroc(others, digits) == 0


def test_the_area_is_a_half_where_the_confidence_says_nothing() -> None:
    same, _ = answers((0.5, True), (0.9, True))
    assert auroc(same, same) == 0.5
    assert auroc(same, same[:1].repeat(3, axis=0)) == 0.75
    assert auroc(drawn(4000)[0], drawn(4000, seed=1)[0]) == pytest.approx(0.5, abs=0.02)


@given(some_answers, some_answers)
def test_the_area_counts_the_pairs(
    digits: list[tuple[float, bool]], others: list[tuple[float, bool]]
) -> None:
    pairs = [np.sign(mine - theirs) for mine, _ in digits for theirs, _ in others]
    expected = math.fsum(0.5 + pair / 2 for pair in pairs) / len(pairs)
    assert auroc(answers(*digits)[0], answers(*others)[0]) == pytest.approx(expected)
