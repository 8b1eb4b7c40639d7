"""What the exports ask of Keras's layers."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from chiffres.models.backend import keras

Array = npt.NDArray[Any]


def layers_of(model: keras.Sequential) -> Iterator[Any]:
    """Yield the layers of ``model`` and of the models inside it, in order."""
    for layer in model.layers:
        if isinstance(layer, keras.Sequential):
            yield from layers_of(layer)
        else:
            yield layer


def array_of(variable: Any) -> Array:
    """Return a variable's values."""
    return np.asarray(keras.ops.convert_to_numpy(variable))


def bias_of(layer: Any, features: int) -> Array:
    """Return the layer's biases, zeros where it has none: batch normalization may change them."""
    return np.zeros(features) if layer.bias is None else array_of(layer.bias)


def normalization(layer: Any) -> tuple[Array, Array]:
    """Return what a batch normalization multiplies each feature by, and what it then adds."""
    scale = 1 / np.sqrt(array_of(layer.moving_variance).astype("f8") + layer.epsilon)
    if layer.scale:
        scale = scale * array_of(layer.gamma)
    offset = -array_of(layer.moving_mean) * scale
    if layer.center:
        offset = offset + array_of(layer.beta)
    return scale, offset


def pads(layer: Any, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return how many rows and columns go above, left, below and right: TensorFlow's "same"."""
    sizes = getattr(layer, "pool_size", None) or layer.kernel_size
    missing = [0, 0]
    for axis, dilation in enumerate(getattr(layer, "dilation_rate", (1, 1))):
        length, stride = shape[axis], layer.strides[axis]
        reach = (math.ceil(length / stride) - 1) * stride + (sizes[axis] - 1) * dilation + 1
        if layer.padding == "same":
            missing[axis] = max(reach - length, 0)
    top, left = (number // 2 for number in missing)
    return top, left, missing[0] - top, missing[1] - left


def obstacle(layer: Any, kinds: Container[type]) -> str:
    """Return what keeps a layer from being exported where only ``kinds`` can be, or nothing."""
    if type(layer) not in kinds:
        return f"is a {type(layer).__name__}"
    if layer.dtype_policy.name != "float32":
        return f"computes in {layer.dtype_policy.name}"
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"has data_format={layer.data_format!r}"
    return ""
