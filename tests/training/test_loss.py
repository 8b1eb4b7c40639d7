"""The loss of digits that a model holds for all but impossible."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.training.loss import NOT_A_DIGIT, Loss, crossentropy, train_on_logits

INPUTS = np.ones((1, 784), np.float32)

logits_of_digits = arrays.arrays(
    np.float32, (5, 10), elements=st.floats(-50, 50, width=32, allow_subnormal=False)
)
labels_of_digits = arrays.arrays(np.int64, 5, elements=st.integers(0, 9))
shares = st.floats(0, 0.99, allow_subnormal=False)


def model_with_logits(logits: list[float], training_loss: Loss | None = None) -> Any:
    """Return a compiled model that answers with these logits to an image of ones."""
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10, activation="softmax")])
    model.set_weights([np.zeros((784, 10), np.float32), np.array(logits, np.float32)])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    train_on_logits(model, training_loss)
    return model


@pytest.mark.parametrize("gap", [0.0, 5.0, 40.0, 1000.0])
def test_the_loss_is_exact_however_improbable_the_digit(gap: float) -> None:
    model = model_with_logits([0.0, gap] + [-2000.0] * 8)
    measured = model.evaluate(INPUTS, np.array([0]), verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(np.logaddexp(0, gap), rel=1e-5)


def test_the_mean_is_over_the_digits() -> None:
    model = model_with_logits([0.0, 3.0] + [-2000.0] * 8)
    both = model.evaluate(np.repeat(INPUTS, 2, 0), np.array([0, 1]), verbose=0, return_dict=True)
    assert both["loss"] == pytest.approx((np.logaddexp(0, 3) + np.logaddexp(0, -3)) / 2, rel=1e-5)
    assert both["accuracy"] == 0.5


def test_an_improbable_digit_is_learnt() -> None:
    model = model_with_logits([0.0, 40.0] + [-2000.0] * 8)
    model.fit(INPUTS, np.array([0]), verbose=0)
    bias = model.get_weights()[1]
    assert bias[:2] == pytest.approx([0.01, 39.99])  # the rate of SGD times a gradient of 1


def test_the_model_still_ends_with_its_softmax(tmp_path: Path) -> None:
    model = model_with_logits([1.0, 2.0] + [0.0] * 8)
    model.fit(INPUTS, np.array([0]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras", compile=True)
    assert loaded.layers[-1].activation is keras.activations.softmax
    answer = keras.ops.convert_to_numpy(loaded(INPUTS))
    assert answer.sum() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(answer, keras.ops.convert_to_numpy(model(INPUTS)), rtol=1e-5)


def mean_loss(labels: Any, logits: Any, smoothing: float = 0.0) -> float:
    return float(keras.ops.convert_to_numpy(crossentropy(labels, logits, smoothing)))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    exact = logits.astype(np.float64)
    shifted = exact - exact.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


@given(labels_of_digits, logits_of_digits)
def test_without_smoothing_it_is_the_plain_crossentropy(
    labels: np.ndarray, logits: np.ndarray
) -> None:
    plain = keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    expected = float(keras.ops.convert_to_numpy(keras.ops.mean(plain)))
    assert mean_loss(labels, logits) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(labels_of_digits, logits_of_digits, shares)
def test_smoothing_spreads_its_share_of_each_target_over_all_digits(
    labels: np.ndarray, logits: np.ndarray, smoothing: float
) -> None:
    logs = log_softmax(logits)
    of_digit, of_all = logs[np.arange(5), labels], logs.mean(axis=1)
    expected = -np.mean((1 - smoothing) * of_digit + smoothing * of_all)
    for shape in ((5,), (5, 1)):
        found = mean_loss(labels.reshape(shape), logits, smoothing)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_smoothed_loss_worked_out_by_hand() -> None:
    """One digit of probability 1/2, nine of 1/18: targets 0.91 and 0.01."""
    logits = np.log(np.array([[0.5] + [0.5 / 9] * 9], np.float32))
    expected = 0.91 * math.log(2) + 9 * 0.01 * math.log(18)
    assert mean_loss(np.array([0]), logits, smoothing=0.1) == pytest.approx(expected, rel=1e-5)


@given(logits_of_digits, shares)
def test_what_is_no_digit_has_the_smallest_loss_where_all_are_as_probable(
    logits: np.ndarray, smoothing: float
) -> None:
    labels = np.full(5, NOT_A_DIGIT)
    assert mean_loss(labels, np.full_like(logits, 3), smoothing) == pytest.approx(math.log(10))
    found = mean_loss(labels, logits, smoothing)
    assert found >= math.log(10) * (1 - 1e-5)
    assert found == pytest.approx(-log_softmax(logits).mean(), rel=1e-4)


def test_the_mean_is_over_digits_and_what_is_none() -> None:
    logits = np.log(np.array([[0.5] + [0.5 / 9] * 9] * 2, np.float32))
    expected = (math.log(2) + (math.log(2) + 9 * math.log(18)) / 10) / 2
    assert mean_loss(np.array([0, NOT_A_DIGIT]), logits) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("label", "smoothing", "towards_0", "towards_1"),
    [
        (0, 0.0, 0.9, -0.1),
        (0, 0.5, 0.45, -0.05),
        (NOT_A_DIGIT, 0.0, 0.0, 0.0),
        (NOT_A_DIGIT, 0.5, 0.0, 0.0),
    ],
)
def test_a_step_goes_from_the_probabilities_to_the_targets(
    label: int, smoothing: float, towards_0: float, towards_1: float
) -> None:
    """SGD with a rate of 0.01, from logits of 0."""
    model = model_with_logits([0.0] * 10, functools.partial(crossentropy, smoothing=smoothing))
    model.fit(INPUTS, np.array([label]), verbose=0)
    expected = 0.01 * np.array([towards_0] + [towards_1] * 9)
    assert model.get_weights()[1] == pytest.approx(expected, abs=1e-8)


def test_evaluation_keeps_to_the_crossentropy() -> None:
    logits = [3.0] + [0.0] * 9
    model = model_with_logits(logits, functools.partial(crossentropy, smoothing=0.5))
    measured = model.evaluate(INPUTS, np.array([0]), verbose=0, return_dict=True)
    plain, smoothed = (mean_loss(np.array([0]), np.array([logits], "f4"), s) for s in (0, 0.5))
    assert measured["loss"] == pytest.approx(plain, rel=1e-5)
    trained = model.fit(INPUTS, np.array([0]), verbose=0).history
    assert trained["loss"] == pytest.approx([smoothed], rel=1e-5)
