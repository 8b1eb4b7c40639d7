"""A trained Keras model as a chain of a few kinds of layers, in floats, ready to be quantized.

Rescaling of the pixels becomes the scale of the input, dropout goes, batch normalization becomes
part of the layer before it where nothing lies between. A dense layer is a convolution whose window
is all of its input; what is cropped is what the windows of the convolution after it leave out.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from chiffres.data.dataset import CLASSES
from chiffres.errors import UsageError
from chiffres.export.c.network import Array, Pads, Shape, Window
from chiffres.export.c.reference import largest_of, windows_of
from chiffres.export.keras_layers import array_of, bias_of, layers_of, normalization, obstacle, pads
from chiffres.models.backend import keras


@dataclass
class Product:
    """A convolution or dense layer: ``x · kernel + bias``, perhaps rectified.

    Attributes:
        shape: of the input.
        window: its size is that of the kernel.
        kernel: ``(rows, columns, channels, filters)`` float64.
        bias: ``(filters,)`` float64.
        rectified: whether what is below 0 becomes 0.
        highest: what it is cut off at.
    """

    shape: Shape
    window: Window
    kernel: Array
    bias: Array
    rectified: bool = False
    highest: float = math.inf

    @property
    def output(self) -> Shape:
        """The shape of what comes out."""
        return Shape(*self.window.positions(self.shape), len(self.bias))

    def scale(self, scale: Array, offset: Array) -> None:
        """Let it give ``scale`` times what it gave, plus ``offset``, each per filter."""
        self.kernel = self.kernel * scale
        self.bias = self.bias * scale + offset

    def __call__(self, values: Array) -> Array:
        """Return what it makes of ``values`` ``(n, height, width, channels)`` float32."""
        windows = windows_of(values, self.window)
        matrix = self.kernel.reshape(-1, len(self.bias)).astype(np.float32)
        sums = windows.reshape(-1, len(matrix)) @ matrix + self.bias.astype(np.float32)
        return _rectified(self, sums.reshape(len(values), *self.output))


@dataclass
class Affine:
    """Each channel times a number plus a number, perhaps rectified; attributes as in ``Product``.

    Attributes:
        shape: of the input and of the output.
        factor: ``(channels,)`` float64.
        bias: ``(channels,)`` float64.
        rectified: whether what is below 0 becomes 0.
        highest: what it is cut off at.
    """

    shape: Shape
    factor: Array
    bias: Array
    rectified: bool = False
    highest: float = math.inf

    @property
    def output(self) -> Shape:
        """The shape of what comes out."""
        return self.shape

    def scale(self, scale: Array, offset: Array) -> None:
        """Let it give ``scale`` times what it gave, plus ``offset``, each per channel."""
        self.factor = self.factor * scale
        self.bias = self.bias * scale + offset

    def __call__(self, values: Array) -> Array:
        """Return what it makes of ``values`` ``(n, height, width, channels)`` float32."""
        return _rectified(self, values * self.factor.astype("f4") + self.bias.astype("f4"))


@dataclass
class Pool:
    """The largest or the mean value of each channel in a window.

    Attributes:
        shape: of the input.
        window: what is put around the input is never the largest; a mean has none.
        average: whether it is the mean.
    """

    shape: Shape
    window: Window
    average: bool

    @property
    def output(self) -> Shape:
        """The shape of what comes out."""
        return Shape(*self.window.positions(self.shape), self.shape.channels)

    def __call__(self, values: Array) -> Array:
        """Return what it makes of ``values`` ``(n, height, width, channels)`` float32."""
        if self.average:
            return np.asarray(windows_of(values, self.window).mean(axis=(3, 4)))
        return largest_of(values, self.window)


def _rectified(layer: Product | Affine, values: Array) -> Array:
    return np.clip(values, 0, layer.highest, out=values) if layer.rectified else values


@dataclass
class Chain:
    """What a model does to an image, without its final softmax.

    Attributes:
        scale: what a grey level is multiplied by.
        offset: what is then added.
        layers: in order, but for the last one.
        last: gives the logits: one window, ten filters, not rectified.
    """

    scale: float
    offset: float
    layers: list[Product | Affine | Pool]
    last: Product

    def outputs(self, images: npt.NDArray[np.uint8]) -> Iterator[Array]:
        """Yield what each layer makes of ``images``, ``(n, height, width, channels)`` float32."""
        values = (images * np.float32(self.scale) + np.float32(self.offset)).astype(np.float32)
        for layer in (*self.layers, self.last):
            values = layer(values.reshape(len(images), *layer.shape))
            yield values


def as_chain(model: keras.Model) -> Chain:
    """Return what ``model`` does when it is not trained.

    Args:
        model: takes one image of 28×28 grey levels, gives ten outputs.

    Raises:
        UsageError: it is no Sequential, or has a layer or an option that is not exported.
    """
    if not isinstance(model, keras.Sequential):
        raise UsageError(
            f"the model {model.name!r} is a {type(model).__name__}; only a Sequential can be "
            "exported to C, others to h5 or keras"
        )
    builder = _Builder(_shape(model.input_shape[1:]))
    for layer in layers_of(model):
        builder.append(layer)
    return builder.finish()


def _shape(sizes: tuple[int, ...]) -> Shape:
    """Return a shape as Keras has it with all three sizes: a vector is one pixel."""
    return Shape(*(1,) * (3 - len(sizes)), *sizes) if len(sizes) < 3 else Shape(*sizes)


class _Builder:
    """A chain under construction, and the shape of its end."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.input_scale, self.input_offset = 1.0, 0.0
        self.layers: list[Product | Affine | Pool] = []
        self.softmax = ""
        self.cropped = Pads()

    def append(self, layer: Any) -> None:
        """Append what a Keras layer does."""
        if why := obstacle(layer, _LAYERS):
            _refuse(layer, why)
        if self.softmax and type(layer) not in (keras.layers.Dropout, keras.layers.Flatten):
            _refuse(layer, f"comes after a {self.softmax}")
        if any(self.cropped) and type(layer) not in (keras.layers.Conv2D, keras.layers.Cropping2D):
            _refuse(layer, "comes after a Cropping2D and is no Conv2D")
        _LAYERS[type(layer)](self, layer)
        if hasattr(layer, "activation"):
            self.activate(layer, inspect.unwrap(layer.activation))

    def finish(self) -> Chain:
        """Return the chain, ended with a product of ten filters."""
        last = self.layers.pop() if self.layers else None
        if isinstance(last, Product) and not last.rectified and last.output[:2] == (1, 1):
            return Chain(self.input_scale, self.input_offset, self.layers, last)
        hidden = self.layers if last is None else [*self.layers, last]
        same = _dense_product(Shape(1, 1, CLASSES), np.eye(CLASSES), np.zeros(CLASSES))
        return Chain(self.input_scale, self.input_offset, hidden, same)

    def add(self, layer: Product | Affine | Pool) -> None:
        """Append a layer of the chain."""
        self.layers.append(layer)
        self.shape = layer.output

    def scale(self, scale: Array, offset: Array) -> None:
        """Multiply each channel, and add: as part of the layer before, where that is possible."""
        layers, channels = self.layers, self.shape.channels
        scale, offset = np.broadcast_to(scale, channels), np.broadcast_to(offset, channels)
        if (
            not layers
            and (scale == scale[0]).all()
            and (offset == offset[0]).all()
            and scale[0] > 0
        ):
            self.input_scale *= float(scale[0])
            self.input_offset = self.input_offset * float(scale[0]) + float(offset[0])
        elif layers and not isinstance(layers[-1], Pool) and not layers[-1].rectified:
            layers[-1].scale(scale, offset)
        else:
            self.add(Affine(self.shape, scale.astype("f8"), offset.astype("f8")))

    def activate(self, layer: Any, function: Any) -> None:
        """Append an activation, one of Keras's functions."""
        activations = keras.activations
        if function in (activations.softmax, activations.sigmoid):
            if self.shape != (1, 1, CLASSES):
                _refuse(layer, f"has a {function.__name__} over the shape {tuple(self.shape)}")
            self.softmax = function.__name__
        elif function in (activations.relu, activations.relu6):
            self.rectify(6.0 if function is activations.relu6 else math.inf)
        elif function is not activations.linear:
            _refuse(layer, f"has the activation {getattr(function, '__name__', function)!r}")

    def rectify(self, highest: float) -> None:
        """Cut off what is below 0, or above ``highest``: before a maximum is the same as after."""
        place = len(self.layers) - 1
        while place >= 0 and isinstance(pool := self.layers[place], Pool) and not pool.average:
            place -= 1
        layer = self.layers[place] if place >= 0 else None
        if layer is None or isinstance(layer, Pool):
            ones = np.ones(self.shape.channels)
            layer = Affine(self.shape, ones, np.zeros_like(ones))
            self.add(layer)
        layer.rectified = True
        layer.highest = min(layer.highest, highest)


