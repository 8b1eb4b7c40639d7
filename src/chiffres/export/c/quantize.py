"""A chain of float layers as a network of integers, without training it any further.

What lies between two layers becomes ``uint8`` with the scale that costs least on some training
images. A filter's weights have the scale for which its sums become the output by a shift alone,
and the finest such: powers of two apart, so up to one bit of eight is not used, and neither a
multiplication nor its rounding is needed.

Weights that lie on such a grid already, because they were trained so, are taken as they are, and
with 4 bits where that is enough.

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

LARGEST_WEIGHT = 127
MAX_FINENESS = 24
"""The most that a sum is shifted: a weight of float32 has no more bits."""
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
    if layer.rectified and math.isfinite(layer.highest):
        trained = Code(layer.highest / LARGEST, 0)
        if _grid(_relative(layer, code, trained.scale)) is not None:
            return trained
    low = 0.0 if layer.rectified else min(float(values.min()), 0.0)
    high = max(float(values.max()), 0.0)
    if high == low:
        high = 1.0
    sample = values.reshape(-1)[:: math.ceil(values.size / SOME)].astype(np.float64)
    codes = [_between(low * cut, high * cut) for cut in CUTS]
    best = codes[int(np.argmin([_cost(sample, each) for each in codes]))]
    # a weight of more than 127 would need a negative shift
    finest = np.abs(_relative(layer, code, best.scale)).max() / LARGEST_WEIGHT
    return Code(best.scale * max(finest, 1.0), best.zero)


def _between(low: float, high: float) -> Code:
    scale = (high - low) / LARGEST
    return Code(scale, round(-low / scale))


def _cost(values: Array, code: Code) -> float:
    """Return the mean squared error of ``values`` once they are ``uint8``."""
    whole = np.clip(np.rint(values / code.scale) + code.zero, 0, LARGEST)
    return float(np.square((whole - code.zero) * code.scale - values).mean())


def _relative(layer: Product | Affine, code: Code, scale: float) -> Array:
    """Return the weights ``(filters, …)`` in units of the output per unit of the input."""
    if isinstance(layer, Affine):
        return layer.factor[:, None] * (code.scale / scale)
    return layer.kernel.transpose(3, 0, 1, 2) * (code.scale / scale)


def _grid(weights: Array) -> Array | None:
    """Return by how many bits each filter's weights are fractions of 8-bit integers, if all are.

    Args:
        weights: ``(filters, …)`` float64.

    Returns:
        ``(filters,)`` integers, the fewest possible; None where a filter is not on such a grid.
    """
    flat = weights.reshape(len(weights), -1)
    fineness = np.full(len(flat), -1)
    for bits in reversed(range(MAX_FINENESS + 1)):
        scaled = flat * 2.0**bits
        fits = (np.abs(scaled - np.rint(scaled)) < 1e-6).all(axis=1)
        fineness[fits & (np.abs(scaled).max(axis=1) <= LARGEST_WEIGHT + 1)] = bits
    return None if (fineness < 0).any() else fineness


def _whole(layer: Product | Affine, code: Code, output: Code) -> tuple[Array, Array, Array]:
    """Return weights ``(filters, …)``, bias and shift of a layer as integers."""
    weights = _relative(layer, code, output.scale)
    flat = np.abs(weights.reshape(len(weights), -1))
    shift = _grid(weights)
    if shift is None:
        with np.errstate(divide="ignore"):
            finest = np.log2((LARGEST_WEIGHT + 0.49) / flat.max(axis=1))
            # sums, twice over for the zero of the input, stay within 32 bits
            room = np.log2(
                2.0**31 / (512 * flat.sum(axis=1) + np.abs(layer.bias) / output.scale + 512)
            )
        shift = np.clip(np.floor(np.minimum(finest, room)), 0, MAX_FINENESS)
    shift = shift.astype(np.int64)
    unit = 2.0**shift
    whole = np.rint(weights * unit.reshape(-1, *(1,) * (weights.ndim - 1)))
    whole = np.clip(whole, -LARGEST_WEIGHT - 1, LARGEST_WEIGHT).astype(np.int8)
    half = np.where(shift > 0, 2 ** np.maximum(shift - 1, 0), 0)
    bias = np.rint(layer.bias / output.scale * unit) + half + output.zero * 2**shift
    return whole, _bias(bias, whole, code), shift.astype(np.uint8)


def _bias(bias: Array, weights: Array, code: Code) -> Array:
    """Return the bias as int32, with what the input's zero adds to each sum taken away."""
    bias = bias - code.zero * weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int64)
    return np.clip(bias, INT32_MIN, INT32_MAX).astype(np.int32)


def _convolution(layer: Product, code: Code, output: Code, pool: tuple[int, int]) -> Convolution:
    weights, bias, shift = _whole(layer, code, output)
    return Convolution(
        shape=layer.shape,
        window=layer.window,
        weights=weights,
        bias=bias,
        shift=shift,
        bits=_bits(weights),
        zero=code.zero,
        pool=pool,
    )


def _scaling(layer: Affine, code: Code, output: Code) -> Scaling:
    weights, bias, shift = _whole(layer, code, output)
    return Scaling(layer.shape, weights[:, 0], bias, shift)


def _scores(layer: Product, code: Code) -> tuple[Convolution, float]:
    """Return the last layer, and what a unit of its scores is as a logit."""
    weights = layer.kernel.transpose(3, 0, 1, 2)
    fineness = _grid(weights.reshape(1, -1))
    if fineness is None:
        unit = LARGEST_WEIGHT / max(float(np.abs(weights).max()), 1e-30)
    else:
        unit = 2.0 ** int(fineness[0])
    whole = np.rint(weights * unit).astype(np.int8)
    scale = code.scale / unit
    convolution = Convolution(
        shape=layer.shape,
        window=layer.window,
        weights=whole,
        bias=_bias(np.rint(layer.bias / scale), whole, code),
        shift=np.zeros(len(whole), np.uint8),
        bits=_bits(whole),
        zero=code.zero,
        is_last=True,
    )
    return convolution, scale


def _bits(weights: Array) -> int:
    return 4 if weights.min() >= -8 and weights.max() <= 7 else 8
