"""The network that reads digits that touch: it answers along a strip, for every second column."""

from __future__ import annotations

from chiffres.data.dataset import CLASSES, SIDE
from chiffres.models.backend import keras
from chiffres.models.reader import convolution

layers = keras.layers


def build(filters: int) -> keras.Sequential:
    """Eight convolutions, the last two along the strip alone: so many filters, then more.

    Its input is ``(n, 28, width, 1)``, a strip as in ``chiffres.data.strips``; its output
    ``(n, 1, width / 2, 11)``, the probability that no digit has its middle there, then that a 0
    has, a 1, and so on.
    """
    return keras.Sequential(
        [
            keras.Input((SIDE, None, 1)),
            *convolution(filters, 5),
            layers.MaxPooling2D(),
            *convolution(2 * filters),
            *convolution(2 * filters),
            layers.MaxPooling2D((2, 1)),
            *convolution(3 * filters),
            *convolution(3 * filters),
            layers.MaxPooling2D((2, 1)),
            *convolution(4 * filters, (3, 5)),
            *convolution(4 * filters, (SIDE // 8, 1), padding="valid"),
            *convolution(4 * filters, (1, 5)),
            layers.Dropout(0.15),
            layers.Dense(1 + CLASSES, activation="softmax"),
        ]
    )


def strings() -> keras.Sequential:
    """The network that comes with Chiffres: 512,619 parameters to train."""
    return build(32)


def reads_strings(model: keras.Model) -> bool:
    """Whether a model reads strings along strips, and not one digit in an image."""
    return getattr(model, "input_shape", None) == (None, SIDE, None, 1)


MODELS = {"strings": strings}
