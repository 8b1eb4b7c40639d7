"""A chain of float layers as a network of integers, without training it any further.

What lies between two layers becomes ``uint8`` with the scale that costs least on some training
images. A filter's weights have the scale for which its sums become the output by a shift alone,
and the finest such: powers of two apart, so up to one bit of eight is not used, and neither a
multiplication nor its rounding is needed.

Weights that are small integers times a unit already, because they were trained so, are taken as
they are, with 4 bits where that is enough; the unit becomes a factor of the sums.

Source: B. Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018, arXiv:1712.05877; shifts alone: S. R. Jain et al.,
Trained Quantization Thresholds for Accurate and Efficient Fixed-Point Inference of Deep Neural
Networks, MLSys 2020, arXiv:1903.08066.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeGuard

import numpy as np
import numpy.typing as npt

from chiffres.export.c import units
from chiffres.export.c.chain import Affine, Chain, Pool, Product
from chiffres.export.c.network import (
    INT32_MAX,
    INT32_MIN,
    LARGEST,
    Array,
    Convolution,
    Layer,
    Network,
    Pads,
    Pooling,
    Scaling,
)

CUTS = np.linspace(0.5, 1, 26)
"""Shares of the largest value at which the others may be cut off."""
SOME = 2**18
"""How many values tell what a cut costs."""


class Code(NamedTuple):
    """How numbers lie in a ``uint8``: as ``scale · (value - zero)``."""

    scale: float
    zero: int


def quantize(chain: Chain, images: npt.NDArray[np.uint8]) -> Network:
    """Return the network of integers nearest to ``chain``.

    Args:
        chain: what was trained.
        images: ``(n, 28, 28)`` uint8, some hundreds of the training part, which tell how large
            the values between the layers become.

    Raises:
        UsageError: a layer is too large for sums of 32 bits.
    """
    code = Code(chain.scale, round(-chain.offset / chain.scale))
    layers: list[Layer] = []
    todo = list(zip(chain.layers, chain.outputs(images), strict=False))
    while todo:
        layer, values = todo.pop(0)
        if isinstance(layer, Pool):
            layers.append(Pooling(layer.shape, layer.window, layer.average))
            continue
        pool = (1, 1)
        following = todo[0][0] if todo else None
        if isinstance(layer, Product) and _is_side_by_side(following):
            pool = following.window.size
            _, values = todo.pop(0)
        output = _code(layer, values, code)
        if isinstance(layer, Product):
            layers.append(_convolution(layer, code, output, pool))
        else:
            layers.append(_scaling(layer, code, output))
        code = output
    last, scale = _scores(chain.last, code)
    return Network((*layers, last), scale)


def _is_side_by_side(layer: Product | Affine | Pool | None) -> TypeGuard[Pool]:
    """Whether ``layer`` takes maxima of windows that neither overlap nor leave the input."""
    return (
        isinstance(layer, Pool)
        and not layer.average
        and layer.window.size == layer.window.strides
        and layer.window.pads == Pads()
    )


def _code(layer: Product | Affine, values: Array, code: Code) -> Code:
    """Return how what comes out of a layer becomes ``uint8``, seen that what goes in has ``code``.

    Where a layer was trained with a highest value, and weights for it, that is it.
    """
    if layer.rectified and math.isfinite(layer.highest) and _trained(layer) is not None:
        return Code(layer.highest / LARGEST, 0)
    low = 0.0 if layer.rectified else min(float(values.min()), 0.0)
    high = max(float(values.max()), 0.0)
    if high == low:
        high = 1.0
    sample = values.reshape(-1)[:: math.ceil(values.size / SOME)].astype(np.float64)
    codes = [_between(low * cut, high * cut) for cut in CUTS]
    best = codes[int(np.argmin([_cost(sample, each) for each in codes]))]
    # a weight of more than 127 would need a negative shift
    finest = np.abs(_relative(layer, code, best.scale)).max() / units.LARGEST_WEIGHT
    return Code(best.scale * max(finest, 1.0), best.zero)


def _between(low: float, high: float) -> Code:
    scale = (high - low) / LARGEST
    return Code(scale, round(-low / scale))


def _cost(values: Array, code: Code) -> float:
    """Return the mean squared error of ``values`` once they are ``uint8``."""
    whole = np.clip(np.rint(values / code.scale) + code.zero, 0, LARGEST)
    return float(np.square((whole - code.zero) * code.scale - values).mean())


def _relative(layer: Product | Affine, code: Code, scale: float) -> Array:
    """Return the weights ``(filters, taps)`` in units of the output per unit of the input."""
    if isinstance(layer, Affine):
        return layer.factor[:, None] * (code.scale / scale)
    return layer.kernel.reshape(-1, len(layer.bias)).T * (code.scale / scale)


def _trained(layer: Product | Affine) -> Array | None:
    """Return each filter's unit, where the layer's weights were trained to be integers."""
    if isinstance(layer, Affine):
        return None
    return units.trained(layer.kernel.reshape(-1, len(layer.bias)).T)


class _Whole(NamedTuple):
    """A layer as integers: weights ``(filters, taps)`` int8, the others ``(filters,)``."""

    weights: Array
    bias: Array
    factor: Array
    shift: Array


def _whole(layer: Product | Affine, code: Code, output: Code) -> _Whole:
    relative, bias = _relative(layer, code, output.scale), layer.bias / output.scale
    unit = _trained(layer)
    if unit is None:
        unit = units.powers_of_two(relative, bias)
    else:
        unit = unit * (code.scale / output.scale)
    weights = _integers(relative / unit[:, None])
    room = LARGEST * np.maximum(weights, 0).sum(axis=1, dtype=np.int64)
    room = room - code.zero * np.minimum(weights, 0).sum(axis=1, dtype=np.int64)
    room = room + np.ceil((np.abs(bias) + output.zero + 1) / unit)
    factor, shift = units.factor_and_shift(unit, room)
    exact = bias / unit + (output.zero + 0.5 * (shift > 0)) * 2.0**shift / factor
    return _Whole(weights, _bias(exact, weights, code), factor.astype("u2"), shift.astype("u1"))


def _integers(values: Array) -> Array:
    lowest, highest = -units.LARGEST_WEIGHT - 1, units.LARGEST_WEIGHT
    return np.asarray(np.clip(np.rint(values), lowest, highest).astype(np.int8))


def _bias(exact: Array, weights: Array, code: Code) -> Array:
    """Return the bias as int32, with what the input's zero adds to each sum taken away."""
    bias = np.rint(exact) - code.zero * weights.sum(axis=1, dtype=np.int64)
    return np.asarray(np.clip(bias, INT32_MIN, INT32_MAX).astype(np.int32))


