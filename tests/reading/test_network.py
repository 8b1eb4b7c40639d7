"""Models behind a reader: the shipped one, one's own, and files that are not to be trusted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from chiffres.data import Dataset
from chiffres.errors import ModelFileError, UsageError
from chiffres.reading import Reader, onnx_checks
from chiffres.reading.network import THRESHOLD
from chiffres.training.run import Run
from tests.reading.conftest import WEIGHTS

UINT8, FLOAT = TensorProto.UINT8, TensorProto.FLOAT
SIDE = 28


def model(
    kind: int = UINT8, classes: int = 10, operator: str = "Softmax", **metadata: str
) -> onnx.ModelProto:
    """Return a classifier without a memory: one dense layer of weights 0.001 i."""
    pixels = SIDE * SIDE
    weights = np.linspace(0, 0.001, pixels * classes, dtype=np.float32).reshape(pixels, classes)
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, pixels])
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["floats"], to=FLOAT),
            helper.make_node("Reshape", ["floats", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
            helper.make_node(operator, ["scores"], ["probabilities"]),
        ],
        "digits",
        [helper.make_tensor_value_info("images", kind, ["n", SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", FLOAT, ["n", classes])],
        [helper.make_tensor("weights", FLOAT, weights.shape, weights.ravel()), shape],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, metadata)
    return made


def test_a_model_of_one_s_own(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(model(threshold="0.25").SerializeToString())
    images = np.full((3, SIDE, SIDE), 255, np.uint8)
    by_path, by_bytes = Reader(path), Reader(path.read_bytes())
    assert by_path.reject_below == 0.25
    assert Reader(model().SerializeToString()).reject_below == THRESHOLD
    assert Reader(path, reject_below=0.5).reject_below == 0.5
    np.testing.assert_array_equal(by_path.classify(images), by_bytes.classify(images))
    assert by_path.classify(images).argmax(axis=1).tolist() == [9, 9, 9]


def test_a_run_is_converted(dense_run: Run, small: Dataset) -> None:
    from chiffres.evaluation.predict import predict
    from chiffres.models.files import load_model

    reader = Reader(dense_run.folder)
    images = small.validation.images[:40]
    expected = predict(load_model(str(dense_run.folder)), images)
    np.testing.assert_allclose(reader.classify(images), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (model(kind=FLOAT), r"expected one input, \(n, 28, 28\) uint8, found tensor\(float\)"),
        (model(classes=7), r"expected the output \(1, 10\) float32, found \(1, 7\)"),
        (model(operator="Loop"), "the operator Loop, which is not among those"),
        (model(threshold="high"), "its threshold is 'high'; expected a number, 0 to 1"),
        (model(threshold="2"), "its threshold is '2'"),
    ],
    ids=["input", "classes", "operator", "threshold", "too high"],
)
def test_a_model_that_is_no_classifier_of_digits(made: onnx.ModelProto, problem: str) -> None:
    with pytest.raises(ModelFileError, match=f"^the model: .*{problem}"):
        Reader(made.SerializeToString())


def test_parts_outside_the_file_are_refused() -> None:
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ModelFileError, match="weights outside the file; refused"):
        Reader(made.SerializeToString())


def test_other_domains_branches_and_functions_are_refused() -> None:
    foreign, branched, functions, trained = model(), model(), model(), model()
    foreign.graph.node[3].domain = "com.microsoft"
    branched.graph.node[3].attribute.append(helper.make_attribute("body", model().graph))
    functions.functions.add(name="f")
    trained.training_info.add()
    for made, problem in (
        (foreign, "the operator com.microsoft.Softmax"),
        (branched, "has a loop, a branch or sparse values"),
        (functions, "functions or a training of its own"),
        (trained, "functions or a training of its own"),
    ):
        with pytest.raises(ModelFileError, match=problem):
            Reader(made.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x00\xff" * 50])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"bad\.onnx: damaged"):
        Reader(path)


def test_a_model_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_checks, "MAX_BYTES", 1000)
    with pytest.raises(ModelFileError, match="over the limit of 1,000"):
        Reader(model().SerializeToString())


@given(data=st.data())
def test_a_damaged_model_works_or_is_refused(data: st.DataObject) -> None:
    content = bytearray(model().SerializeToString())
    head = len(content) - SIDE * SIDE * 10 * 4  # but for the weights, which may be any numbers
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, head)) - head // 2] = data.draw(st.integers(0, 255))
    try:
        answer = Reader(bytes(content)).classify(np.zeros((2, SIDE, SIDE), np.uint8))
    except ModelFileError:
        return
    assert answer.shape == (2, 10)


@pytest.mark.parametrize("name", ["none.onnx", "no-such-run", "none.keras"])
def test_a_model_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        Reader(name)


@pytest.mark.parametrize("bar", [-0.1, 1.1, float("nan")])
def test_a_confidence_out_of_range_is_refused(bar: float) -> None:
    with pytest.raises(UsageError, match="expected a confidence, 0 to 1"):
        Reader(reject_below=bar)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="reading/weights/reader.onnx is not there")
def test_reading_imports_no_framework() -> None:
    check = (
        "import sys, numpy; from chiffres.reading import Reader; "
        "Reader().read(numpy.zeros((50, 50), numpy.uint8)); "
        "heavy = {'keras', 'torch', 'sklearn', 'scipy', 'matplotlib', 'onnx', 'pandas'}; "
        "print(heavy & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("none\n", "")
