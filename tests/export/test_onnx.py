"""The exported ONNX file, run by ONNX Runtime, against the model that Keras runs."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chiffres
from chiffres.data import Dataset
from chiffres.errors import MissingExtraError, ModelFileError, UsageError
from chiffres.evaluation.predict import predict
from chiffres.export import export_model
from chiffres.export.onnx_activations import ACTIVATIONS
from chiffres.export.onnx_file import as_onnx
from chiffres.models import build_model
from chiffres.models.backend import keras
from chiffres.models.lab import MODELS
from chiffres.training.run import Run

layers = keras.layers
Images = npt.NDArray[np.uint8]
NOISE: Images = np.random.default_rng(5).integers(256, size=(7, 28, 28), dtype=np.uint8)


def session(model: onnx.ModelProto | Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answers(model: onnx.ModelProto | Path, images: Images) -> npt.NDArray[np.float32]:
    (outputs,) = session(model).run(None, {"images": images})
    assert outputs.dtype == np.float32
    return np.asarray(outputs)


def assert_same_answers(model: keras.Sequential, images: Images, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(
        answers(as_onnx(model), images), predict(model, images), rtol=0, atol=atol
    )


def sequential(*stack: Any, shape: tuple[int, ...] = (28, 28, 1)) -> keras.Sequential:
    return keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *stack])


def kinds(model: keras.Sequential) -> Counter[str]:
    return Counter(node.op_type for node in as_onnx(model).graph.node)


def with_random_weights(model: keras.Sequential, seed: int = 0) -> keras.Sequential:
    """Draw all weights, also those that start as zeros or ones; variances are above 0.5."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(size=weight.shape) / np.sqrt(4 * np.prod(weight.shape[:-1]))
        weight.assign(0.5 + np.abs(values) if "variance" in weight.path else values)
    return model


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.backend
@pytest.mark.parametrize("name", MODELS)
def test_the_labs_models_answer_as_before(name: str, mnist_5k: Dataset) -> None:
    keras.utils.set_random_seed(1)
    assert_same_answers(build_model(name, "unit"), mnist_5k.test.images)
    # raw grey levels make logits of hundreds, which have their last bits at 1e-5
    assert_same_answers(build_model(name), mnist_5k.test.images, atol=1e-4)


def test_a_trained_model_answers_as_before_to_all_of_mnist(
    dense_run: Run, full_mnist: Dataset
) -> None:
    images = full_mnist.test.images
    written = export_model(dense_run.folder, "onnx")
    np.testing.assert_allclose(answers(written, images), predict(dense_run.folder, images), 0, 1e-5)


