"""Weights as 32-bit words, four bits in each of eight places, and tables as C text.

A word belongs to four values of a window and two weights for each of them: in its lower half, from
the lowest bits up, the first weights, in its upper half the second ones. So the product of a value
with ``word & 0x000F000F`` is two products, 16 bits apart. Weights of four bits are those of two
filters, 8 added to each, so that they are 0 to 15; weights of eight bits are those of one filter,
128 added, its lower four bits in the lower half and its upper four in the upper one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from chiffres.export.c.network import Array, Convolution

AT_ONCE = 4
"""Values of a window that one word has weights for."""
LINE = 96


def words_per_pass(taps: int) -> int:
    """Return how many words a window of ``taps`` values takes, for one or two filters."""
    return -(-taps // AT_ONCE)


def pack(layer: Convolution) -> Array:
    """Return the weights of a layer as words: ``(passes, words)`` uint32.

    A pass computes two filters of four bits each, or one of eight. What is left over in the last
    word of a pass, or for the second filter of the last pass, is 0 and does nothing.
    """
    flat = layer.weights.reshape(layer.filters, -1).astype(np.int64)
    count = words_per_pass(layer.taps)
    if layer.bits == 8:
        whole = np.pad(flat + 128, ((0, 0), (0, count * AT_ONCE - layer.taps)))
        low, high = whole & 15, whole >> 4
    else:
        odd = layer.filters % 2
        whole = np.pad(flat + 8, ((0, odd), (0, count * AT_ONCE - layer.taps)))
        low, high = whole[0::2], whole[1::2]
    places = 4 * np.arange(AT_ONCE)
    halves = [
        (half.reshape(len(half), count, AT_ONCE) << places).sum(axis=2) for half in (low, high)
    ]
    return np.asarray((halves[0] | halves[1] << 16).astype(np.uint32))


def as_text(values: Iterable[int], width: int = 0) -> str:
    """Return numbers as lines of C, hexadecimal with ``width`` digits where that is not 0."""
    lines, line = [], ""
    for value in values:
        word = f"0x{value:0{width}X}u," if width else f"{value},"
        if len(line) + 1 + len(word) > LINE:
            lines.append(line)
            line = ""
        line += f" {word}" if line else word
    return "\n".join(f"    {each}" for each in [*lines, line])
