"""The C kernels as differentiable Torch functions, where they were built.

``LIBRARY`` is None where they were not, or where ``CHIFFRES_NATIVE=0`` turns them off: ask it
before calling. ctypes releases Python's global lock while a kernel runs.
"""

from __future__ import annotations

import ctypes
import math
import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
"""What the kernels are compiled for, each including the ones before it."""
MAX_SIZE = 7
"""The largest kernel of a convolution, in pixels."""
CHUNK = 8
"""Images whose gradients one thread sums up, as in ``kernels.c``."""
PARTS = 16
"""Parts of the positions of flattened maps, whose sums are kept apart, as in ``kernels.c``."""
MEASURES = 9
"""What is measured of each channel that is normalized, as in ``kernels.c``."""
DROPOUT_STEPS = 2**16
"""A rate of dropout is rounded to a multiple of one over this."""

_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64
_SHAPE = [*[_INTEGER] * 5, ctypes.c_int]
_DROP = [ctypes.c_uint32, ctypes.c_float, ctypes.c_uint32, ctypes.c_uint32]
_DENSE = [*[_INTEGER] * 7, *_DROP, *[_INTEGER] * 2, ctypes.c_int]
_ARGUMENTS: dict[str, list[Any]] = {
    "conv_relu": [*[_POINTER] * 4, *_SHAPE],
    "conv_relu_pool": [*[_POINTER] * 5, *_SHAPE],
    "conv_relu_gradients": [*[_POINTER] * 4, *_SHAPE],
    "conv_relu_pool_gradients": [*[_POINTER] * 4, *_SHAPE],
    "find_active": [*[_POINTER] * 3, *_SHAPE],
    "conv_dense": [*[_POINTER] * 7, *_DENSE],
    "conv_dense_gradients": [*[_POINTER] * 10, *_DENSE],
    "dropout": [*[_POINTER] * 2, _INTEGER, *_DROP, _INTEGER, ctypes.c_int],
    "multiply_zeros": [*[_POINTER] * 3, *[_INTEGER] * 5, ctypes.c_int],
    "convolve": [*[_POINTER] * 5, *[_INTEGER] * 7, ctypes.c_int],
    "convolve_of_maps": [*[_POINTER] * 5, *[_INTEGER] * 7, ctypes.c_int],
    "convolve_of_kernel": [*[_POINTER] * 3, *[_INTEGER] * 7, ctypes.c_int],
    "normalize": [*[_POINTER] * 7, *[_INTEGER] * 5, ctypes.c_float, ctypes.c_int],
    "normalize_gradients": [*[_POINTER] * 9, *[_INTEGER] * 5, ctypes.c_int],
    "dense_loss": [*[_POINTER] * 2, *[_INTEGER] * 3, *[_POINTER] * 10, ctypes.c_int],
}


def open_library(path: Path) -> ctypes.CDLL | None:
    """Load the kernels compiled into ``path``; None where it is missing or cannot be loaded."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError:
        return None
    for name, arguments in _ARGUMENTS.items():
        function = getattr(library, name)
        function.argtypes = arguments
    return library


def built(instruction_set: str) -> Path:
    """Return where the package's build puts the kernels for one of ``INSTRUCTION_SETS``."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return Path(__file__).with_name(f"_kernels_{instruction_set}{suffix}")


def best_library() -> ctypes.CDLL | None:
    """Load the kernels for the best instruction set that this processor has."""
    if os.environ.get("CHIFFRES_NATIVE") == "0":
        return None
    library = open_library(built("baseline"))
    if library is None:
        return None
    for name in INSTRUCTION_SETS[1 : library.instruction_set() + 1]:
        library = open_library(built(name)) or library
    return library


LIBRARY = best_library()


