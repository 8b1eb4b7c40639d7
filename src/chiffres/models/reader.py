"""The network behind ``chiffres read``: the best that a laptop trains overnight, in 2 MB."""

from __future__ import annotations

from typing import Any

from chiffres.models.backend import keras

layers = keras.layers


def convolution(filters: int, size: int | tuple[int, int] = 3, padding: str = "same") -> list[Any]:
    """Return a normalised convolution that keeps the size of its maps, where it is padded."""
    return [
        layers.Conv2D(
            filters, size, padding=padding, use_bias=False, kernel_initializer="he_normal"
        ),
        layers.BatchNormalization(momentum=0.95),
        layers.ReLU(),
    ]


def build(filters: int) -> keras.Sequential:
    """Six convolutions, pooled after each two: so many filters, twice and four times as many."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(filters, 3, activation="relu", kernel_initializer="he_normal"),
            *convolution(filters),
            layers.MaxPooling2D(),
            *convolution(2 * filters),
            *convolution(2 * filters),
            layers.MaxPooling2D(),
            *convolution(4 * filters),
            *convolution(4 * filters),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )


def reader() -> keras.Sequential:
    """The network that comes with Chiffres: 462,250 parameters to train."""
    return build(40)


MODELS = {"reader": reader}
