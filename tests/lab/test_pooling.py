from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chiffres.data import Dataset
from chiffres.lab.pooling import average_pool_1d, average_pool_2d, max_pool_1d, max_pool_2d
from chiffres.models.backend import keras

ARRAY = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
ALL = (max_pool_1d, average_pool_1d, max_pool_2d, average_pool_2d)

sixteenths = st.integers(-160, 160).map(lambda number: number / 16)
"""Float32 sums a window of them exactly, in whatever order Keras does it."""


@st.composite
def inputs(draw: st.DrawFn, rank: int) -> tuple[Any, int, int | None]:
    """Draw an array, a window that fits on it, and a stride or none."""
    shape = tuple(draw(st.integers(1, 12)) for _ in range(rank))
    array = draw(arrays(np.float32, shape, elements=sixteenths))
    return array, draw(st.integers(1, min(shape))), draw(st.none() | st.integers(1, 5))


def test_the_lab_s_max_pooling() -> None:
    assert str(max_pool_1d(ARRAY.astype(float))) == "[1. 1. 1. 1. 1.]"
    np.testing.assert_array_equal(max_pool_1d(ARRAY), [1, 1, 1, 1, 1])


def test_the_lab_s_average_pooling() -> None:
    assert str(average_pool_1d(ARRAY)) == "[0.5 0.5 0.5 0.5 0.5]"


def test_a_digit_of_28_by_28_becomes_14_by_14(small: Dataset) -> None:
    """The lab's own loops, on a digit."""
    image = small.test.images[0]
    expected = np.zeros((14, 14))
    for i in range(14):
        for j in range(14):
            expected[i, j] = image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max()
    found = max_pool_2d(image)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8
    assert average_pool_2d(image).shape == (14, 14)


def test_known_windows() -> None:
    image = np.arange(16).reshape(4, 4)
    np.testing.assert_array_equal(max_pool_2d(image), [[5, 7], [13, 15]])
    np.testing.assert_array_equal(average_pool_2d(image), [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(max_pool_2d(image, 3, 1), [[10, 11], [14, 15]])
    np.testing.assert_array_equal(max_pool_1d([3, 1, 4, 1, 5, 9, 2], 3, 2), [4, 5, 9])
    np.testing.assert_array_equal(max_pool_1d([-3, -1, -4, -1]), [-1, -1])
    np.testing.assert_array_equal(average_pool_1d([3, 1, 4, 1, 5]), [2, 2.5])


def of_keras(layer: Any, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(layer(array[None, ..., None]))[0, ..., 0])


@settings(max_examples=40)
@given(inputs(1))
def test_it_is_keras_s_pooling(given: tuple[Any, int, int | None]) -> None:
    array, size, stride = given
    maximum = of_keras(keras.layers.MaxPooling1D(size, stride), array)
    np.testing.assert_array_equal(max_pool_1d(array, size, stride), maximum)
    average = of_keras(keras.layers.AveragePooling1D(size, stride), array)
    np.testing.assert_allclose(average_pool_1d(array, size, stride), average, atol=1e-5)


@settings(max_examples=40)
@given(inputs(2))
def test_it_is_keras_s_pooling_of_images(given: tuple[Any, int, int | None]) -> None:
    image, size, stride = given
    maximum = of_keras(keras.layers.MaxPooling2D(size, stride), image)
    np.testing.assert_array_equal(max_pool_2d(image, size, stride), maximum)
    average = of_keras(keras.layers.AveragePooling2D(size, stride), image)
    np.testing.assert_allclose(average_pool_2d(image, size, stride), average, atol=1e-5)


@pytest.mark.parametrize("pool", ALL)
@pytest.mark.parametrize(
    ("size", "stride", "message"),
    [
        (4, None, "a kernel of 4 does not fit on an array of 3"),
        (0, 1, "a kernel of 0 does not fit on an array of 3"),
        (2, 0, "the stride is 0; it must be at least 1"),
        (2, -1, "the stride is -1; it must be at least 1"),
    ],
)
def test_windows_that_cannot_be(pool: Any, size: int, stride: int | None, message: str) -> None:
    array = np.zeros(3) if pool in (max_pool_1d, average_pool_1d) else np.zeros((3, 3))
    with pytest.raises(ValueError, match=message):
        pool(array, size, stride)
