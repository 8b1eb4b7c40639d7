"""The loss of digits that a model holds for all but impossible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.training.loss import train_on_logits

INPUTS = np.ones((1, 784), np.float32)


def model_with_logits(logits: list[float]) -> Any:
    """Return a compiled model that answers with these logits to an image of ones."""
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10, activation="softmax")])
    model.set_weights([np.zeros((784, 10), np.float32), np.array(logits, np.float32)])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    train_on_logits(model)
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
