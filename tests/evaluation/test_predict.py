from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from chiffres.data import Dataset
from chiffres.errors import ModelFileError, UsageError
from chiffres.evaluation.predict import predict
from chiffres.models import as_input
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.training.run import Run


def model_of(*layers: Any, shape: tuple[int, ...] = (784,)) -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape), *layers], name="given")


def test_the_answers_are_those_of_keras(dense_run: Run, small: Dataset) -> None:
    model = load_model(dense_run.folder)
    found = predict(model, small.test.images)
    assert found.shape == (100, 10)
    assert found.dtype == np.float64
    expected = model.predict(as_input(small.test.images, model), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_the_probabilities_are_some(dense_run: Run, small: Dataset) -> None:
    found = predict(dense_run.folder, small.test.images)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found.min() >= 0


def test_no_image_gives_no_answer(dense_run: Run, small: Dataset) -> None:
    assert predict(dense_run.folder, small.test.images[:0]).shape == (0, 10)


def test_a_run_a_file_and_a_model_answer_alike(dense_run: Run, small: Dataset) -> None:
    expected = predict(load_model(dense_run.folder), small.test.images)
    for given in (dense_run.folder, dense_run.model_path, str(dense_run.model_path)):
        np.testing.assert_array_equal(predict(given, small.test.images), expected)


def test_a_digit_is_read_the_same_in_any_company(dense_run: Run, mnist_5k: Dataset) -> None:
    """1,001 digits are more than are asked for at a time."""
    model = load_model(dense_run.folder)
    images = mnist_5k.train.images[:1001]
    found = predict(model, images)
    assert found.shape == (1001, 10)
    for at in (0, 999, 1000):
        np.testing.assert_allclose(predict(model, images[at : at + 1])[0], found[at], rtol=1e-4)


def test_a_model_without_a_softmax_is_given_one(small: Dataset) -> None:
    model = model_of(keras.layers.Rescaling(1 / 255), keras.layers.Dense(10))
    outputs = keras.ops.convert_to_numpy(model(as_input(small.test.images, model)))
    found = predict(model, small.test.images)
    np.testing.assert_allclose(found, softmax(outputs.astype(np.float64), axis=1), rtol=1e-5)


@pytest.mark.parametrize("last", ["activation", "layer"])
def test_a_softmax_is_not_taken_twice(small: Dataset, last: str) -> None:
    scale = keras.layers.Rescaling(1 / 255)
    if last == "activation":
        model = model_of(scale, keras.layers.Dense(10, activation="softmax"))
    else:
        model = model_of(scale, keras.layers.Dense(10), keras.layers.Softmax())
    outputs = keras.ops.convert_to_numpy(model(as_input(small.test.images, model)))
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(predict(model, small.test.images), outputs, rtol=1e-4)


def test_dropout_is_off(small: Dataset) -> None:
    model = model_of(keras.layers.Dropout(0.5), keras.layers.Dense(10, activation="softmax"))
    first, second = (predict(model, small.test.images) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1)])
def test_images_take_the_shape_of_the_input(small: Dataset, shape: tuple[int, ...]) -> None:
    flat = model_of(keras.layers.Dense(10, activation="softmax"))
    other = model_of(
        keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax"), shape=shape
    )
    other.set_weights(flat.get_weights())
    images = small.test.images
    np.testing.assert_array_equal(predict(other, images), predict(flat, images))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([keras.layers.Dense(9)], r"\(None, 9\)"),
        ([keras.layers.Dense(11, activation="softmax")], r"\(None, 11\)"),
        ([keras.layers.Dense(20), keras.layers.Reshape((2, 10))], r"\(None, 2, 10\)"),
    ],
    ids=["9", "11", "2×10"],
)
def test_a_model_of_other_outputs_is_refused(small: Dataset, layers: Any, shape: str) -> None:
    model = model_of(*layers)
    with pytest.raises(ModelFileError, match=rf"'given' gives outputs of shape {shape}; expected"):
        predict(model, small.test.images)


def test_a_model_of_two_answers_is_refused(small: Dataset) -> None:
    image = keras.Input((784,))
    model = keras.Model(image, [keras.layers.Dense(10)(image), keras.layers.Dense(2)(image)])
    with pytest.raises(ModelFileError, match="gives outputs of shape"):
        predict(model, small.test.images)


def test_a_model_of_other_inputs_is_refused(small: Dataset) -> None:
    model = model_of(keras.layers.Flatten(), keras.layers.Dense(10), shape=(32, 32, 1))
    with pytest.raises(ModelFileError, match=r"takes inputs of shape \(None, 32, 32, 1\)"):
        predict(model, small.test.images)


def test_a_missing_model(small: Dataset) -> None:
    with pytest.raises(UsageError, match="no such run folder or model file"):
        predict("none.keras", small.test.images)
