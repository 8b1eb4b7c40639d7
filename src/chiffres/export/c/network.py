"""A network of integers: what the exported C code computes, and all that it needs for it.

Everything between two layers is ``uint8``, lies row after row with the channels last, and stands
for ``scale · (value - zero)``. A layer multiplies, adds up in 32 bits, adds its bias and shifts
right; ``reference`` says it to the bit. Only the last layer's sums are not shifted: they are the
ten scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from chiffres.errors import UsageError

Array = npt.NDArray[Any]

LARGEST = 255
"""The largest value between two layers."""
INT32_MIN, INT32_MAX, UINT32_MAX = -(2**31), 2**31 - 1, 2**32 - 1
MAX_SHIFT = 31


class Shape(NamedTuple):
    """The size of what goes from one layer to the next; a vector is one pixel of many channels."""

    height: int
    width: int
    channels: int

    @property
    def size(self) -> int:
        """The number of values, and of bytes."""
        return math.prod(self)


class Pads(NamedTuple):
    """How many rows and columns are put around a layer's input; below 0: how many are cut off."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0


class Window(NamedTuple):
    """What a layer looks at for each of its outputs, and how it moves over the input.

    Attributes:
        size: rows and columns.
        strides: how far it moves, down and to the right.
        pads: what is put around the input.
    """

    size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: Pads = Pads()

    def positions(self, shape: Shape) -> tuple[int, int]:
        """Return how many rows and columns of windows an input has."""
        height = shape.height + self.pads.top + self.pads.bottom
        width = shape.width + self.pads.left + self.pads.right
        return (
            (height - self.size[0]) // self.strides[0] + 1,
            (width - self.size[1]) // self.strides[1] + 1,
        )


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution, of which the largest of each pool is kept; or a dense layer: one window.

    Attributes:
        shape: of the input.
        window: its size is that of the weights.
        weights: ``(filters, rows, columns, channels)`` int8, -8 to 7 where ``bits`` is 4.
        bias: ``(filters,)`` int32, in units of the sums. Half a unit of the output, by which the
            shift rounds to nearest, and the output's zero are part of it.
        factor: ``(filters,)`` uint16, 1 to 65535: what each sum is multiplied by.
        shift: ``(filters,)`` uint8, 0 to 31: by how many bits it is then shifted right.
        bits: of a weight: 4 or 8.
        zero: the value that stands for 0 in the input, 0 to 255; what is around it has this value.
        pool: the rows and columns of windows of which the largest value is kept. Pools lie side by
            side; windows that fill none are not computed.
        is_last: whether the sums are the scores; then nothing is multiplied or shifted.
    """

    shape: Shape
    window: Window
    weights: Array
    bias: Array
    factor: Array
    shift: Array
    bits: int = 8
    zero: int = 0
    pool: tuple[int, int] = (1, 1)
    is_last: bool = False

    def __post_init__(self) -> None:
        flat = self.weights.reshape(self.filters, -1).astype(np.int64)
        bias = self.bias.astype(np.int64)
        highest = LARGEST * np.maximum(flat, 0).sum(axis=1) + bias
        lowest = LARGEST * np.minimum(flat, 0).sum(axis=1) + bias
        if highest.max() > INT32_MAX or lowest.min() < INT32_MIN:
            raise UsageError(
                f"a layer of {self.taps:,} inputs can add up to {highest.max():,}, "
                f"beyond the {INT32_MAX:,} of 32 bits; train a model with fewer"
            )
        assert (np.maximum(highest, 0) * self.factor.astype(np.int64) <= UINT32_MAX).all()

    @property
    def filters(self) -> int:
        """The number of channels that come out."""
        return len(self.weights)

    @property
    def taps(self) -> int:
        """The number of values in a window."""
        return math.prod(self.weights.shape[1:])

    @property
    def output(self) -> Shape:
        """The shape of what comes out."""
        down, right = self.window.positions(self.shape)
        return Shape(down // self.pool[0], right // self.pool[1], self.filters)

    @property
    def is_whole(self) -> bool:
        """Whether the window is all of the input, so that nothing is gathered."""
        return self.window.size == self.shape[:2] and self.window.pads == Pads()

    @property
    def multiplications(self) -> int:
        """How many multiplications and additions an inference takes."""
        return self.output.size * math.prod(self.pool) * self.taps


@dataclass(frozen=True, eq=False)
class Scaling:
    """Each channel times a weight of its own: a batch normalization that is part of no layer.

    Attributes:
        shape: of the input and of the output.
        weights: ``(channels,)`` int8.
        bias: ``(channels,)`` int32, as in ``Convolution``.
        shift: ``(channels,)`` uint8, as in ``Convolution``.
    """

    shape: Shape
    weights: Array
    bias: Array
    shift: Array

    @property
    def output(self) -> Shape:
        """The shape of what comes out."""
        return self.shape


@dataclass(frozen=True)
class Pooling:
    """The largest or the mean value of each channel in a window.

    Attributes:
        shape: of the input.
        window: what is put around the input is never the largest, and a mean has none.
        average: whether it is the mean, rounded to nearest, halves up.
    """

    shape: Shape
    window: Window
    average: bool = False

    SHIFT: ClassVar[int] = 24
    """What divides a sum by the window's size: ``(sum · reciprocal + 2^23) >> 24``.

    That fits 32 bits without a sign, and is exact for windows of up to 181 values.
    """

    @property
    def reciprocal(self) -> int:
        """2^24 divided by the number of values in a window, rounded up."""
        return -(-(1 << self.SHIFT) // math.prod(self.window.size))

    @property
    def output(self) -> Shape:
        """The shape of what comes out."""
        return Shape(*self.window.positions(self.shape), self.shape.channels)


Layer = Convolution | Scaling | Pooling


class Confidence(NamedTuple):
    """How sure an answer is, by how far its score is above the second highest.

    Attributes:
        margins: what the difference must reach, in units of the scores, rising, 0 to 2^31 - 1.
        permille: for each, how many of 1,000 such answers are right, 0 to 999, rising.
    """

    margins: tuple[int, ...]
    permille: tuple[int, ...]


UNKNOWN = Confidence((), ())
"""Of a network that was not asked yet."""


@dataclass(frozen=True)
class Network:
    """From one image of 28×28 pixels to ten scores.

    Attributes:
        layers: the last one is a ``Convolution`` with ten filters that ``is_last``.
        score_scale: what one unit of a score is as a logit, above 0.
        confidence: by margin.
    """

    layers: tuple[Layer, ...]
    score_scale: float
    confidence: Confidence = UNKNOWN

    @property
    def convolutions(self) -> list[Convolution]:
        """The layers that multiply by far the most."""
        return [layer for layer in self.layers if isinstance(layer, Convolution)]

    @property
    def multiplications(self) -> int:
        """How many multiplications and additions an inference takes."""
        return sum(layer.multiplications for layer in self.convolutions)

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        learnt = [layer for layer in self.layers if not isinstance(layer, Pooling)]
        return sum(layer.weights.size + layer.bias.size for layer in learnt)
