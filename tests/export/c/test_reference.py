"""The arithmetic, on values worked out by hand and, where they are few, on all there are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chiffres.errors import UsageError
from chiffres.export.c import reference
from chiffres.export.c.network import (
    Array,
    Confidence,
    Convolution,
    Network,
    Pads,
    Pooling,
    Scaling,
    Shape,
    Window,
)


def dense(weights: Array, bias: Array, shift: Array, is_last: bool = False) -> Convolution:
    shape, kernel = Shape(1, 1, weights.shape[1]), weights[:, None, None].astype("i1")
    ones = np.ones(len(bias), np.uint16)
    return Convolution(shape, Window((1, 1)), kernel, bias, ones, shift, is_last=is_last)


def apply(layer: Convolution | Scaling | Pooling, values: Array) -> Array:
    (result,) = reference.outputs(Network((layer,), 1.0), np.asarray(values, np.uint8)[None])
    return np.asarray(result[0])


@pytest.mark.parametrize(
    ("values", "bias", "shift", "expected"),
    [
        ([10, 20], 0, 0, 0),  # 3·10 - 2·20 = -10: rectified
        ([20, 10], 0, 0, 40),
        ([20, 10], 0, 3, 5),  # 40 / 8
        ([20, 10], 4, 3, 5),  # (40 + 4) >> 3: half a unit
        ([20, 8], 4, 3, 6),  # 44 / 8 = 5.5, halves up
        ([255, 0], 0, 0, 255),  # 765: saturated
        ([255, 0], 1023 - 765, 2, 255),
        ([255, 0], 1019 - 765, 2, 254),
        ([0, 255], 509, 0, 0),  # -1
        ([0, 255], 511, 0, 1),
    ],
)
def test_a_sum_is_rectified_shifted_and_saturated(
    values: list[int], bias: int, shift: int, expected: int
) -> None:
    layer = dense(np.array([[3, -2]]), np.array([bias]), np.array([shift], np.uint8))
    assert apply(layer, np.array(values).reshape(1, 1, 2)).item() == expected


def test_a_factor_comes_before_the_shift() -> None:
    layer = dataclasses.replace(
        dense(np.array([[3, -2]]), np.array([1]), np.array([4], np.uint8)),
        factor=np.array([11], np.uint16),
    )
    for values, expected in [((10, 20), 0), ((20, 10), 41 * 11 >> 4), ((255, 0), 255)]:
        assert apply(layer, np.array(values).reshape(1, 1, 2)).item() == expected


def test_a_convolution_slides_pools_and_pads() -> None:
    layer = Convolution(
        shape=Shape(2, 3, 1),
        window=Window((2, 2), pads=Pads(1, 0, 0, 1)),
        weights=np.array([[1, 2], [3, 4]], np.int8).reshape(1, 2, 2, 1),
        bias=np.array([0]),
        factor=np.array([1], np.uint16),
        shift=np.array([0], np.uint8),
        zero=10,
        pool=(1, 3),
    )
    values = np.array([[1, 2, 3], [4, 5, 6]]).reshape(2, 3, 1)
    # rows of windows: around the first one lies 10; each keeps the largest of its three
    first = max(10 + 20 + 3 + 8, 10 + 20 + 6 + 12, 10 + 20 + 9 + 40)
    second = max(1 + 4 + 12 + 20, 2 + 6 + 15 + 24, 3 + 20 + 18 + 40)
    assert apply(layer, values).ravel().tolist() == [first, second]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 25, 49, 100, 169, 181, 256])
def test_a_mean_is_rounded_to_nearest_for_every_sum(n: int) -> None:
    pooling = Pooling(Shape(1, n, 1), Window((1, n), (1, n)), average=True)
    sums = np.arange(255 * n + 1)
    wide = sums * pooling.reciprocal + 2**23
    assert wide.max() < 2**32
    assert ((wide >> 24) == (2 * sums + n) // (2 * n)).all()


def test_a_pooling_takes_the_largest_or_the_mean() -> None:
    values = np.arange(16).reshape(4, 4, 1)
    largest = Pooling(Shape(4, 4, 1), Window((2, 2), (2, 2), Pads(0, 0, 0, 0)))
    assert apply(largest, values).ravel().tolist() == [5, 7, 13, 15]
    mean = Pooling(Shape(4, 4, 1), Window((2, 2), (2, 2)), average=True)
    assert apply(mean, values).ravel().tolist() == [3, 5, 11, 13]  # 2.5, 4.5, ... halves up


def test_a_normalization_of_its_own() -> None:
    layer = Scaling(
        Shape(1, 2, 2), np.array([-1, 3], np.int8), np.array([100, -8]), np.array([0, 1], np.uint8)
    )
    assert apply(layer, np.array([[[1, 1], [200, 200]]])).ravel().tolist() == [99, 0, 0, 255]


def test_equal_scores_are_the_smallest_digit_and_have_no_margin() -> None:
    bias = np.array([0, 3, 5, 5, 1, 2, 5, 0, 0, -7])
    layer = dense(np.zeros((10, 784)), bias, np.zeros(10, np.uint8), is_last=True)
    network = Network((layer,), 1.0, Confidence((0, 1), (600, 900)))
    answers = reference.classify(network, np.zeros((1, 28, 28), np.uint8))
    assert answers.scores.tolist() == [bias.tolist()]
    assert (answers.digits.tolist(), answers.confidence.tolist()) == ([2], [600])


def test_confidence_is_the_last_margin_that_is_reached() -> None:
    table = Confidence((0, 10, 20), (500, 900, 999))
    margins = np.array([0, 9, 10, 19, 20, 2**32 - 1])
    assert reference.confidence_of(table, margins).tolist() == [500, 500, 900, 900, 999, 999]
    assert reference.confidence_of(Confidence((5,), (700,)), np.array([4])).tolist() == [0]


def test_sums_that_could_leave_32_bits_are_refused() -> None:
    weights, shift = np.full((1, 66311), 127), np.zeros(1, np.uint8)
    dense(weights[:, :66310], np.array([0]), shift)  # 255 · 127 · 66310 is below 2^31
    with pytest.raises(UsageError, match=r"66,311 inputs can add up to 2,147,481,735 \+|beyond"):
        dense(weights, np.array([2000]), shift)
