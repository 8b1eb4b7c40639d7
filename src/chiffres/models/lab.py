"""The lab's four models: dense, convolution, + max pooling, + dropout."""

from __future__ import annotations

from typing import Any

from chiffres.models.backend import keras

layers = keras.layers


def dense() -> keras.Sequential:
    """Two hidden layers of 300 neurons on 784 pixels: 328,810 parameters."""
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(300, activation="relu"),
            layers.Dense(300, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def conv() -> keras.Sequential:
    """One convolution of 32 kernels 3×3: 2,770,634 parameters."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def conv_pool() -> keras.Sequential:
    """The convolution with 2×2 max pooling after it: 693,962 parameters."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPool2D(2, 2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def conv_dropout(dropout: float = 0.2, pooling: str = "max") -> keras.Sequential:
    """Convolution and pooling with two dropouts of 0.2: 693,962 parameters.

    Args:
        dropout: the share of the values that either dropout makes 0 in training, 0 to below 1.
        pooling: a key of ``POOLING``; without pooling there are 2,770,634 parameters.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            *POOLING[pooling](),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(10, activation="softmax"),
        ]
    )


POOLING: dict[str, Any] = {
    "max": lambda: [layers.MaxPool2D(2, 2)],
    "average": lambda: [layers.AveragePooling2D(2, 2)],
    "none": lambda: [],
}
"""What stands after the convolution, 2×2."""
MODELS = {"dense": dense, "conv": conv, "conv-pool": conv_pool, "conv-dropout": conv_dropout}