def stack_of(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Any]:
    """Draw layers from images of 1 to 4 channels to ten outputs."""
    whole = st.integers(1, 3)
    pair = st.tuples(whole, whole)
    padding = st.sampled_from(["valid", "same"])
    activation = st.sampled_from(["relu", "tanh", "sigmoid", "elu", "gelu", "linear", "softmax"])
    height, width, channels = draw(st.sampled_from([(28, 28, 1), (28, 14, 2), (14, 14, 4)]))
    dilated = draw(st.booleans())
    options = {
        "strides": 1 if dilated else draw(pair),
        "padding": draw(padding),
        "dilation_rate": draw(pair) if dilated else 1,
        "use_bias": draw(st.booleans()),
        "activation": draw(activation),
    }
    filters, size = 2 * draw(whole), draw(pair)
    groups = 1 if channels == 1 else draw(st.sampled_from([1, 2]))
    convolution = {
        "usual": lambda: layers.Conv2D(filters, size, groups=groups, **options),
        "depthwise": lambda: layers.DepthwiseConv2D(size, depth_multiplier=2, **options),
        "separable": lambda: layers.SeparableConv2D(filters, size, **options),
        "dense": lambda: layers.Dense(filters, activation=options["activation"]),
    }
    between: dict[str, Callable[[], Any]] = {
        "normalization": lambda: layers.BatchNormalization(
            scale=draw(st.booleans()), center=draw(st.booleans())
        ),
        "activation": lambda: layers.Activation(draw(activation)),
        "dropout": lambda: layers.Dropout(0.5),
        "relu": lambda: layers.ReLU(draw(st.sampled_from([None, 0.5])), draw(whole) / 10),
        "leaky": lambda: layers.LeakyReLU(draw(whole) / 10),
        "elu": lambda: layers.ELU(draw(whole) / 2),
        "rescaling": lambda: layers.Rescaling(0.5, draw(st.sampled_from([0, -0.5]))),
    }
    some = st.lists(st.sampled_from(sorted(between)), max_size=2)
    end = {
        "flatten": lambda: [layers.Flatten()],
        "average": lambda: [layers.GlobalAveragePooling2D(keepdims=draw(st.booleans()))],
        "maximum": lambda: [layers.GlobalMaxPooling2D()],
        "reshape": lambda: [layers.Flatten(), layers.Reshape((1, 1, -1)), layers.Flatten()],
    }
    pooling = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D, None]))
    stack: list[Any] = [layers.Reshape((height, width, channels))]
    margin = draw(st.sampled_from([layers.ZeroPadding2D, layers.Cropping2D, None]))
    if margin:
        stack.append(margin((draw(pair), draw(pair))))
    stack.append(draw(st.sampled_from(list(convolution.values())))())
    stack += [between[name]() for name in draw(some)]
    if pooling:
        stack.append(pooling(draw(pair), strides=draw(pair), padding=draw(padding)))
    stack += draw(st.sampled_from(list(end.values())))()
    stack += [between[name]() for name in draw(some)]
    stack += [layers.Flatten(), layers.Dense(10, activation=draw(activation))]
    return stack


@given(data=st.data(), shape=st.sampled_from([(28, 28, 1), (28, 28), (784,)]))
def test_any_stack_answers_as_in_keras(data: st.DataObject, shape: tuple[int, ...]) -> None:
    model = with_random_weights(sequential(*stack_of(data.draw), shape=shape))
    exported = as_onnx(model)
    onnx.checker.check_model(exported, full_check=True)
    np.testing.assert_allclose(answers(exported, NOISE), predict(model, NOISE), rtol=0, atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("function", ACTIVATIONS, ids=lambda function: str(function.__name__))
def test_each_activation_is_that_of_keras(function: Callable[..., Any]) -> None:
    model = sequential(
        layers.Conv2D(3, 9, strides=6, activation=function),
        layers.Flatten(),
        layers.Dense(10, activation=function),
    )
    assert_same_answers(with_random_weights(model), NOISE)


def flat(*stack: Any) -> list[Any]:
    return [*stack, layers.Flatten()]


@pytest.mark.parametrize(
    "stack",
    [
        [*flat(), layers.Dense(12), layers.BatchNormalization(), layers.Dense(10)],
        [*flat(layers.Reshape((28, 28)), layers.BatchNormalization()), layers.Dense(10)],
        [*flat(layers.Reshape((28, 28)), layers.Dense(3)), layers.Dense(10)],
        [*flat(layers.Reshape((14, 14, 4)), layers.Softmax(1)), layers.Dense(10)],
        [*flat(layers.Reshape((14, 14, 4)), layers.Softmax([2])), layers.Dense(10)],
        [*flat(layers.Reshape((7, 7, 4, 4)), layers.Softmax()), layers.Dense(10)],
        [*flat(layers.Conv2D(2, (14, 5), strides=12)), layers.Softmax(), layers.Dense(10)],
        flat(layers.Conv2D(2, 9, 19), layers.Rescaling([1, 2], [0, 1]), layers.Conv2D(10, 2)),
        flat(layers.Conv2D(5, 14, 14), layers.Reshape((10, 2, 1)), layers.Conv2D(1, (1, 2))),
        flat(layers.Conv2D(5, 14, (14, 15))),  # its ten features are not in ONNX's order
    ],
)
def test_rarer_stacks_answer_as_in_keras(stack: list[Any]) -> None:
    assert_same_answers(with_random_weights(sequential(*stack)), NOISE)


def test_a_model_inside_a_model_is_unrolled() -> None:
    inner = keras.Sequential([layers.Conv2D(3, 5, strides=3), layers.BatchNormalization()])
    model = sequential(inner, keras.Sequential([layers.Flatten()]), layers.Dense(10))
    assert_same_answers(with_random_weights(model), NOISE)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_any_number_of_images(n: int) -> None:
    model = build_model("conv-dropout", "unit")
    exported = as_onnx(model)
    assert answers(exported, NOISE[:n]).shape == (n, 10)
    np.testing.assert_allclose(answers(exported, NOISE[:n]), predict(model, NOISE[:n]), atol=1e-5)


def test_images_are_uint8_and_nothing_else() -> None:
    ready = session(as_onnx(build_model("dense")))
    (images,), (probabilities,) = ready.get_inputs(), ready.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["n", 28, 28])
    assert (probabilities.name, probabilities.type) == ("probabilities", "tensor(float)")
    assert probabilities.shape == ["n", 10]
    with pytest.raises(Exception, match="Unexpected input data type"):
        ready.run(None, {"images": NOISE.astype(np.float32)})
    with pytest.raises(Exception, match="invalid dimensions"):
        ready.run(None, {"images": NOISE[:, :27]})


