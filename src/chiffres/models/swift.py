"""The shortest way to 99 %, and the best that a minute gives: small networks for a laptop.

A margin of two pixels, empty around almost every digit, is left out. The layers are those that
the kernels of ``chiffres.native`` compute as a whole: the first convolution with its pooling, the
others by themselves, each normalization with what follows.
"""

from __future__ import annotations

from typing import Any

from chiffres.models.backend import keras

layers = keras.layers


def normalized(kind: Any, *size: int) -> list[Any]:
    """Return a layer without bias or activation, and what normalizes and rectifies it."""
    layer = kind(*size, use_bias=False, kernel_initializer="he_uniform")
    return [layer, layers.BatchNormalization(momentum=0.9), layers.ReLU()]


def build(filters: list[int], units: int) -> keras.Sequential:
    """Return a network of a first convolution, others between two poolings, and a hidden layer."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Cropping2D(2),
            layers.Conv2D(16, 5, activation="relu", kernel_initializer="he_uniform"),
            layers.MaxPooling2D(),
            *[layer for each in filters for layer in normalized(layers.Conv2D, each, 3)],
            layers.MaxPooling2D(),
            layers.Flatten(),
            *normalized(layers.Dense, units),
            layers.Dense(10, activation="softmax"),
        ]
    )


def swift() -> keras.Sequential:
    """Two convolutions and a hidden layer: 55,402 parameters to train."""
    return build([32], 96)


def swift_minute() -> keras.Sequential:
    """Three convolutions and a hidden layer: 75,850 parameters to train."""
    return build([32, 48], 128)


MODELS = {"swift": swift, "swift-minute": swift_minute}
