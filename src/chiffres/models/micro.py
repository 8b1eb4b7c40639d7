"""Networks for microcontrollers: what comes between their layers fits one byte, by powers of two.

Pixels are divided by 256, and what comes out of a layer is cut off at 255/32, so that a byte stands
for it without another rounding when such a network is trained with ``bits`` and exported to C.
"""

from __future__ import annotations

import functools

from chiffres.models.backend import keras

layers = keras.layers
HIGHEST = 255 / 32


def build(first: int, second: int, third: int) -> keras.Sequential:
    """Three convolutions of so many filters: the first one strides, the second one is pooled."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 256),
            layers.Conv2D(first, 5, strides=2, kernel_initializer="he_normal"),
            layers.ReLU(HIGHEST),
            layers.Conv2D(second, 3, kernel_initializer="he_normal"),
            layers.MaxPooling2D(),
            layers.ReLU(HIGHEST),
            layers.Conv2D(third, 3, kernel_initializer="he_normal"),
            layers.ReLU(HIGHEST),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def micro() -> keras.Sequential:
    """The network for a chip of 16 kB: 17,674 parameters."""
    return build(12, 24, 48)


def nano() -> keras.Sequential:
    """The network for what is left of a chip: 4,010 parameters."""
    return build(6, 12, 16)


MODELS = {
    "micro": micro,
    "nano": nano,
    **{
        f"micro-{first}": functools.partial(build, first, 2 * first, 4 * first)
        for first in (4, 8, 10)
    },
}
"""``micro-8`` and so on have other numbers of filters: to see what a kilobyte is worth."""
