"""How weights are packed and where outputs lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiffres.errors import UsageError
from chiffres.export.c import memory, pack, sizes
from chiffres.export.c.network import (
    Array,
    Convolution,
    Layer,
    Network,
    Pads,
    Pooling,
    Scaling,
    Shape,
    Window,
)


def convolution(
    shape: Shape, window: Window, filters: int, bits: int = 8, pool: tuple[int, int] = (1, 1)
) -> Convolution:
    limit = 2 ** (bits - 1)
    rng = np.random.default_rng(filters)
    weights = rng.integers(-limit, limit, (filters, *window.size, shape.channels)).astype("i1")
    zeros = np.zeros(filters, np.int64)
    ones = np.ones(filters, np.uint16)
    return Convolution(shape, window, weights, zeros, ones, zeros.astype("u1"), bits, pool=pool)


@given(
    filters=st.integers(1, 5),
    rows=st.integers(1, 3),
    channels=st.integers(1, 4),
    bits=st.sampled_from([4, 8]),
)
def test_packed_weights_are_the_weights(filters: int, rows: int, channels: int, bits: int) -> None:
    layer = convolution(Shape(8, 8, channels), Window((rows, 2)), filters, bits)
    words = pack.pack(layer)
    nibbles = (words[..., None] >> np.arange(0, 32, 4, dtype=np.uint32)) & 15
    low, high = (nibbles[..., :4], nibbles[..., 4:])
    low, high = (half.reshape(len(words), -1)[:, : layer.taps].astype(int) for half in (low, high))
    if bits == 8:
        found = low + 16 * high - 128
    else:
        found = np.stack([low, high], axis=1).reshape(-1, layer.taps)[:filters] - 8
    np.testing.assert_array_equal(found, layer.weights.reshape(filters, -1))


def test_text_is_lines_of_c() -> None:
    assert pack.as_text([1, -2, 255]) == "    1, -2, 255,"
    assert pack.as_text([10, 255], width=4) == "    0x000Au, 0x00FFu,"
    lines = pack.as_text(range(500)).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.count(",") for line in lines) == 500


@st.composite
def layers_in_a_row(draw: st.DrawFn) -> list[Layer]:
    whole = st.integers(1, 3)
    shape = Shape(draw(st.integers(4, 12)), draw(st.integers(4, 12)), draw(st.integers(1, 4)))
    stack: list[Layer] = []
    for kind in draw(st.lists(st.sampled_from("cps"), min_size=2, max_size=6)):
        size = (min(draw(whole), shape.height), min(draw(whole), shape.width))
        pads = Pads(*(draw(st.integers(0, 1)) for _ in range(4)))
        window = Window(size, (draw(whole), draw(whole)), pads)
        layer: Layer
        if kind == "s":
            ones = np.ones(shape.channels, np.int64)
            layer = Scaling(shape, ones.astype("i1"), ones, ones.astype("u1"))
        elif kind == "p":
            layer = Pooling(shape, window)
        else:
            down, right = window.positions(shape)
            pool = (min(draw(whole), down), min(draw(whole), right))
            layer = convolution(shape, window, draw(st.integers(1, 9)), pool=pool)
        stack.append(layer)
        shape = layer.output
    return stack


def needed_by(layer: Layer, y: int, x: int) -> Array:
    """Return the bytes of the input that the pixel ``(y, x)`` of the output is made from."""
    numbers = np.arange(layer.shape.size).reshape(layer.shape)
    if isinstance(layer, Scaling):
        return np.asarray(numbers[y, x])
    pool = layer.pool if isinstance(layer, Convolution) else (1, 1)
    (rows, columns), (down, right), pads = layer.window
    top, left = y * pool[0] * down - pads.top, x * pool[1] * right - pads.left
    height, width = (pool[0] - 1) * down + rows, (pool[1] - 1) * right + columns
    return np.asarray(numbers[max(top, 0) : top + height, max(left, 0) : left + width]).ravel()


@given(layers_in_a_row())
def test_no_pixel_is_written_over_what_is_still_needed(stack: list[Layer]) -> None:
    plan = memory.plan(Network(tuple(stack), 1.0))
    assert min(plan.starts) == 0
    assert plan.size <= sum(layer.output.size for layer in stack)
    ends = [start + layer.output.size for start, layer in zip(plan.starts, stack, strict=False)]
    assert max(ends) <= plan.size
    for before, after, layer in zip(plan.starts, plan.starts[1:], stack[1:], strict=False):
        output = layer.output
        pixels = [divmod(pixel, output.width) for pixel in range(output.height * output.width)]
        still_needed = layer.shape.size
        for number, (y, x) in reversed(list(enumerate(pixels))):
            still_needed = min([still_needed, *needed_by(layer, y, x)])
            written = range(
                after + number * output.channels, after + (number + 1) * output.channels
            )
            needed = range(before + still_needed, before + layer.shape.size)
            assert max(written.start, needed.start) >= min(written.stop, needed.stop)


def test_micro_sized_maps_share_their_memory() -> None:
    first = convolution(Shape(28, 28, 1), Window((5, 5), (2, 2)), 8)
    second = convolution(first.output, Window((3, 3)), 16, pool=(2, 2))
    third = convolution(second.output, Window((3, 3)), 32)
    last = convolution(third.output, Window((3, 3)), 10)
    plan = memory.plan(Network((first, second, third, last), 1.0))
    assert first.output.size + second.output.size == 1552
    assert plan.size == 1152 + 16  # the second map begins one of its pixels before the first


def test_a_limit_that_is_exceeded_is_said_with_the_difference() -> None:
    found = sizes.Sizes(data=10_000, code=800, memory=3_000, stack=200)
    sizes.check(found, None, None)
    sizes.check(found, 10_800, 3_200)
    with pytest.raises(
        UsageError, match=r"flash takes 10,800 bytes .* 800 over the limit of 10,000;"
    ):
        sizes.check(found, 10_000, 3_200)
    with pytest.raises(UsageError, match=r"RAM takes 3,200 bytes .* 1 over the limit of 3,199;"):
        sizes.check(found, None, 3_199)
    with pytest.raises(UsageError, match=r"flash takes .*; RAM takes "):
        sizes.check(found, 0, 0)
