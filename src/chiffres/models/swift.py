"""The shortest way to 99 %: a small network that a laptop trains in seconds."""

from __future__ import annotations

from chiffres.models.backend import keras

layers = keras.layers


def swift() -> keras.Sequential:
    """Three convolutions, the first two pooled: 23,002 parameters."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu", kernel_initializer="he_uniform"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu", kernel_initializer="he_uniform"),
            layers.MaxPooling2D(),
            layers.Conv2D(48, 3, activation="relu", kernel_initializer="he_uniform"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


MODELS = {"swift": swift}