@pytest.mark.parametrize(
    ("softmaxes", "stack"),
    [
        (1, [*flat(), layers.Dense(10)]),
        (1, [*flat(), layers.Dense(10, activation="sigmoid")]),
        (1, [*flat(), layers.Dense(10, activation="softmax")]),
        (1, [*flat(), layers.Dense(10), layers.Softmax(), layers.Dropout(0.5)]),
        (1, flat(layers.Conv2D(10, 28, activation="softmax"))),
        (1, [layers.Conv2D(10, 3, activation="softmax"), layers.GlobalAveragePooling2D()]),
        (2, [layers.Conv2D(10, 3, activation="softmax"), layers.GlobalMaxPooling2D()]),
        (2, flat(layers.Conv2D(5, 14, (14, 15), activation="softmax"))),  # two, of five each
    ],
)
def test_probabilities_come_out_of_one_softmax(softmaxes: int, stack: list[Any]) -> None:
    model = with_random_weights(sequential(*stack))
    assert kinds(model)["Softmax"] == softmaxes
    assert_same_answers(model, NOISE)
    np.testing.assert_allclose(answers(as_onnx(model), NOISE).sum(axis=1), 1, atol=1e-5)


def test_normalization_goes_into_the_weights_where_it_follows_them() -> None:
    model = with_random_weights(
        sequential(
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),  # of what has been rectified: not linear
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(5),
            layers.Dropout(0.5),
            layers.BatchNormalization(),
            layers.Dense(10, activation="softmax"),
        )
    )
    assert kinds(model) == Counter(
        {"Conv": 2, "Relu": 2, "Gemm": 2, "BatchNormalization": 1}
        | dict.fromkeys(["Cast", "Reshape", "Mul", "Flatten", "Softmax"], 1)
    )
    assert_same_answers(model, NOISE)


def test_a_file_holds_what_the_run_was_trained_with(dense_run: Run, here: Path) -> None:
    written = export_model(dense_run.folder, "onnx")
    assert written == Path("dense.onnx")
    assert [path.name for path in here.iterdir()] == ["dense.onnx"]
    model = onnx.load(written)
    assert (model.producer_name, model.producer_version) == ("chiffres", chiffres.__version__)
    assert {prop.key: prop.value for prop in model.metadata_props} == {
        "recipe": (dense_run.folder / "recipe.toml").read_text(encoding="utf-8"),
        "dataset": "small",
        "dataset_sha256": dense_run.environment()["dataset"]["sha256"],
    }
    assert (model.ir_version, [each.version for each in model.opset_import]) == (8, [17])
    onnx.checker.check_model(model, full_check=True)