def _convolution(layer: Product, code: Code, output: Code, pool: tuple[int, int]) -> Convolution:
    whole = _whole(layer, code, output)
    return Convolution(
        shape=layer.shape,
        window=layer.window,
        weights=_kernel(layer, whole.weights),
        bias=whole.bias,
        factor=whole.factor,
        shift=whole.shift,
        bits=_bits(whole.weights),
        zero=code.zero,
        pool=pool,
    )


def _kernel(layer: Product, weights: Array) -> Array:
    """Return weights ``(filters, taps)`` as ``(filters, rows, columns, channels)``."""
    rows, columns, channels, filters = layer.kernel.shape
    return weights.reshape(filters, rows, columns, channels)


def _scaling(layer: Affine, code: Code, output: Code) -> Scaling:
    whole = _whole(layer, code, output)
    return Scaling(layer.shape, whole.weights[:, 0], whole.bias, whole.shift)


def _scores(layer: Product, code: Code) -> tuple[Convolution, float]:
    """Return the last layer, and what a unit of its scores is as a logit."""
    kernel = layer.kernel.reshape(-1, len(layer.bias)).T
    unit = units.trained(kernel.reshape(1, -1))
    if unit is None:
        unit = np.array([np.abs(kernel).max() / units.LARGEST_WEIGHT])
    weights = _integers(kernel / unit)
    scale = float(code.scale * unit[0])
    filters = len(weights)
    convolution = Convolution(
        shape=layer.shape,
        window=layer.window,
        weights=_kernel(layer, weights),
        bias=_bias(layer.bias / scale, weights, code),
        factor=np.ones(filters, np.uint16),
        shift=np.zeros(filters, np.uint8),
        bits=_bits(weights),
        zero=code.zero,
        is_last=True,
    )
    return convolution, scale


def _bits(weights: Array) -> int:
    return 4 if weights.min() >= -8 and weights.max() <= 7 else 8
