"""C files made from a network of integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jinja2

import chiffres
from chiffres.errors import UsageError
from chiffres.export.c import memory, pack, sizes
from chiffres.export.c.network import Convolution, Layer, Network, Pooling, Scaling

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("chiffres.export.c"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
    autoescape=False,
)
MAX_FIELD = {"uint8_t": 255, "uint16_t": 65535}


def render(template: str, **values: Any) -> str:
    """Return a file made from one of the templates."""
    return _TEMPLATES.get_template(f"{template}.jinja").render(
        version=chiffres.__version__, **values
    )


def model_files(network: Network, title: str, source: str) -> dict[str, str]:
    """Return the header and the code of a network, by file name.

    Args:
        network: what to compute.
        title: what the first line of each file says.
        source: what it was made from, for a comment.
    """
    for text in (title, source):
        if "*/" in text or "\n" in text:
            raise UsageError(f"{text!r} cannot stand in a comment of C; rename the model")
    header = render(
        "chiffres_model.h",
        title=title,
        source=source,
        network=network,
        sizes=sizes.sizes(network),
        steps=[0, *network.confidence.permille],
    )
    return {"chiffres_model.h": header, "chiffres_model.c": _code(network, title)}


def _code(network: Network, title: str) -> str:
    needed = sizes.features(network)
    places = memory.plan(network)
    return render(
        "chiffres_model.c",
        title=title,
        **needed._asdict(),
        bias_type="int32_t" if needed.wide else "int16_t",
        bias_range="32 bits" if needed.wide else "-32768 to 32767",
        layers=[_layer(layer, number, needed) for number, layer in enumerate(network.layers, 1)],
        confidence=network.confidence,
        margins=pack.as_text(network.confidence.margins),
        permille=pack.as_text(network.confidence.permille),
        memory=sizes.memory_bytes(network),
        window=sizes.window_bytes(network),
        steps=list(_steps(network, places)),
    )


def _layer(layer: Layer, number: int, needed: sizes.Features) -> dict[str, Any]:
    """Return what the template writes of a layer."""
    if isinstance(layer, Pooling):
        fields = _pool_fields(layer)
        return {
            "kind": "pool",
            "number": number,
            "comment": _comment(layer, number),
            "fields": fields,
        }
    values = {
        "number": number,
        "comment": _comment(layer, number),
        "filters": layer.output.channels,
        "bias": pack.as_text(layer.bias.tolist()),
        "shift": pack.as_text(layer.shift.tolist()),
    }
    if isinstance(layer, Scaling):
        return values | {"kind": "scale", "weights": pack.as_text(layer.weights.tolist())}
    words = pack.pack(layer).ravel()
    return values | {
        "kind": "convolution",
        "is_last": layer.is_last,
        "factor": pack.as_text(layer.factor.tolist()),
        "words_count": len(words),
        "words": pack.as_text(words.tolist(), width=8),
        "fields": _fields(layer, needed),
    }


def _fields(layer: Convolution, needed: sizes.Features) -> dict[str, int]:
    """Return the numbers of a ``convolution`` in C."""
    (rows, columns), (down, right) = layer.window.size, layer.window.strides
    shape, output = layer.shape, layer.output
    fields = {"count": pack.words_per_pass(layer.taps), "filters": layer.filters}
    fields["run"] = layer.taps if layer.is_whole else columns * shape.channels
    bytes_ = {"bits": layer.bits} if needed.mixed else {}
    if needed.gathers and not layer.is_whole:
        row = shape.width * shape.channels
        fields |= {"row": row, "down": down * row, "right": right * shape.channels}
        bytes_ |= {"window_rows": rows, "rows": output.height, "columns": output.width}
        if needed.pools:
            bytes_ |= {"pool_rows": layer.pool[0], "pool_columns": layer.pool[1]}
        if needed.padded:
            top, left, _, _ = layer.window.pads
            fields["channels"] = shape.channels
            bytes_ |= {"height": shape.height, "width": shape.width}
            bytes_ |= {"step_down": down, "step_right": right}
            bytes_ |= {"top": max(top, 0), "left": max(left, 0), "zero": layer.zero}
    _check(fields, "uint16_t")
    _check(bytes_, "uint8_t")
    return fields | bytes_


def _skipped(layer: Layer) -> int:
    """Return how many bytes of its input come before what a layer does not leave out."""
    if not isinstance(layer, Convolution) or min(layer.window.pads) >= 0:
        return 0
    top, left, _, _ = layer.window.pads
    return -(top * layer.shape.width + left) * layer.shape.channels


def _pool_fields(layer: Pooling) -> dict[str, int]:
    """Return the numbers of a ``pooling`` in C."""
    (rows, columns), (down, right) = layer.window.size, layer.window.strides
    top, left, _, _ = layer.window.pads
    bytes_ = {
        "height": layer.shape.height,
        "width": layer.shape.width,
        "rows": layer.output.height,
        "columns": layer.output.width,
        "window_rows": rows,
        "window_columns": columns,
        "down": down,
        "right": right,
        "top": top,
        "left": left,
    }
    fields = {"channels": layer.shape.channels}
    _check(bytes_, "uint8_t")
    _check(fields, "uint16_t")
    return bytes_ | fields | {"reciprocal": layer.reciprocal if layer.average else 0}


def _check(fields: dict[str, int], kind: str) -> None:
    for name, value in fields.items():
        if value > MAX_FIELD[kind]:
            raise UsageError(
                f"a layer has {name} = {value:,}; the C code holds at most {MAX_FIELD[kind]:,}, so "
                "it is too large for a microcontroller: train a smaller one"
            )


def _comment(layer: Layer, number: int) -> str:
    """Say in one line what a layer is."""
    ends = f"{_product(layer.shape)} -> {_product(layer.output)}"
    if isinstance(layer, Scaling):
        return f"Layer {number}: normalization, {ends}."
    if isinstance(layer, Pooling):
        kind = "mean" if layer.average else "largest"
        return f"Layer {number}: {kind} of {_product(layer.window.size)}, {ends}."
    kind = "dense" if layer.is_whole else f"convolution {_product(layer.window.size)}"
    if layer.window.strides != (1, 1):
        kind += f", steps of {_product(layer.window.strides)}"
    if max(layer.window.pads) > 0:
        kind += f", with {layer.zero} around it"
    if min(layer.window.pads) < 0:
        top, left, bottom, right = (-pad for pad in layer.window.pads)
        kind += f", without the first {top} rows and {left} columns, the last {bottom} and {right}"
    if layer.pool != (1, 1):
        kind += f", largest of {_product(layer.pool)}"
    return f"Layer {number}: {kind}, {ends}; weights of {layer.bits} bits."


def _product(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _steps(network: Network, places: memory.Plan) -> Iterator[str]:
    """Yield the calls, in C, that go from the image to the scores."""
    targets = [f"memory + {start}" if start else "memory" for start in places.starts]
    ends = zip(["image", *targets], [*targets, "0"], strict=True)
    for number, (layer, (source, target)) in enumerate(zip(network.layers, ends, strict=True), 1):
        if skipped := _skipped(layer):
            source += f" + {skipped}"
        if isinstance(layer, Pooling):
            yield f"pool(&pool_{number}, {source}, {target});"
        elif isinstance(layer, Scaling):
            pixels, channels = layer.shape.height * layer.shape.width, layer.shape.channels
            tables = ", ".join(f"{name}_{number}" for name in ("weights", "offset", "shift"))
            yield f"scale({source}, {target}, {pixels}, {channels}, {tables});"
        elif layer.is_last:
            yield f"dense(&layer_{number}, {source}, {target}, result->scores);"
        elif layer.is_whole:
            yield f"dense(&layer_{number}, {source}, {target}, 0);"
        else:
            yield f"convolve(&layer_{number}, {source}, {target});"
