"""Genuine ``.h5`` files, written by Keras 2 and by Keras 3 (`scripts/make_h5_fixtures.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiffres import evaluate, load_model, predict
from chiffres.data import Dataset

pytestmark = pytest.mark.backend

FIXTURES = Path(__file__).parent.parent / "fixtures"
FILES = ["keras2-dense", "keras2-conv-dropout", "keras3-dense", "keras3-conv-dropout"]


def recorded(name: str) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    return answers


@pytest.mark.parametrize("name", FILES)
def test_it_answers_as_the_framework_that_wrote_it(name: str, mnist_5k: Dataset) -> None:
    answers = recorded(name)
    images = mnist_5k.test.images[answers["asked"]]
    found = predict(FIXTURES / f"{name}.h5", images)
    np.testing.assert_allclose(found, answers["probabilities"], atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_it_is_as_accurate_as_it_was_there(name: str, mnist_5k: Dataset) -> None:
    evaluation = evaluate(FIXTURES / f"{name}.h5", mnist_5k)
    assert evaluation.accuracy == pytest.approx(recorded(name)["accuracy"], abs=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_its_loss_is_the_one_measured_there(name: str, mnist_5k: Dataset) -> None:
    evaluation = evaluate(FIXTURES / f"{name}.h5", mnist_5k)
    assert evaluation.loss == pytest.approx(recorded(name)["loss"], rel=1e-5)


@pytest.mark.parametrize("generation", ["keras2", "keras3"])
def test_the_layers_are_those_of_the_lab(generation: str) -> None:
    model = load_model(FIXTURES / f"{generation}-conv-dropout.h5")
    assert [type(layer).__name__ for layer in model.layers] == [
        "Conv2D",
        "MaxPooling2D",
        "Dropout",
        "Flatten",
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 10)
    assert [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"] == [0.2, 0.2]
