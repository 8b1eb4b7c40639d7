"""Several seeds judged as one model."""

from __future__ import annotations

import numpy as np
import pytest

from chiffres.data import Digits
from chiffres.evaluation.intervals import wilson
from chiffres.evaluation.metrics import Evaluation
from chiffres.evaluation.seeds import Evaluations, accuracy_interval

DIGITS = Digits(np.zeros((90, 28, 28), np.uint8), (np.arange(90) % 9).astype(np.uint8))


def run(*wrong: int) -> Evaluation:
    """Return the evaluation of a run that misreads the digits of these numbers."""
    read = DIGITS.labels.astype(int)
    read[list(wrong)] += 1
    return Evaluation("model", "own", "test", DIGITS, 0.9 * np.eye(10)[read] + 0.01)


def test_the_mean_of_the_runs() -> None:
    each = [run(0, 9), run(0), run()]
    found = Evaluations(each)
    assert found.n == 90
    assert found.accuracy == pytest.approx((88 + 89 + 90) / 270)
    assert found.accuracy_sd == pytest.approx(1 / 90)
    assert found.loss == pytest.approx(np.mean([one.loss for one in each]))
    assert found.calibration_error == pytest.approx(np.mean([o.calibration_error for o in each]))
    low, high = found.accuracy_interval
    assert 0 < low < found.accuracy < high < 1


def test_the_accuracy_by_digit_counts_every_run() -> None:
    found = Evaluations([run(0, 9), run(0), run(1)]).accuracy_by_digit()
    assert found[:3] == pytest.approx([1 - 3 / 30, 1 - 1 / 30, 1])
    assert np.isnan(found[9])  # no image of it


def test_one_run_has_wilson_s_interval_and_no_deviation() -> None:
    found = Evaluations([run(3, 4, 5)])
    assert found.accuracy_sd is None
    assert found.accuracy_interval == wilson(87, 90)


def test_runs_that_make_no_mistake_are_not_taken_to_make_none_ever() -> None:
    assert Evaluations([run(), run()]).accuracy_interval == wilson(90, 90)
    assert accuracy_interval(np.ones((3, 50), bool))[0] < 0.95


def test_more_seeds_that_differ_leave_a_narrower_interval() -> None:
    runs = [run(*range(count)) for count in (2, 6, 4, 8, 3, 7)]
    wide, narrow = (
        Evaluations(runs[:count]).accuracy_interval for count in (3, 6)
    )  # of the digits the uncertainty stays
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