class Drop(NamedTuple):
    """Which values dropout makes 0: the same places of any values, and the gradient's.

    Attributes:
        rate: the fraction of them, from 0 to below 1.
        seed: the key of the generator, 0 to 2³²-1.
        draw: which draw with this seed, 0 to 2³²-1.
        first: the row of the batch that the first one of the values is.
        whole: how many rows the batch has; 0: those of the values.
    """

    rate: float
    seed: int
    draw: int
    first: int = 0
    whole: int = 0

    @property
    def arguments(self) -> tuple[int, float, int, int]:
        """Threshold, scale, seed and draw of ``kernels.c``."""
        threshold = min(round(self.rate * DROPOUT_STEPS), DROPOUT_STEPS - 1)
        return threshold, DROPOUT_STEPS / (DROPOUT_STEPS - threshold), self.seed, self.draw


KEEP_ALL = Drop(0.0, 0, 0)


class _Drop(ctypes.Structure):
    """``drop`` of ``kernels.c``."""

    _fields_ = (
        ("threshold", ctypes.c_uint32),
        ("seed", ctypes.c_uint32),
        ("draw", ctypes.c_uint32),
        ("scale", ctypes.c_float),
        ("first", ctypes.c_int64),
        ("whole", ctypes.c_int64),
    )


