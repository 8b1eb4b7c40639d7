"""The models that the lab does not have: small, native from end to end, and as described."""

from __future__ import annotations

import logging
import math
import re

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.models import as_input, build_model, find_builder
from chiffres.models.backend import BACKEND, keras
from chiffres.models.files import ALLOWED
from chiffres.native import accelerate

PARAMETERS = {"swift": 55_402, "swift-minute": 75_850, "reader": 448_450}
"""To be trained."""

native = pytest.mark.skipif(BACKEND != "torch", reason="the native step is for Torch")
both = pytest.mark.parametrize("name", PARAMETERS)


def compiled(name: str) -> keras.Sequential:
    model = build_model(name, "unit")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@both
def test_the_parameters_are_as_many_as_the_docstring_says(name: str) -> None:
    trained = sum(math.prod(each.shape) for each in build_model(name).trainable_variables)
    assert trained == PARAMETERS[name]
    (said,) = re.findall(r"([\d,]+) parameters", find_builder(name).__doc__ or "")
    assert int(said.replace(",", "")) == trained


@both
def test_the_weights_fit_in_two_megabytes(name: str) -> None:
    model = build_model(name)
    assert 4 * model.count_params() < 2_000_000
    assert sum(array.nbytes for array in model.get_weights()) == 4 * model.count_params()


@both
def test_an_image_gets_the_probabilities_of_ten_digits(name: str, small: Dataset) -> None:
    model = build_model(name, "unit")
    assert model.input_shape == (None, 28, 28, 1)
    assert model.layers[-1].activation is keras.activations.softmax
    inputs = as_input(small.test.images[:20], model)
    found = keras.ops.convert_to_numpy(model(inputs))
    assert found.shape == (20, 10)
    assert found.min() > 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@both
def test_a_new_model_is_not_sure_of_anything(name: str, small: Dataset) -> None:
    """Weights that are drawn too large would begin with losses far over log 10."""
    keras.utils.set_random_seed(0)
    model = compiled(name)
    inputs, labels = as_input(small.test.images, model), small.test.labels.astype(int)
    assert model.evaluate(inputs, labels, verbose=0)[0] < 2 * np.log(10)


@both
def test_all_layers_can_be_loaded_from_a_file(name: str) -> None:
    assert {type(layer).__name__ for layer in build_model(name, "unit").layers} <= ALLOWED


@native
@both
@pytest.mark.parametrize("training", [True, False])
def test_every_layer_is_native(name: str, training: bool) -> None:
    from chiffres.native.step import Step

    Step(compiled(name), training)  # raises NotLowered where one is not


@native
@both
def test_training_does_not_fall_back_to_plain_keras(
    name: str, small: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    model = accelerate(compiled(name))
    inputs, labels = as_input(small.train.images, model), small.train.labels.astype(int)
    with caplog.at_level(logging.WARNING, "chiffres.native"):
        history = model.fit(inputs[:128], labels[:128], batch_size=32, epochs=3, verbose=0).history
    assert caplog.records == []
    assert type(model.train_function.__self__).__name__ == "Step"
    assert history["loss"][-1] < history["loss"][0]


@native
@both
def test_the_native_model_answers_as_plain_keras_does(name: str, small: Dataset) -> None:
    import torch

    from chiffres.native.lowering import lower

    model = build_model(name, "unit")
    found = torch.from_numpy(as_input(small.test.images[:20], model))
    expected = model(found)
    for operation in lower(model, training=False):
        found = operation(found)
    np.testing.assert_allclose(found.detach(), expected.detach(), atol=1e-5)
