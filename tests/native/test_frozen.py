"""A trained network with its normalization folded answers as Keras does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chiffres.models import build_model
from chiffres.models.backend import BACKEND, keras

if BACKEND != "torch":
    pytest.skip("native operations are Torch's", allow_module_level=True)

import torch

from chiffres.native.frozen import freeze

layers = keras.layers


def answers(model: keras.Sequential, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    x = torch.from_numpy(images)
    with torch.no_grad():
        for operation in freeze(model, torch.float32):
            x = operation(x)
    return x.numpy()


def with_statistics(model: keras.Sequential) -> keras.Sequential:
    """Give each variable other values than those that it begins with."""
    rng = np.random.default_rng(3)
    for variable in model.variables:
        if variable.dtype == "float32":
            drawn = rng.uniform(0.5, 1.5, variable.shape)
            signs = (
                rng.choice([-1.0, 1.0], variable.shape) if variable.path.endswith("kernel") else 1
            )
            variable.assign(0.2 * drawn * signs)
    return model


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize(
    "others", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}]
)
def test_normalization_is_part_of_the_convolution(
    padding: str, use_bias: bool, others: dict[str, bool]
) -> None:
    model = keras.Sequential(
        [
            keras.Input((9, 8, 2)),
            layers.Conv2D(5, 3, padding=padding, use_bias=use_bias),
            layers.BatchNormalization(**others),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    images = np.random.default_rng(0).random((4, 9, 8, 2), np.float32)
    expected = model(images, training=False).detach().numpy()
    assert len(freeze(model, torch.float32)) == 5
    np.testing.assert_allclose(answers(model, images), expected, atol=1e-6)
    expected = with_statistics(model)(images, training=False).detach().numpy()
    np.testing.assert_allclose(answers(model, images), expected, atol=1e-5)


@pytest.mark.parametrize(
    "convolution",
    [
        layers.Conv2D(4, 3, strides=2),
        layers.Conv2D(4, (2, 4), padding="same"),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Conv2D(4, 3, groups=2),
    ],
)
def test_what_cannot_be_folded_stays_apart(convolution: Any) -> None:
    model = keras.Sequential(
        [
            keras.Input((9, 8, 2)),
            type(convolution).from_config(convolution.get_config()),
            layers.BatchNormalization(),
            layers.Flatten(),
        ]
    )
    model = with_statistics(model)
    images = np.random.default_rng(1).random((3, 9, 8, 2), np.float32)
    expected = model(images, training=False).detach().numpy()
    np.testing.assert_allclose(answers(model, images), expected, atol=1e-5)


def test_the_reader_answers_as_ever() -> None:
    model = with_statistics(build_model("reader", "unit"))
    images = np.random.default_rng(2).integers(0, 256, (2, 28, 28, 1)).astype(np.float32)
    expected = model(images, training=False).detach().numpy()
    np.testing.assert_allclose(answers(model, images), expected, atol=1e-4)
