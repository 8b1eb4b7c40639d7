"""Where in one array of bytes what comes out of each layer lies.

A layer's output may overlap its input: it is written pixel after pixel, from the first to the last,
and what a pixel needs of the input begins further down with each row. So it is enough that no
pixel is written over what it or a later one still needs.
"""

from __future__ import annotations

from typing import NamedTuple

from chiffres.export.c.network import Convolution, Layer, Network, Scaling, Window


class Plan(NamedTuple):
    """Where the outputs of all layers but the last lie.

    Attributes:
        starts: of each output, the number of its first byte.
        size: bytes in all.
    """

    starts: tuple[int, ...]
    size: int


def plan(network: Network) -> Plan:
    """Return a plan that takes little memory: each output where it adds least.

    The first layer reads the image, which is not in this memory, and the last one writes the
    scores, which are not either.
    """
    starts: list[int] = []
    low = high = 0
    for before, layer in zip((None, *network.layers), network.layers[:-1], strict=False):
        size = layer.output.size
        if before is None:
            choices = [0]
        else:
            start, end = starts[-1], starts[-1] + before.output.size
            choices = [start - lead(layer), end, min(low, start - size)]
        best = min(choices, key=lambda start: max(high, start + size) - min(low, start))
        low, high = min(low, best), max(high, best + size)
        starts.append(best)
    return Plan(tuple(start - low for start in starts), high - low)


def lead(layer: Layer) -> int:
    """Return by how many bytes the output of a layer has to begin before its input, at least."""
    output = layer.output
    lead = 0
    still_needed = layer.shape.size
    for pixel in reversed(range(output.height * output.width)):
        still_needed = min(still_needed, first_byte(layer, *divmod(pixel, output.width)))
        lead = max(lead, (pixel + 1) * output.channels - still_needed)
    return lead


def first_byte(layer: Layer, y: int, x: int) -> int:
    """Return the first byte of the input that the output's pixel ``(y, x)`` needs."""
    pool = layer.pool if isinstance(layer, Convolution) else (1, 1)
    window = Window((1, 1)) if isinstance(layer, Scaling) else layer.window
    row = max(y * pool[0] * window.strides[0] - window.pads.top, 0)
    column = max(x * pool[1] * window.strides[1] - window.pads.left, 0)
    return (row * layer.shape.width + column) * layer.shape.channels
