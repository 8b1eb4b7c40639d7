"""A model taken apart gives what Keras gives, and what cannot be exported is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from chiffres.errors import UsageError
from chiffres.evaluation.predict import predict
from chiffres.export.c.chain import Affine, Pool, Product, as_chain
from chiffres.models import build_model
from chiffres.models.backend import keras
from tests.export.c.conftest import NOISE, drawn, sequential, with_random_weights

layers = keras.layers


def assert_same_answers(model: keras.Sequential) -> None:
    *_, logits = as_chain(model).outputs(NOISE)
    assert logits.shape == (len(NOISE), 1, 1, 10)
    probabilities = softmax(logits.reshape(-1, 10).astype("f8"), axis=1)
    np.testing.assert_allclose(probabilities, predict(model, NOISE), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["dense", "conv-pool", "conv-dropout", "swift", "swift-minute", "reader"]
)
def test_the_models_that_come_with_chiffres(name: str) -> None:
    keras.utils.set_random_seed(1)
    assert_same_answers(build_model(name, "unit"))


@given(data=st.data(), shape=st.sampled_from([(28, 28, 1), (28, 28), (784,)]))
def test_any_stack(data: st.DataObject, shape: tuple[int, ...]) -> None:
    assert_same_answers(drawn(data.draw, shape))


@pytest.mark.parametrize(
    "stack",
    [
        [layers.Flatten(), layers.BatchNormalization(), layers.Dense(10)],
        [layers.ReLU(), layers.Flatten(), layers.Dense(10), layers.Softmax()],
        [layers.Conv2D(10, 28, activation="softmax"), layers.Dropout(0.1), layers.Flatten()],
        [layers.Conv2D(10, 9, strides=9), layers.GlobalAveragePooling2D(), layers.Softmax()],
        [
            keras.Sequential([layers.Conv2D(3, 5), layers.ReLU()]),
            layers.Flatten(),
            layers.Dense(10),
        ],
        [layers.Flatten(), layers.Dense(10, activation="relu")],
    ],
)
def test_rarer_stacks(stack: list[Any]) -> None:
    assert_same_answers(with_random_weights(sequential(layers.Rescaling(1 / 255), *stack)))


def test_normalization_and_rectification_become_part_of_a_layer_where_they_can() -> None:
    model = sequential(
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.ReLU(6.0),  # before the maximum it is the same
        layers.BatchNormalization(),  # of what has been rectified: a layer of its own
        layers.Dropout(0.5),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    )
    chain = as_chain(with_random_weights(model))
    assert chain.scale == pytest.approx(1 / 255)
    assert [type(layer) for layer in chain.layers] == [Product, Pool, Affine]
    first = chain.layers[0]
    assert isinstance(first, Product)
    assert (first.rectified, first.highest) == (True, 6.0)


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (layers.Permute((2, 1, 3)), "is a Permute"),
        (layers.DepthwiseConv2D(3), "is a DepthwiseConv2D"),
        (layers.Conv2D(2, 3, groups=2), "has groups=2"),
        (layers.Conv2D(2, 3, dilation_rate=2), r"has dilation_rate=\(2, 2\)"),
        (layers.Conv2D(2, 3, dtype="mixed_bfloat16"), "computes in mixed_bfloat16"),
        (layers.AveragePooling2D(2, padding="same", strides=3), "averages over the edge"),
        (layers.BatchNormalization(axis=1), "normalizes axis 1"),
        (layers.Activation("tanh"), "has the activation 'tanh'"),
        (layers.Activation("softmax"), r"has a softmax over the shape \(28, 14, 2\)"),
        (layers.ReLU(threshold=1), "has threshold=1"),
        (layers.ReLU(negative_slope=0.5), "has negative_slope=0.5"),
        (layers.Rescaling([[1, 2]]), r"has numbers of the shape \(1, 2\)"),
        (layers.Reshape((7, 7, 4, 4)), "makes 4 axes"),
    ],
)
def test_a_layer_that_cannot_be_exported_is_named(layer: Any, problem: str) -> None:
    layer.name = "odd"
    model = sequential(layers.Reshape((28, 14, 2)), layer, layers.Flatten(), layers.Dense(10))
    with pytest.raises(UsageError, match=f"the layer 'odd' {problem}.*cannot be exported to C"):
        as_chain(model)


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        (layers.MaxPooling2D(), "is no Conv2D"),
        (layers.Conv2D(2, 3, padding="same"), "has padding='same'"),
    ],
)
def test_only_a_convolution_comes_after_a_cropping(after: Any, problem: str) -> None:
    model = sequential(layers.Cropping2D(2), after, layers.Flatten(), layers.Dense(10))
    with pytest.raises(UsageError, match=f"comes after a Cropping2D and {problem}"):
        as_chain(model)


def test_nothing_comes_after_a_softmax() -> None:
    model = sequential(
        layers.Flatten(), layers.Dense(10, activation="softmax"), layers.Dense(10, name="after")
    )
    with pytest.raises(UsageError, match="the layer 'after' comes after a softmax"):
        as_chain(model)


def test_only_a_sequential() -> None:
    images = keras.Input((784,))
    model = keras.Model(images, layers.Dense(10)(images) + layers.Dense(10)(images), name="twice")
    with pytest.raises(UsageError, match="the model 'twice' is a Functional; only a Sequential"):
        as_chain(model)
