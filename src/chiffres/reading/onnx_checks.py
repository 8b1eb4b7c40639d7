"""An ONNX file looked through, as untrusted input, before ONNX Runtime sees it.

The file is a protocol buffer; the numbers of its fields are in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, its encoding in
https://protobuf.dev/programming-guides/encoding/. Only what a plain classifier of images needs is
let through: known operators, no loops or functions, all weights inside the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from chiffres.errors import ModelFileError

MAX_BYTES = 256 * 2**20
"""The largest file: 256 MiB."""
MAX_STEP = 4096
"""The largest whole number among the attributes of an operator: a stride, a padding."""
DOMAINS = frozenset({"", "ai.onnx"})
_OPERATORS = """
    Add AveragePool BatchNormalization Cast Celu Clip Concat Constant Conv Div Dropout Elu Erf Exp
    Flatten Gather Gelu Gemm GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity
    LayerNormalization LeakyRelu Log LogSoftmax MatMul Max MaxPool Mean Min Mul Neg PRelu Pad Pow
    Reciprocal ReduceMax ReduceMean ReduceSum Relu Reshape Selu Shape Sigmoid Slice Softmax Softplus
    Softsign Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze
"""
OPERATORS = frozenset(_OPERATORS.split())
"""Every operator that a model may use."""

GRAPH, TRAINING, FUNCTIONS = 7, 20, 25  # of a model
NODES, WEIGHTS, SPARSE = 1, 5, 15  # of a graph
OPERATOR, ATTRIBUTES, DOMAIN = 4, 5, 7  # of a node
NUMBER, TENSOR, SUBGRAPH, NUMBERS, TENSORS, SUBGRAPHS, SPARSES = 3, 5, 6, 8, 10, 11, (22, 23)
EXTERNAL, LOCATION = 13, 14  # of a tensor

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # how a field is encoded


def check_onnx(model: bytes) -> None:
    """Check a model.

    Raises:
        ModelFileError: damaged, too large, or with more in it than a classifier needs.
    """
    if len(model) > MAX_BYTES:
        raise ModelFileError(f"takes {len(model):,} bytes, over the limit of {MAX_BYTES:,}")
    graphs = 0
    for field, value in fields(memoryview(model)):
        if field in (TRAINING, FUNCTIONS):
            raise ModelFileError("brings functions or a training of its own; refused")
        if field == GRAPH:
            graphs += 1
            _check_graph(message(value))
    if not graphs:
        raise ModelFileError("damaged or not an ONNX file: there is no graph in it")


def _check_graph(graph: memoryview) -> None:
    for field, value in fields(graph):
        if field == NODES:
            _check_node(message(value))
        elif field == WEIGHTS:
            _check_tensor(message(value))
        elif field == SPARSE:
            raise ModelFileError("has sparse weights; refused")


def _check_node(node: memoryview) -> None:
    operator = domain = ""
    for field, value in fields(node):
        if field == OPERATOR:
            operator = text(value)
        elif field == DOMAIN:
            domain = text(value)
        elif field == ATTRIBUTES:
            _check_attribute(message(value))
    if operator not in OPERATORS or domain not in DOMAINS:
        name = f"{domain}.{operator}" if domain else operator
        raise ModelFileError(
            f"uses the operator {name}, which is not among those that a classifier of digits needs"
        )


def _check_attribute(attribute: memoryview) -> None:
    for field, value in fields(attribute):
        if field in (SUBGRAPH, SUBGRAPHS, *SPARSES):
            raise ModelFileError("has a loop, a branch or sparse values; refused")
        if field in (TENSOR, TENSORS):
            _check_tensor(message(value))
        elif field in (NUMBER, NUMBERS):
            for number in numbers(value):
                if min(number, 2**64 - number) > MAX_STEP:
                    raise ModelFileError(f"has an operator with the number {number:,}; refused")


def _check_tensor(tensor: memoryview) -> None:
    for field, value in fields(tensor):
        if field == EXTERNAL or (field == LOCATION and value != 0):
            raise ModelFileError("has weights outside the file; refused")


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        elif kind in (FIXED_32, FIXED_64):
            size = 4 if kind == FIXED_32 else 8
        else:
            raise ModelFileError("damaged or not an ONNX file")
        if size > len(message) - at:
            raise ModelFileError("damaged: it ends early, or is not an ONNX file")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number encoded from byte ``at`` on, and where the next one begins."""
    number = 0
    for place in range(10):
        if at + place >= len(message):
            break
        byte = message[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise ModelFileError("damaged or not an ONNX file")


def numbers(value: int | memoryview) -> Iterator[int]:
    """Yield one number, or those packed in a field."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield number


def message(value: int | memoryview) -> memoryview:
    """Return a field's value as the message that it has to be."""
    if isinstance(value, int):
        raise ModelFileError("damaged or not an ONNX file")
    return value


def text(value: int | memoryview) -> str:
    """Return a field's value as text."""
    return bytes(message(value)).decode(errors="replace")