def conv_relu(images: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return the maps of a convolution with bias and ReLU, "valid", with stride 1.

    No gradient goes back to the images.

    Args:
        images: ``(n, height, width, 1)`` float32.
        kernel: ``(size, size, 1, filters)`` float32, ``size`` up to ``MAX_SIZE``.
        bias: ``(filters,)`` float32.

    Returns:
        ``(n, height - size + 1, width - size + 1, filters)`` float32.
    """
    result: torch.Tensor = _ConvRelu.apply(images, kernel, bias)  # type: ignore[no-untyped-call]
    return result


def conv_relu_pool(images: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return ``conv_relu``'s maps after 2×2 max pooling, "valid", with stride 2."""
    result: torch.Tensor = _ConvReluPool.apply(images, kernel, bias)  # type: ignore[no-untyped-call]
    return result


def takes(filters: int, units: int) -> bool:
    """Whether ``conv_dense`` is made for so many filters and units."""
    return filters % 16 == units % 16 == 0 and filters <= 64 and units <= 1024


def conv_dense(
    images: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    dense: torch.Tensor,
    pool: bool,
    drop: Drop = KEEP_ALL,
) -> torch.Tensor:
    """Return the maps of ``conv_relu``, or of ``conv_relu_pool``, flattened, times ``dense``.

    Background, which is what the first pixel of all is, costs almost nothing without dropout.

    Args:
        images: ``(n, height, width, 1)`` float32, ``n`` at least 1.
        kernel: ``(size, size, 1, filters)`` float32, ``size`` up to ``MAX_SIZE``.
        bias: ``(filters,)`` float32.
        dense: ``(values of all maps, units)`` float32; ``takes(filters, units)``.
        pool: whether the maps are those of ``conv_relu_pool``.
        drop: what dropout makes 0 before ``dense``; ``kernels.c`` says which values these are.

    Returns:
        ``(n, units)`` float32.
    """
    result: torch.Tensor = _ConvDense.apply(images, kernel, bias, dense, pool, drop)  # type: ignore[no-untyped-call]
    return result


def multiply_zeros(x: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Return ``x @ dense``, fast where most of ``x`` is 0, as pixels are.

    No gradient goes back to ``x``.

    Args:
        x: ``(n, inputs)`` float32.
        dense: ``(inputs, units)`` float32; 16 units or more.
    """
    result: torch.Tensor = _MultiplyZeros.apply(x, dense)  # type: ignore[no-untyped-call]
    return result


def convolves(height: int, width: int, channels: int, filters: int) -> bool:
    """Whether ``convolve`` is made for such a layer: maps and weights that stay near at hand."""
    near = height * width * (channels + filters) <= 2**13 and channels * filters <= 2**11
    return channels % 16 == filters % 16 == 0 and near


def convolve(
    maps: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor | None, padding: int
) -> torch.Tensor:
    """Return the convolution of small maps of many channels, with stride 1.

    Args:
        maps: ``(n, height, width, channels)`` float32.
        kernel: ``(size, size, channels, filters)`` float32; ``convolves`` says of which sizes.
        bias: ``(filters,)`` float32.
        padding: zeros on each side of the maps, 0 to ``size - 1``.

    Returns:
        ``(n, height + 2 padding - size + 1, width + 2 padding - size + 1, filters)`` float32.
    """
    result: torch.Tensor = _Convolve.apply(maps, kernel, bias, padding)  # type: ignore[no-untyped-call]
    return result


def normalize(
    maps: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor, epsilon: float, pool: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return maps after batch normalization and ReLU, and what they were normalized by.

    Args:
        maps: ``(n, height, width, channels)`` float32, at least one pixel.
        scale: ``(channels,)`` float32.
        offset: ``(channels,)`` float32.
        epsilon: what is added to the variance.
        pool: whether 2×2 max pooling follows, "valid", with stride 2.

    Returns:
        ``(n, rows, columns, channels)`` float32, and mean and variance of each channel.
    """
    result: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    result = _Normalize.apply(maps, scale, offset, epsilon, pool)  # type: ignore[no-untyped-call]
    return result


class DenseLoss:
    """Dense layers with ReLU, the last one's logits, their mean cross-entropy and all gradients.

    Fast where many values are 0, as after ReLU. What it returns is overwritten by the next call.

    Args:
        kernels: ``(inputs, units)`` float32 of each layer; read at each call, where they are.
        biases: ``(units,)`` float32 of each layer, likewise.
    """

    def __init__(self, kernels: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> None:
        self.parameters = kernels, biases
        self.sizes = [len(kernels[0]), *(len(each) for each in biases)]
        self.of_kernels = [torch.empty_like(each) for each in kernels]
        self.of_biases = [torch.empty_like(each) for each in biases]
        self.scratch = torch.empty(max(each.numel() for each in kernels))
        self.measured = torch.empty(2)
        self.values: list[torch.Tensor] = []

    def __call__(
        self,
        x: torch.Tensor,
        labels: torch.Tensor,
        drops: Sequence[Drop],
        given: bool,
        whole: int = 0,
    ) -> tuple[float, int, torch.Tensor]:
        """Return loss, how many labels the logits are right about, and the logits.

        Then ``of_kernels`` and ``of_biases`` are what these rows add to the gradients of the whole
        batch's loss and, where the first product was given, ``of_values[0]`` that of this product.

        Args:
            x: ``(n, inputs)`` float32; or the product of the first layer, ``(n, units)``.
            labels: ``(n,)`` int64.
            drops: what dropout makes 0 of each layer's values after its ReLU, of all but the last.
            given: whether ``x`` is the product of the first layer.
            whole: the rows of the batch that these are of; 0: ``n``.

        Raises:
            IndexError: a label is none of the classes.
        """
        kernels, biases = self.parameters
        if not self.values or len(self.values[0]) != len(x):
            self.values = [torch.empty((len(x), units)) for units in self.sizes[1:]]
            self.of_values = [torch.empty_like(each) for each in self.values]
            gradients = self.of_values, self.of_kernels, self.of_biases
            self._results = [_pointers(each) for each in (self.values, *gradients)]
        refused = _call(
            "dense_loss",
            *(x.contiguous(), labels.contiguous(), len(x), whole or len(x), len(biases)),
            (ctypes.c_int64 * len(self.sizes))(*self.sizes),
            _pointers([None, *kernels[1:]] if given else kernels),
            _pointers(biases),
            (_Drop * len(drops))(*(_as_drop(each) for each in drops)),
            *self._results,
            *(self.scratch, self.measured),
        )
        if refused:
            wrong = next(each for each in labels.tolist() if not 0 <= each < self.sizes[-1])
            raise IndexError(f"Target {wrong} is out of bounds.")  # as Torch says it
        loss, right = self.measured.tolist()
        return loss, int(right), self.values[-1]


def dropout(values: torch.Tensor, drop: Drop) -> torch.Tensor:
    """Return ``values``, float32 of any shape, with some of them 0 and the others scaled up."""
    result: torch.Tensor = _Dropout.apply(values, drop)  # type: ignore[no-untyped-call]
    return result


def _call(name: str, *arguments: Any) -> int:
    pointers = [each.data_ptr() if isinstance(each, torch.Tensor) else each for each in arguments]
    returned: int = getattr(LIBRARY, name)(*pointers, torch.get_num_threads())
    return returned


def _shape(images: torch.Tensor, kernel: torch.Tensor) -> tuple[int, int, int, int, int]:
    return (*images.shape[:3], kernel.shape[0], kernel.shape[3])


def _gradients(
    name: str, images: torch.Tensor, kept: torch.Tensor, gradient: torch.Tensor, shape: Any
) -> tuple[None, torch.Tensor, torch.Tensor]:
    """Return the gradients of images (none), kernel and bias."""
    n, _, _, size, filters = shape
    partial = torch.empty((-(-n // CHUNK), size * size + 1, filters))
    _call(name, images, kept, gradient.contiguous(), partial, *shape)
    return _summed(partial, size)


def _summed(partial: torch.Tensor, size: int) -> tuple[None, torch.Tensor, torch.Tensor]:
    summed = partial.sum(0)
    return None, summed[:-1].view(size, size, 1, -1), summed[-1]


class _ConvRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Any, kernel: Any, bias: Any) -> Any:
        images, kernel = images.contiguous(), kernel.contiguous()
        ctx.shape = n, height, width, size, filters = _shape(images, kernel)
        maps = torch.empty((n, height - size + 1, width - size + 1, filters))
        _call("conv_relu", images, kernel, bias.contiguous(), maps, *ctx.shape)
        ctx.save_for_backward(images, maps)
        return maps

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        images, maps = ctx.saved_tensors
        return _gradients("conv_relu_gradients", images, maps, gradient, ctx.shape)


class _ConvReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Any, kernel: Any, bias: Any) -> Any:
        images, kernel = images.contiguous(), kernel.contiguous()
        ctx.shape = n, height, width, size, filters = _shape(images, kernel)
        pooled = torch.empty((n, (height - size + 1) // 2, (width - size + 1) // 2, filters))
        winners = torch.empty(pooled.shape, dtype=torch.uint8)
        _call("conv_relu_pool", images, kernel, bias.contiguous(), pooled, winners, *ctx.shape)
        ctx.save_for_backward(images, winners)
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        images, winners = ctx.saved_tensors
        return _gradients("conv_relu_pool_gradients", images, winners, gradient, ctx.shape)


class _ConvDense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Any, kernel: Any, bias: Any, dense: Any, pool: bool, drop: Drop
    ) -> Any:
        images, kernel, dense = images.contiguous(), kernel.contiguous(), dense.contiguous()
        n, height, width, size, filters = _shape(images, kernel)
        units = dense.shape[1]
        flat = images[0, 0, 0].expand(height, width).contiguous()
        active = torch.empty((n, len(dense) // filters), dtype=torch.uint8)
        _call("find_active", images, flat, active, n, height, width, size, int(pool))
        inputs = images, flat, kernel, bias.contiguous(), dense, active
        shape = n, height, width, size, filters, int(pool), units
        ctx.last = *shape, *drop.arguments, drop.first, drop.whole or n
        partial = torch.empty((PARTS, n + 1, units))
        _call("conv_dense", *inputs, partial, *ctx.last)
        ctx.save_for_backward(*inputs)
        summed = partial.sum(0)
        return summed[:-1] + summed[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        inputs, gradient = ctx.saved_tensors, gradient.contiguous()
        _, _, kernel, _, dense, _ = inputs
        size, _, _, filters = kernel.shape
        dense_gradient = torch.empty_like(dense)
        partial = torch.empty((PARTS, size * size + 1, filters))
        outputs = gradient, gradient.sum(0), dense_gradient, partial
        _call("conv_dense_gradients", *inputs, *outputs, *ctx.last)
        return *_summed(partial, size), dense_gradient, None, None


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Any, kernel: Any, bias: Any, padding: int) -> Any:
        maps, kernel = maps.contiguous(), kernel.contiguous()
        n, height, width, channels = maps.shape
        size, filters = kernel.shape[0], kernel.shape[3]
        ctx.shape = *maps.shape, size, filters, padding
        rows, columns = (side + 2 * padding - size + 1 for side in (height, width))
        outputs = torch.empty((n, rows, columns, filters))
        padded = torch.empty((PARTS, height, width + 2 * padding, channels) if padding else 0)
        offset = None if bias is None else bias.contiguous()
        _call("convolve", maps, kernel, offset, outputs, padded, *ctx.shape)
        ctx.save_for_backward(maps, kernel)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        maps, kernel = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_kernel, of_maps, of_bias = torch.empty_like(kernel), None, None
        _call("convolve_of_kernel", maps, gradient, of_kernel, *ctx.shape)
        if ctx.needs_input_grad[0]:
            size, filters, padding = ctx.shape[4:]
            _, rows, columns, _ = gradient.shape
            around = 2 * (size - 1 - padding)
            padded = torch.empty((PARTS, rows, columns + around, filters) if around else 0)
            of_maps = torch.empty_like(maps)
            turned = torch.empty(kernel.shape)
            _call("convolve_of_maps", kernel, gradient, of_maps, turned, padded, *ctx.shape)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 1, 2))
        return of_maps, of_kernel, of_bias, None


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Any, scale: Any, offset: Any, epsilon: float, pool: bool) -> Any:
        maps = maps.contiguous()
        n, height, width, channels = maps.shape
        ctx.shape = *maps.shape, int(pool)
        outputs = torch.empty((n, height >> pool, width >> pool, channels))
        winners = torch.empty(outputs.shape if pool else 0, dtype=torch.uint8)
        measured, sums = torch.empty((MEASURES, channels)), torch.empty((PARTS, 2, channels))
        parameters = scale.contiguous(), offset.contiguous()
        _call("normalize", maps, *parameters, outputs, winners, measured, sums, *ctx.shape, epsilon)
        ctx.save_for_backward(maps, outputs, winners, measured, sums)
        mean, variance = measured[0], measured[1]
        ctx.mark_non_differentiable(mean, variance)
        return outputs, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Any, *_: Any) -> Any:
        maps, outputs, winners, measured, sums = ctx.saved_tensors
        of_scale, of_offset = torch.empty((2, maps.shape[-1]))
        of_maps = torch.empty_like(maps)
        found = measured, of_scale, of_offset, of_maps, sums
        given = maps, outputs, winners, gradient.contiguous()
        _call("normalize_gradients", *given, *found, *ctx.shape)
        return of_maps, of_scale, of_offset, None, None


class _MultiplyZeros(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, dense: Any) -> Any:
        ctx.save_for_backward(x)
        return _multiply_zeros(x, dense)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return None, _multiply_zeros(x.t(), gradient)


def _multiply_zeros(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    right = right.contiguous()
    product = torch.empty((len(left), right.shape[1]))
    _call("multiply_zeros", left, right, product, *left.shape, right.shape[1], *left.stride())
    return product


def _pointers(tensors: Sequence[torch.Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = (None if each is None else each.data_ptr() for each in tensors)
    return (ctypes.c_void_p * len(tensors))(*addresses)


def _as_drop(drop: Drop) -> _Drop:
    threshold, scale, seed, draw = drop.arguments
    return _Drop(threshold, seed, draw, scale, drop.first, drop.whole)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Any, drop: Drop) -> Any:
        ctx.drop = drop
        return _drop(values, drop)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return _drop(gradient, ctx.drop), None


def _drop(values: torch.Tensor, drop: Drop) -> torch.Tensor:
    values = values.contiguous()
    result = torch.empty_like(values)
    offset = drop.first * math.prod(values.shape[1:])
    _call("dropout", values, result, values.numel(), *drop.arguments, offset)
    return result
