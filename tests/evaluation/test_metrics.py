from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import Dataset, Digits
from chiffres.errors import UnknownNameError
from chiffres.evaluation.intervals import wilson
from chiffres.evaluation.metrics import Evaluation, evaluate
from chiffres.models import as_input
from chiffres.models.files import load_model
from chiffres.training.run import Run

KEYS = [
    "schema",
    "model",
    "dataset",
    "part",
    "n",
    "loss",
    "accuracy",
    "accuracy_interval",
    "calibration_error",
    "errors_at_99_coverage",
    "confusion",
]


def evaluation(labels: list[int], answers: list[dict[int, float]]) -> Evaluation:
    """Return an evaluation whose answers are given by digit; what is left out is 0."""
    probabilities = np.zeros((len(labels), 10))
    for row, answer in zip(probabilities, answers, strict=True):
        row[list(answer)] = list(answer.values())
    images = np.zeros((len(labels), 28, 28), np.uint8)
    digits = Digits(images, np.array(labels, np.uint8))
    return Evaluation("model", "dataset", "test", digits, probabilities)


@pytest.fixture
def four() -> Evaluation:
    """Two digits read right, two wrong, the second of them with more confidence."""
    return evaluation(
        [0, 1, 3, 2],
        [{0: 0.7, 1: 0.3}, {1: 0.6, 7: 0.4}, {8: 0.5, 3: 0.25, 0: 0.25}, {5: 0.9, 2: 0.1}],
    )


def test_what_is_read(four: Evaluation) -> None:
    np.testing.assert_array_equal(four.predicted, [0, 1, 8, 5])
    np.testing.assert_array_equal(four.right, [True, True, False, False])
    assert four.n == 4


def test_accuracy_and_its_interval(four: Evaluation) -> None:
    assert four.accuracy == 0.5
    assert four.accuracy_interval == wilson(2, 4)


def test_the_loss_is_the_mean_cross_entropy(four: Evaluation) -> None:
    assert four.loss == pytest.approx(-math.log(0.7 * 0.6 * 0.25 * 0.1) / 4)


def test_how_far_the_confidence_can_be_trusted(four: Evaluation) -> None:
    """The confidences are in four bins, and the least of them is one of the surest 99 %."""
    assert four.calibration_error == pytest.approx((0.3 + 0.4 + 0.5 + 0.9) / 4)
    assert four.errors_at_99_coverage == 0.5
    sure = evaluation([0] * 100, [{0: 0.9, 1: 0.1}] * 99 + [{1: 0.8, 0: 0.2}])
    assert sure.errors_at_99_coverage == 0
    assert sure.accuracy == 0.99


def test_a_sure_and_right_model_has_no_loss() -> None:
    assert evaluation([4, 4], [{4: 1.0}, {4: 1.0}]).loss == 0


def test_a_sure_and_wrong_model_has_a_finite_loss() -> None:
    assert 15 < evaluation([4], [{5: 1.0}]).loss < 1000


def test_confusion_has_a_row_for_each_digit_shown(four: Evaluation) -> None:
    expected = np.zeros((10, 10))
    expected[0, 0] = expected[1, 1] = expected[3, 8] = expected[2, 5] = 1
    np.testing.assert_array_equal(four.confusion, expected)


def test_precision_recall_and_f1_of_each_digit() -> None:
    answers = [{0: 1.0}, {0: 1.0}, {1: 1.0}, {0: 1.0}]
    scores = evaluation([0, 0, 0, 1], answers).per_digit()
    assert scores.shape == (10, 3)
    np.testing.assert_allclose(scores[0], [2 / 3, 2 / 3, 2 / 3])
    np.testing.assert_array_equal(scores[1:], 0)


def test_the_most_confident_mistakes_come_first(four: Evaluation) -> None:
    np.testing.assert_array_equal(four.misread(), [3, 2])


def test_mistakes_of_the_same_confidence_keep_their_order() -> None:
    found = evaluation([0] * 4, [{1: 0.5}, {2: 0.5}, {0: 1.0}, {3: 0.5}]).misread()
    np.testing.assert_array_equal(found, [0, 1, 3])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60))
def test_the_metrics_agree_with_one_another(pairs: list[tuple[int, int]]) -> None:
    found = evaluation([shown for shown, _ in pairs], [{read: 1.0} for _, read in pairs])
    confusion = found.confusion
    assert confusion.sum() == found.n == len(pairs)
    assert found.accuracy == pytest.approx(confusion.trace() / found.n)
    np.testing.assert_array_equal(confusion.sum(axis=1), found.digits.counts())
    assert len(found.misread()) == found.n - confusion.trace()
    precision, recall, f1 = found.per_digit().T
    np.testing.assert_allclose(recall * confusion.sum(axis=1), confusion.diagonal(), atol=1e-9)
    np.testing.assert_allclose(precision * confusion.sum(axis=0), confusion.diagonal(), atol=1e-9)
    np.testing.assert_allclose(f1 * (precision + recall), 2 * precision * recall, atol=1e-9)


def test_the_json_document_has_the_documented_keys(four: Evaluation) -> None:
    document = json.loads(json.dumps(four.json()))
    assert sorted(document) == sorted(KEYS)
    assert document == {
        "schema": 1,
        "model": "model",
        "dataset": "dataset",
        "part": "test",
        "n": 4,
        "accuracy": 0.5,
        "accuracy_interval": list(wilson(2, 4)),
        "loss": four.loss,
        "calibration_error": four.calibration_error,
        "errors_at_99_coverage": 0.5,
        "confusion": four.confusion.tolist(),
    }


def test_the_metrics_are_those_of_keras(dense_run: Run, small: Dataset) -> None:
    model = load_model(dense_run.folder, compile=True)
    digits = small.test
    expected = model.evaluate(
        as_input(digits.images, model), digits.labels.astype(int), verbose=0, return_dict=True
    )
    found = evaluate(model, small)
    assert found.n == 100
    assert found.accuracy == pytest.approx(expected["accuracy"], abs=1e-7)
    assert found.loss == pytest.approx(expected["loss"], rel=1e-5)


def test_the_validation_part_is_what_training_measured(dense_run: Run, small: Dataset) -> None:
    found = evaluate(dense_run.folder, small, "validation")
    measured = dense_run.metrics()["validation"]
    assert found.accuracy == pytest.approx(measured["accuracy"], abs=1e-7)
    assert found.loss == pytest.approx(measured["loss"], rel=1e-5)


def test_an_evaluation_says_of_what_it_is(dense_run: Run, small: Dataset) -> None:
    found = evaluate(dense_run.folder, small)
    assert (found.model, found.dataset, found.part) == (str(dense_run.folder), "small", "test")
    np.testing.assert_array_equal(found.digits.labels, small.test.labels)
    model = load_model(dense_run.folder)
    assert evaluate(model, small, "train").model == model.name
    assert evaluate(model, small, "train", name="mine").model == "mine"


def test_an_unknown_part(dense_run: Run, small: Dataset) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown part 'tests' \(did you mean 'test'\?\)"):
        evaluate(dense_run.folder, small, "tests")  # type: ignore[arg-type]