def test_a_calibrated_run_s_file_holds_the_threshold(
    dense_run: Run, here: Path, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(dense_run.folder, tmp_path / "calibrated"))
    run.record(calibration={"threshold": 0.875})
    model = onnx.load(export_model(run.folder, "onnx"))
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    assert float(metadata["threshold"]) == 0.875


def test_of_a_single_file_only_the_model_is_known(dense_run: Run) -> None:
    written = export_model(export_model(dense_run.folder, "h5", "mine.v2"), "onnx", "mine.v2")
    assert written == Path("mine.v2.onnx")
    assert list(onnx.load(written).metadata_props) == []
    np.testing.assert_allclose(answers(written, NOISE), predict(dense_run.folder, NOISE), atol=1e-5)


def test_the_same_model_gives_the_same_bytes(dense_run: Run) -> None:
    one, other = (export_model(dense_run.folder, "onnx", name) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_nothing_is_printed(dense_run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    export_model(dense_run.folder, "onnx")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (layers.Permute((2, 1, 3)), "is a Permute"),
        (layers.BatchNormalization(axis=1), "normalizes axis 1"),
        (layers.Conv2D(2, 3, dtype="mixed_bfloat16"), "computes in mixed_bfloat16"),
        (layers.ZeroPadding2D(1, data_format="channels_first"), "has data_format='channels_first'"),
        (layers.Activation("log_softmax"), "has the activation 'log_softmax'"),
        (layers.ReLU(threshold=1), r"has threshold=1"),
        (layers.Softmax([1, 2]), r"has axis=\[1, 2\]"),
        (layers.Rescaling([[1, 2]]), r"has numbers of the shape \(1, 2\)"),
    ],
)
def test_a_layer_that_cannot_be_exported_is_named(layer: Any, problem: str, here: Path) -> None:
    layer.name = "odd"
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Reshape((28, 14, 2)), *flat(layer), layers.Dense(10)]
    )
    model.save("model.keras")
    with pytest.raises(UsageError, match=f"the layer 'odd' {problem}, which cannot be exported"):
        export_model("model.keras", "onnx")
    assert [path.name for path in here.iterdir()] == ["model.keras"]


def test_only_a_sequential_is_exported(here: Path) -> None:
    images = keras.Input((784,))
    outputs = layers.Dense(10)(images) + layers.Dense(10)(images)
    keras.Model(images, outputs, name="twice").save("model.keras")
    with pytest.raises(UsageError, match="the model 'twice' is a Functional; only a Sequential"):
        export_model("model.keras", "onnx")
    assert [path.name for path in here.iterdir()] == ["model.keras"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "problem"),
    [(784, 9, r"gives outputs of shape \(None, 9\)"), (64, 10, r"takes inputs of shape")],
)
def test_only_digits_are_exported(inputs: int, outputs: int, problem: str) -> None:
    keras.Sequential([keras.Input((inputs,)), layers.Dense(outputs)]).save("model.keras")
    with pytest.raises(ModelFileError, match=problem):
        export_model("model.keras", "onnx")


def test_a_damaged_model_leaves_nothing(here: Path) -> None:
    (here / "broken.keras").write_text("not a model")
    with pytest.raises(ModelFileError, match=r"broken\.keras: damaged or not a model file"):
        export_model("broken.keras", "onnx")
    assert [path.name for path in here.iterdir()] == ["broken.keras"]


def test_a_write_that_fails_leaves_nothing(dense_run: Run, here: Path) -> None:
    (here / "dense.onnx").mkdir()  # a folder is in the way
    with pytest.raises(OSError, match=r"dense\.onnx"):
        export_model(dense_run.folder, "onnx")
    assert [path.name for path in here.rglob("*")] == ["dense.onnx"]


def test_without_onnx_the_extra_is_named(dense_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'onnx'.*chiffres\[train\]"):
        export_model(dense_run.folder, "onnx")
