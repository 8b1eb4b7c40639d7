from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import correlate

from chiffres.lab.convolution import convolve_1d, convolve_2d, feature_map_length
from chiffres.models.backend import keras

ARRAY = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
KERNEL = [-1, 1, 0]

integers = st.integers(-100, 100)
floats = st.floats(-10, 10, width=32, allow_subnormal=False)


@st.composite
def inputs(draw: st.DrawFn, rank: int, elements: Any, dtype: Any) -> tuple[Any, Any, int]:
    """Draw an array, a kernel that fits on it, and a stride."""
    shape = tuple(draw(st.integers(1, 12)) for _ in range(rank))
    kernel_shape = tuple(draw(st.integers(1, size)) for size in shape)
    array = draw(arrays(dtype, shape, elements=elements))
    kernel = draw(arrays(dtype, kernel_shape, elements=elements))
    return array, kernel, draw(st.integers(1, 5))


def test_the_lab_s_feature_map() -> None:
    found = convolve_1d(ARRAY, KERNEL)
    np.testing.assert_array_equal(found, [1, -1, 1, -1, 1, -1, 1, -1])
    assert f"Feature Map : {found}" == "Feature Map : [ 1 -1  1 -1  1 -1  1 -1]"


def test_the_lab_s_trace(capsys: pytest.CaptureFixture[str]) -> None:
    convolve_1d(ARRAY, KERNEL, trace=True)
    odd, even = "[-1  1  0] * [0 1 0] = 1", "[-1  1  0] * [1 0 1] = -1"
    assert capsys.readouterr().out.splitlines() == [odd, even] * 4


def test_nothing_is_printed_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    convolve_1d(ARRAY, KERNEL)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("length", "kernel_length", "stride", "expected"),
    [(10, 3, 1, 8), (28, 3, 1, 26), (26, 2, 2, 13), (28, 2, 2, 14), (5, 5, 1, 1), (7, 2, 3, 2)],
)
def test_feature_map_lengths(length: int, kernel_length: int, stride: int, expected: int) -> None:
    assert feature_map_length(length, kernel_length, stride) == expected


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 10))
def test_the_length_counts_the_stops(length: int, kernel_length: int, stride: int) -> None:
    stops = [at for at in range(0, length, stride) if at + kernel_length <= length]
    if stops:
        assert feature_map_length(length, kernel_length, stride) == len(stops)
    else:
        with pytest.raises(ValueError, match="does not fit"):
            feature_map_length(length, kernel_length, stride)


@given(inputs(1, integers, np.int64))
def test_it_is_scipy_s_correlation(given: tuple[Any, Any, int]) -> None:
    array, kernel, stride = given
    found = convolve_1d(array, kernel, stride)
    np.testing.assert_array_equal(found, correlate(array, kernel, "valid")[::stride])
    assert found.dtype == np.int64


@given(inputs(2, integers, np.int64))
def test_it_is_scipy_s_correlation_of_images(given: tuple[Any, Any, int]) -> None:
    image, kernel, stride = given
    expected = correlate(image, kernel, "valid", method="direct")[::stride, ::stride]
    np.testing.assert_array_equal(convolve_2d(image, kernel, stride), expected)


def of_keras(layer: Any, array: npt.NDArray[Any], kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what a Keras layer of one filter makes of one array."""
    layer.build((None, *array.shape, 1))
    layer.set_weights([kernel[..., None, None]])
    return np.asarray(keras.ops.convert_to_numpy(layer(array[None, ..., None]))[0, ..., 0])


@settings(max_examples=40)
@given(inputs(1, floats, np.float32))
def test_it_is_keras_s_convolution(given: tuple[Any, Any, int]) -> None:
    array, kernel, stride = given
    layer = keras.layers.Conv1D(1, len(kernel), stride, use_bias=False)
    expected = of_keras(layer, array, kernel)
    np.testing.assert_allclose(convolve_1d(array, kernel, stride), expected, rtol=1e-4, atol=1e-3)


@settings(max_examples=40)
@given(inputs(2, floats, np.float32))
def test_it_is_keras_s_convolution_of_images(given: tuple[Any, Any, int]) -> None:
    image, kernel, stride = given
    layer = keras.layers.Conv2D(1, kernel.shape, stride, use_bias=False)
    expected = of_keras(layer, image, kernel)
    np.testing.assert_allclose(convolve_2d(image, kernel, stride), expected, rtol=1e-4, atol=1e-3)


def test_whole_numbers_times_fractions_are_fractions() -> None:
    np.testing.assert_allclose(convolve_1d([1, 2, 3], [0.5, 0.5]), [1.5, 2.5])
    np.testing.assert_allclose(convolve_2d([[1, 2], [3, 4]], [[0.5]]), [[0.5, 1], [1.5, 2]])


@pytest.mark.parametrize(
    ("array", "kernel", "stride", "message"),
    [
        ([1, 2], [1, 2, 3], 1, "a kernel of 3 does not fit on an array of 2"),
        ([1, 2], [], 1, "a kernel of 0 does not fit on an array of 2"),
        ([], [], 1, "a kernel of 0 does not fit on an array of 0"),
        ([1, 2], [1], 0, "the stride is 0; it must be at least 1"),
        ([1, 2], [1], -1, "the stride is -1; it must be at least 1"),
    ],
)
def test_what_cannot_be_convolved(
    array: list[int], kernel: list[int], stride: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        convolve_1d(array, kernel, stride)
    with pytest.raises(ValueError, match=message):
        convolve_2d(np.array([array]), np.array([kernel]), stride)
