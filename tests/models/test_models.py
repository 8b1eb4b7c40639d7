"""Models by name, and what they are fed with."""

from __future__ import annotations

import numpy as np
import pytest

from chiffres.errors import ModelFileError, UnknownNameError
from chiffres.models import as_input, build_model, models
from chiffres.models.backend import BACKEND, keras


def test_the_models_are_found_by_name() -> None:
    assert {"conv", "conv-dropout", "conv-pool", "dense"} <= models().keys()


def test_an_unknown_model_proposes_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'conv-drop' \(did you mean 'conv-d"):
        build_model("conv-drop")


def test_the_backend_is_keras_s_own() -> None:
    assert keras.backend.backend() == BACKEND


IMAGES = np.arange(2 * 784).reshape(2, 28, 28).astype(np.uint8)


@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1)])
def test_images_become_grey_levels_of_the_input_s_shape(shape: tuple[int, ...]) -> None:
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
    found = as_input(IMAGES, model)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, IMAGES.reshape(2, *shape))


@pytest.mark.parametrize("shape", [(32, 32, 1), (28, 28, 3), (783,), (28, 28, 1, 1), (None, 28)])
def test_a_model_of_other_inputs_is_refused(shape: tuple[int | None, ...]) -> None:
    model = keras.Sequential([keras.Input(shape), keras.layers.ReLU()], name="other")
    with pytest.raises(ModelFileError, match="the model 'other' takes inputs of shape") as caught:
        as_input(IMAGES, model)
    assert str((None, *shape)) in str(caught.value)


def test_a_model_of_two_inputs_is_refused() -> None:
    inputs = [keras.Input((784,)), keras.Input((784,))]
    model = keras.Model(inputs, keras.layers.Add()(inputs))
    with pytest.raises(ModelFileError, match="takes inputs of shape"):
        as_input(IMAGES, model)