def _refuse(layer: Any, why: str) -> NoReturn:
    raise UsageError(
        f"the layer {layer.name!r} {why}, which cannot be exported to C; "
        "train a model without it, or export this one to onnx, h5 or keras"
    )


def _convolution(builder: _Builder, layer: Any) -> None:
    if layer.groups != 1:
        _refuse(layer, f"has groups={layer.groups}")
    if tuple(layer.dilation_rate) != (1, 1):
        _refuse(layer, f"has dilation_rate={tuple(layer.dilation_rate)}")
    kernel = array_of(layer.kernel).astype("f8")
    bias = bias_of(layer, layer.filters).astype("f8")
    window = _window(builder, layer)
    if any(builder.cropped):
        if layer.padding != "valid":
            _refuse(layer, f"comes after a Cropping2D and has padding={layer.padding!r}")
        window, builder.cropped = window._replace(pads=builder.cropped), Pads()
    builder.add(Product(builder.shape, window, kernel, bias))


def _cropping(builder: _Builder, layer: Any) -> None:
    (top, bottom), (left, right) = layer.cropping
    more = (top, left, bottom, right)
    builder.cropped = Pads(*(pad - cut for pad, cut in zip(builder.cropped, more, strict=True)))


def _dense(builder: _Builder, layer: Any) -> None:
    kernel, bias = array_of(layer.kernel), bias_of(layer, layer.units)
    builder.add(_dense_product(builder.shape, kernel, bias))


