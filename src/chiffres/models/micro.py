"""Networks for microcontrollers: a byte holds what comes between their layers.

Each convolution is normalized, so that weights of few bits cost it nothing: the normalization
becomes a factor of its filters' sums. What comes out is cut off at 255/32.
"""

from __future__ import annotations

import functools
from typing import Any

from chiffres.models.backend import keras

layers = keras.layers
HIGHEST = 255 / 32


def build(first: int, second: int, third: int) -> keras.Sequential:
    """Three convolutions of so many filters: the first one strides, the second one is pooled."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 256),
            *_convolution(first, 5, strides=2),
            layers.ReLU(HIGHEST),
            *_convolution(second, 3),
            layers.MaxPooling2D(),
            layers.ReLU(HIGHEST),
            *_convolution(third, 3),
            layers.ReLU(HIGHEST),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _convolution(filters: int, size: int, strides: int = 1) -> list[Any]:
    convolution = layers.Conv2D(
        filters, size, strides=strides, use_bias=False, kernel_initializer="he_normal"
    )
    return [convolution, layers.BatchNormalization(momentum=0.9)]


def micro() -> keras.Sequential:
    """The network for a chip with 16 kB of flash: 22,686 parameters."""
    return build(12, 24, 64)


def nano() -> keras.Sequential:
    """The network that takes less than 4 kB of flash: 5,114 parameters."""
    return build(8, 12, 20)


MODELS = {
    "micro": micro,
    "nano": nano,
    **{f"micro-{n}": functools.partial(build, n, 2 * n, 4 * n) for n in (4, 6, 8, 10)},
}
"""``micro-8`` and so on have other numbers of filters: to see what a kilobyte is worth."""