def _dense_product(shape: Shape, kernel: Array, bias: Array) -> Product:
    """Return a dense layer, on each pixel, with a kernel ``(channels, units)``."""
    return Product(shape, Window((1, 1)), kernel[None, None].astype("f8"), bias.astype("f8"))


def _pooling(average: bool) -> Callable[[_Builder, Any], None]:
    def pool(builder: _Builder, layer: Any) -> None:
        window = _window(builder, layer)
        if average and any(window.pads):
            _refuse(layer, "averages over the edge of its input (padding='same')")
        builder.add(Pool(builder.shape, window, average))

    return pool


def _global_pooling(average: bool) -> Callable[[_Builder, Any], None]:
    def pool(builder: _Builder, layer: Any) -> None:
        size = builder.shape[:2]
        builder.add(Pool(builder.shape, Window(size, size), average))

    return pool


def _window(builder: _Builder, layer: Any) -> Window:
    size = getattr(layer, "pool_size", None) or layer.kernel_size
    return Window(tuple(size), tuple(layer.strides), Pads(*pads(layer, builder.shape)))


def _batch_normalization(builder: _Builder, layer: Any) -> None:
    if layer.axis not in (-1, layer.input_spec.ndim - 1):
        _refuse(layer, f"normalizes axis {layer.axis}")
    builder.scale(*normalization(layer))


def _rescaling(builder: _Builder, layer: Any) -> None:
    scale, offset = np.asarray(layer.scale, "f8"), np.asarray(layer.offset, "f8")
    for values in (scale, offset):
        if values.shape not in ((), (builder.shape.channels,)):
            _refuse(layer, f"has numbers of the shape {values.shape}")
    builder.scale(scale, offset)


def _reshape(builder: _Builder, layer: Any) -> None:
    sizes = getattr(layer, "target_shape", (-1,))
    if len(sizes) > 3:
        _refuse(layer, f"makes {len(sizes)} axes")
    builder.shape = _shape(tuple(np.empty(builder.shape).reshape(sizes).shape))


def _relu(builder: _Builder, layer: Any) -> None:
    if layer.threshold:
        _refuse(layer, f"has threshold={layer.threshold}")
    if layer.negative_slope:
        _refuse(layer, f"has negative_slope={layer.negative_slope}")
    builder.rectify(math.inf if layer.max_value is None else float(layer.max_value))


def _softmax(builder: _Builder, layer: Any) -> None:
    if layer.axis not in (-1, layer.output.ndim - 1):
        _refuse(layer, f"has axis={layer.axis}")
    builder.activate(layer, keras.activations.softmax)


def _nothing(builder: _Builder, layer: Any) -> None:
    """Append nothing: all that the layer does is its activation, or is done in training only."""


_LAYERS: dict[type, Callable[[_Builder, Any], None]] = {
    keras.layers.Activation: _nothing,
    keras.layers.AveragePooling2D: _pooling(average=True),
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Conv2D: _convolution,
    keras.layers.Cropping2D: _cropping,
    keras.layers.Dense: _dense,
    keras.layers.Dropout: _nothing,
    keras.layers.Flatten: _reshape,
    keras.layers.GaussianDropout: _nothing,
    keras.layers.GaussianNoise: _nothing,
    keras.layers.GlobalAveragePooling2D: _global_pooling(average=True),
    keras.layers.GlobalMaxPooling2D: _global_pooling(average=False),
    keras.layers.InputLayer: _nothing,
    keras.layers.MaxPooling2D: _pooling(average=False),
    keras.layers.ReLU: _relu,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.Softmax: _softmax,
    keras.layers.SpatialDropout2D: _nothing,
}
