"""Native training against plain Keras: the same outputs, gradients, weights, files and refusals."""

from __future__ import annotations

import ctypes
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiffres.errors import TrainingError
from chiffres.models import build_model
from chiffres.models.backend import BACKEND, keras
from chiffres.models.lab import MODELS
from chiffres.native import _say_why, accelerate

if BACKEND != "torch":
    pytest.skip("the native step is for the Torch backend", allow_module_level=True)

import torch

from chiffres.native import kernels
from chiffres.native.arrays import TensorBatches
from chiffres.native.lowering import lower
from chiffres.native.processor import multiplies_bfloat16
from chiffres.native.step import Step

layers = keras.layers
Array = npt.NDArray[Any]


def outputs(model: keras.Sequential, x: torch.Tensor, training: bool = False) -> torch.Tensor:
    for operation in lower(model, training):
        x = operation(x)
    return x


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=shape), dtype=torch.float32)


def digits(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Draw ``n`` inputs of the lab's convolutions, learnable, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=n)
    pictures = rng.random((n, 28, 28, 1)) * 0.3
    for picture, label in zip(pictures, labels, strict=True):
        picture[5:23, 2 * label + 3 : 2 * label + 6] += 0.7
    return pictures.astype("f4"), labels


def compiled(model: keras.Sequential, **options: Any) -> keras.Sequential:
    usual = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}
    model.compile(**(usual | {"metrics": ["accuracy"]} | options))
    return model


def twins(
    build: Callable[[], keras.Sequential], **options: Any
) -> tuple[keras.Sequential, keras.Sequential]:
    """Return the same model twice, compiled: plain, and native."""
    keras.utils.set_random_seed(3)
    plain = build()
    native = build()
    native.set_weights(plain.get_weights())
    for model in (plain, native):
        made = {key: value() if callable(value) else value for key, value in options.items()}
        compiled(model, **made)
    return plain, accelerate(native)


def assert_same_weights(one: keras.Sequential, other: keras.Sequential, rtol: float = 1e-4) -> None:
    """Compare all weights as one vector, and each variable's ten times less strictly.

    Adam takes steps of the same size along gradients that are rounding errors: biases, zero at
    first, feel it.
    """
    pairs = list(zip(one.get_weights(), other.get_weights(), strict=True))
    norms = np.array([[np.linalg.norm(a - b), np.linalg.norm(a)] for a, b in pairs])
    difference, size = np.sqrt((norms**2).sum(axis=0))
    assert difference <= rtol * size, difference / size
    assert (norms[:, 0] <= 10 * rtol * np.maximum(norms[:, 1], 1e-3)).all(), norms


def stack_of(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Any]:
    """Draw layers on small images of 1 to 4 channels."""
    whole = st.integers(1, 3)
    pair = st.tuples(whole, whole)
    padding = st.sampled_from(["valid", "same"])
    activation = st.sampled_from(["relu", "tanh", "sigmoid", "elu", "gelu", "linear", "softmax"])
    channels = draw(st.sampled_from([1, 2, 4]))
    groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0]))
    dilated = draw(st.booleans())
    convolution = layers.Conv2D(
        2 * draw(st.integers(1, 9)),
        draw(pair),
        strides=1 if dilated else draw(pair),
        padding=draw(padding),
        dilation_rate=draw(pair) if dilated else 1,
        groups=groups,
        use_bias=draw(st.booleans()),
        activation=draw(activation),
    )
    pooling = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D, None]))
    stack: list[Any] = [
        keras.Input((draw(st.integers(10, 12)), draw(st.integers(10, 12)), channels))
    ]
    stack.append(convolution)
    centred = draw(st.booleans())
    if centred:
        between = keras.initializers.RandomUniform(0.5, 2)
        stack.append(
            layers.BatchNormalization(
                scale=draw(st.booleans()),
                momentum=0.7,
                beta_initializer="random_normal",
                gamma_initializer=between,
                moving_mean_initializer="random_normal",
                moving_variance_initializer=between,
            )
        )
        if draw(st.booleans()):
            stack.append(layers.ReLU())
            centred = False
    if pooling:
        stack.append(pooling(draw(pair), strides=draw(pair), padding=draw(padding)))
        centred = centred and pooling is layers.AveragePooling2D
    endings = [layers.Flatten, layers.GlobalAveragePooling2D]
    if centred:  # its average is the offset, whatever came before: a gradient of rounding errors
        endings.pop()
    stack.append(draw(st.sampled_from(endings))())
    stack.append(layers.Dense(5, activation=draw(activation), use_bias=draw(st.booleans())))
    return stack


@given(data=st.data(), n=st.integers(2, 9), training=st.booleans())
@settings(max_examples=60, deadline=None)
def test_outputs_and_gradients_are_those_of_keras_in_float64(
    data: st.DataObject, n: int, training: bool
) -> None:
    assert_those_of_float64(keras.Sequential(stack_of(data.draw)), n, training)


@pytest.mark.parametrize("channels", [1, 3, 9])
@pytest.mark.parametrize("strides", [(1, 2), (2, 1), (3, 3)])
def test_convolutions_of_single_pixels_leave_out_what_strides_leave_out(
    channels: int, strides: tuple[int, int]
) -> None:
    """oneDNN wrote beyond its memory here, and the process died: its issue 6035."""
    for padding in ("valid", "same"):
        convolution = layers.Conv2D(6, 1, strides=strides, padding=padding, activation="tanh")
        stack = [keras.Input((11, 10, channels)), convolution, layers.Flatten(), layers.Dense(5)]
        for _ in range(5):
            assert_those_of_float64(keras.Sequential(stack), 8, training=True)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("pool", [True, False])
def test_a_first_convolution_with_its_dense_layer_is_that_of_keras_in_float64(
    pool: bool, bias: bool
) -> None:
    pooling = [layers.MaxPooling2D()] if pool else []
    stack = [
        keras.Input((12, 11, 1)),
        layers.Conv2D(16, 3, activation="relu", use_bias=bias, bias_initializer="random_normal"),
        *[*pooling, layers.Flatten(), layers.Dense(32, activation="tanh", use_bias=bias)],
        layers.Dense(3),
    ]
    assert_those_of_float64(keras.Sequential(stack), 5, training=True)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_small_convolutions_and_normalized_maps_are_those_of_keras_in_float64(
    padding: str, bias: bool, training: bool
) -> None:
    between = keras.initializers.RandomUniform(0.5, 2)
    random = {"beta_initializer": "random_normal", "gamma_initializer": between}
    stack = [
        keras.Input((14, 13, 2)),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.Conv2D(16, 3, activation="tanh"),
        layers.Conv2D(32, 3, padding=padding, use_bias=bias, bias_initializer="random_normal"),
        *[layers.BatchNormalization(**random), layers.ReLU(), layers.MaxPooling2D()],
        layers.Conv2D(48, 3, padding=padding, activation="relu"),
        *[layers.BatchNormalization(**random), layers.Activation("relu"), layers.Flatten()],
        layers.Dense(3),
    ]
    model = keras.Sequential(stack)
    if kernels.LIBRARY and training:
        assert len(lower(model, training)) == 10  # with two activations by themselves
    assert_those_of_float64(model, 5, training)


def assert_those_of_float64(model: keras.Sequential, n: int, training: bool) -> None:
    reference = keras.models.clone_model(model, clone_function=in_float64)
    reference.set_weights(model.get_weights())
    x = images(n, *model.input_shape[1:])
    wanted = reference(x.double(), training=training)
    found = outputs(model, x, training)
    direction = images(*found.shape, seed=1)
    np.testing.assert_allclose(found.detach(), wanted.detach(), rtol=1e-5, atol=1e-5)
    exact = torch.autograd.grad(
        (wanted * direction).sum(), [v.value for v in reference.trainable_variables]
    )
    gradients = torch.autograd.grad(
        (found * direction).sum(), [v.value for v in model.trainable_variables]
    )
    for one, other in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=1e-3, atol=1e-4 * (1 + float(other.abs().max()))
        )
    for one, other in zip(
        model.non_trainable_variables, reference.non_trainable_variables, strict=True
    ):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


def in_float64(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config() | {"dtype": "float64"})


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("scale", ["raw", "unit"])
def test_the_labs_models_give_the_outputs_of_plain_keras(name: str, scale: Any) -> None:
    model = build_model(name, scale)
    x = images(7, *model.input_shape[1:]).abs() * (1 if scale == "unit" else 20)
    np.testing.assert_allclose(outputs(model, x).detach(), model(x).detach(), atol=1e-5)


def test_the_first_convolution_is_a_c_kernel_where_they_were_built() -> None:
    if kernels.LIBRARY is None:
        pytest.skip("the C kernels were not built, or are turned off")
    assert len(lower(build_model("conv-dropout", "unit"), True)) == 6
    assert len(lower(build_model("conv-pool", "unit"), True)) == 5  # with the dense layer
    bare = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(3, 3), layers.Flatten()])
    assert len(lower(bare, True)) == 2


@pytest.mark.parametrize(
    ("side", "channels", "filters", "small"),
    [(10, 16, 32, True), (8, 32, 48, True), (5, 80, 160, False), (20, 16, 32, False)],
)
def test_convolutions_of_few_weights_and_small_maps_are_a_c_kernel(
    side: int, channels: int, filters: int, small: bool
) -> None:
    """Others are faster on Torch: 80 to 160 channels of 5×5 take it half the time."""
    assert kernels.convolves(side, side, channels, filters) is small


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: keras.optimizers.Adam(1e-3),
    "amsgrad": lambda: keras.optimizers.Adam(1e-3, amsgrad=True, epsilon=1e-3),
    "adamw": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1),
    "clipped": lambda: keras.optimizers.Adam(1e-3, global_clipnorm=0.01),
    "averaged": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=7),
    "accumulated": lambda: keras.optimizers.Adam(1e-3, gradient_accumulation_steps=3),
    "scaled": lambda: keras.optimizers.Adam(1e-3, loss_scale_factor=8.0),
    "schedule": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.1, 40), momentum=0.9
    ),
    "one cycle": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-5, 30, warmup_target=1e-3, warmup_steps=15),
        epsilon=1e-3,
    ),
    "cosine": lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 40, 0.1)),
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "nesterov": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(1e-4),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_of_each_optimizer_give_the_weights_of_plain_keras(name: str) -> None:
    def build() -> keras.Sequential:
        return keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(4, 3, activation="relu"),
                layers.MaxPooling2D(2, 2),
                layers.Conv2D(4, 3, strides=2, padding="same", activation="tanh"),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dense(10, activation="softmax", kernel_constraint="non_neg"),
            ]
        )

    plain, native = twins(build, optimizer=OPTIMIZERS[name])
    x, y = digits(50 * 16)
    for model in (plain, native):
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    assert_same_weights(plain, native)
    for one, other in zip(plain.optimizer.variables, native.optimizer.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["dense", "conv", "conv-pool"])
def test_fifty_steps_of_the_labs_models_give_the_weights_of_keras(name: str) -> None:
    plain, native = twins(lambda: build_model(name), optimizer=lambda: keras.optimizers.SGD(1e-2))
    one, other = (fifty_steps(model) for model in (plain, native))
    assert_same_weights(plain, native)
    assert one.keys() == other.keys()
    for key, values in one.items():
        assert other[key] == pytest.approx(values, rel=1e-3, abs=2e-3), key


@pytest.mark.parametrize("name", ["dense", "conv", "conv-pool"])
def test_fifty_steps_of_adam_give_the_weights_of_keras_in_float64(name: str) -> None:
    """In float32, Keras's own Adam is up to 1e-3 off: it corrects its bias in float32 too."""
    exact, native = twins(lambda: build_model(name), optimizer=lambda: keras.optimizers.Adam(1e-4))
    weights = exact.get_weights()
    exact = keras.models.clone_model(exact, clone_function=in_float64)
    exact.set_weights(weights)
    compiled(exact, optimizer=keras.optimizers.Adam(1e-4))
    for model in (exact, native):
        fifty_steps(model)
    assert_same_weights(exact, native, rtol=1e-5)


def two_hidden(bias: bool = True, trainable: bool = True, body: Any = None) -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *(body or (lambda: []))(),
            layers.Flatten(),
            layers.Dense(24, activation="relu", use_bias=bias),
            layers.Dense(20, activation="relu", trainable=trainable),
            layers.Dense(10, activation="softmax", use_bias=bias),
        ]
    )


HEADS: dict[str, Callable[[], keras.Sequential]] = {
    "of inputs": lambda: two_hidden(),
    "without bias": lambda: two_hidden(bias=False),
    "frozen in part": lambda: two_hidden(trainable=False),
    "behind pooling": lambda: two_hidden(body=lambda: [layers.AveragePooling2D(4)]),
    "behind a convolution": lambda: two_hidden(body=lambda: [layers.Conv2D(3, 5, strides=3)]),
    "behind one of the kernels": lambda: two_hidden(
        body=lambda: [layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()]
    ),
}


@pytest.mark.parametrize("background", [0.0, 0.3])
@pytest.mark.parametrize("name", HEADS)
def test_fifty_steps_of_dense_layers_give_the_weights_of_keras(
    name: str, background: float
) -> None:
    plain, native = twins(HEADS[name], optimizer=lambda: keras.optimizers.SGD(1e-2))
    x, y = digits(50 * 16 + 5)  # the last batch is a short one
    x[x < 0.15] = background
    logs = [model.fit(x, y, batch_size=16, shuffle=False, verbose=0) for model in (plain, native)]
    assert_same_weights(plain, native)
    for key, values in logs[0].history.items():
        assert logs[1].history[key] == pytest.approx(values, rel=1e-3), key


def test_dense_layers_and_their_loss_are_one_kernel_where_it_was_built() -> None:
    if kernels.LIBRARY is None:
        pytest.skip("the C kernels were not built, or are turned off")
    lengths = {name: len(Step(compiled(build_model(name)), True).operations) for name in MODELS}
    assert lengths == {"dense": 0, "conv": 1, "conv-pool": 1, "conv-dropout": 1}
    assert Step(compiled(HEADS["frozen in part"]()), True).head is None


def test_dropout_between_dense_layers_learns_and_comes_back_with_its_generator() -> None:
    def train() -> Array:
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                *two_hidden().layers[:2],
                layers.Dropout(0.3, seed=4),
                *two_hidden().layers[2:],
            ]
        )
        history = accelerate(compiled(model)).fit(*digits(640), epochs=6, verbose=0).history
        assert history["loss"][-1] < history["loss"][0] / 2
        return np.concatenate([each.ravel() for each in model.get_weights()])

    np.testing.assert_array_equal(train(), train())


def fifty_steps(model: keras.Sequential) -> dict[str, list[float]]:
    x, y = digits(50 * 32 * 10 // 9)
    x = x.reshape(-1, *model.input_shape[1:])
    history: dict[str, list[float]] = model.fit(
        x, y, batch_size=32, shuffle=False, verbose=0, validation_split=0.1
    ).history
    return history


@pytest.mark.parametrize("first_native", [True, False])
def test_a_training_saved_in_one_resumes_in_the_other(first_native: bool, tmp_path: Path) -> None:
    def train(native: tuple[bool, bool]) -> keras.Sequential:
        keras.utils.set_random_seed(5)
        model = compiled(build_model("conv-pool"))
        for part, faster in enumerate(native):
            if faster:
                accelerate(model)
            x, y = digits(400, seed=part)
            model.fit(x, y, batch_size=32, shuffle=False, verbose=0)
            model.save(tmp_path / "model.keras")
            model = keras.models.load_model(tmp_path / "model.keras")
        return model

    mixed = train((first_native, not first_native))
    assert_same_weights(train((False, False)), mixed)
    assert int(mixed.optimizer.iterations) == 26


@pytest.mark.parametrize(
    ("loss", "one_hot"),
    [
        ("sparse_categorical_crossentropy", False),
        (lambda: keras.losses.SparseCategoricalCrossentropy(), False),
        (lambda: keras.losses.SparseCategoricalCrossentropy(ignore_class=3), False),
        ("categorical_crossentropy", True),
        (lambda: keras.losses.CategoricalCrossentropy(label_smoothing=0.1), True),
        ("mean_squared_error", True),
    ],
)
def test_losses_and_metrics_are_those_of_plain_keras(loss: Any, one_hot: bool) -> None:
    for metrics in (["accuracy"], ["accuracy", "mean_absolute_error"], None):
        if not one_hot and metrics and len(metrics) > 1:
            continue
        plain, native = twins(lambda: build_model("dense"), loss=loss, metrics=metrics)
        x, y = digits(70)
        x, y = x.reshape(-1, 784), np.eye(10)[y] if one_hot else y
        logs = []
        for model in (plain, native):
            history = model.fit(
                x, y, batch_size=32, shuffle=False, verbose=0, validation_data=(x, y)
            )
            logs.append({key: values[-1] for key, values in history.history.items()})
        assert logs[1] == pytest.approx(logs[0], rel=1e-4)


def test_dropout_draws_anew_each_step_and_comes_back_with_its_generator(
    native: ctypes.CDLL,
) -> None:
    model = keras.Sequential([keras.Input((64, 64, 1)), layers.Dropout(0.25)])
    x = torch.ones((2, 64, 64, 1))
    state = model.layers[0].seed_generator.state
    before = state.numpy().copy()
    one, other = outputs(model, x, training=True), outputs(model, x, training=True)
    assert (one != other).any()
    state.assign(before)
    assert (outputs(model, x, training=True) == one).all()
    assert float((one == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert sorted(set(one.flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert (outputs(model, x) == 1).all()


def test_without_kernels_all_is_as_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = digits(200)
    weights = []
    for library in (kernels.LIBRARY, None):
        monkeypatch.setattr(kernels, "LIBRARY", library)
        _, native = twins(lambda: build_model("conv-pool"))
        native.fit(x, y, batch_size=32, shuffle=False, verbose=0)
        weights.append(native)
    assert_same_weights(*weights)
    _, native = twins(lambda: build_model("conv-dropout"))
    assert native.fit(x, y, epochs=2, verbose=0).history["loss"][1] < 2.3


def odd(build: Callable[[], list[Any]]) -> keras.Sequential:
    return keras.Sequential([keras.Input((28, 28, 1)), *build(), layers.Dense(10, "softmax")])


def test_products_in_bfloat16_learn_the_same_but_for_their_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def build() -> keras.Sequential:
        return keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(8, 3, activation="relu"),
                layers.Conv2D(8, 3, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dropout(0.2, seed=3),
                layers.Dense(10, activation="softmax"),
            ]
        )

    def trained(model: keras.Sequential, bfloat16: bool) -> tuple[Any, float]:
        """Return how all weights moved, and the loss."""
        before = np.concatenate([weights.numpy().ravel() for weights in model.trainable_variables])
        model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.SGD(0.01))
        accelerate(model, bfloat16=bfloat16)
        loss = model.fit(x, y, batch_size=16, shuffle=False, verbose=0).history["loss"][0]
        after = [weights.numpy() for weights in model.trainable_variables]
        assert {weights.dtype for weights in after} == {np.dtype("float32")}
        return np.concatenate([weights.ravel() for weights in after]) - before, loss

    x, y = digits(10 * 16)
    exact, rounded, without = build(), build(), build()
    for model in (rounded, without):
        model.set_weights(exact.get_weights())
    wanted, loss = trained(exact, bfloat16=False)
    monkeypatch.setattr("chiffres.native.step.multiplies_bfloat16", lambda: False)
    np.testing.assert_array_equal(trained(without, bfloat16=True)[0], wanted)
    monkeypatch.setattr("chiffres.native.step.multiplies_bfloat16", lambda: True)
    found, found_loss = trained(rounded, bfloat16=True)
    assert found_loss == pytest.approx(loss, rel=0.02)
    assert not np.array_equal(found, wanted)
    assert np.corrcoef(found, wanted)[0, 1] > 0.98


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_f": True, "avx512_bf16": True}, True),
        ({"architecture": "x86_64", "amx_bf16": True}, True),
        ({"architecture": "aarch64", "bf16": True}, True),
        ({}, False),
    ],
)
def test_bfloat16_is_for_processors_that_have_it(
    capabilities: dict[str, Any], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    for torchs_own in (False, True):
        monkeypatch.setattr(
            torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda found=torchs_own: found
        )
        assert multiplies_bfloat16() == (expected and torchs_own)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: [layers.LayerNormalization(), layers.Flatten()], "LayerNormalization"),
        (lambda: [layers.Flatten(activity_regularizer="l2")], "activity_regularizer"),
        (lambda: [layers.Conv2D(2, 3, kernel_regularizer="l2"), layers.Flatten()], "regularizer"),
        (lambda: [layers.Flatten(), layers.Dropout(0.5, (1, 784), seed=1)], "noise_shape"),
        (lambda: [layers.Flatten(), layers.Dense(3, dtype="float64")], "float64"),
    ],
)
def test_other_layers_train_with_plain_keras_and_say_why_once(
    build: Callable[[], list[Any]], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    _say_why.cache_clear()
    plain, native = twins(lambda: odd(build))
    x, y = digits(40)
    for model in (plain, native):
        keras.utils.set_random_seed(1)
        with caplog.at_level(logging.WARNING):
            model.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0)
    assert_same_weights(plain, native)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "plain Keras" in message
    assert why in message


def test_a_functional_model_trains_with_plain_keras(caplog: pytest.LogCaptureFixture) -> None:
    inputs = keras.Input((4,))
    model = accelerate(keras.Model(inputs, layers.Dense(10, "softmax")(inputs)))
    compiled(model).fit(np.zeros((8, 4)), np.zeros(8), verbose=0)
    assert "Functional" in caplog.text


def test_a_layer_frozen_after_compiling_again_stays_as_it_is() -> None:
    _, native = twins(lambda: build_model("conv-pool"))
    x, y = digits(64)
    native.fit(x, y, verbose=0)
    native.layers[0].trainable = False
    compiled(native)
    before = native.get_weights()
    native.fit(x, y, verbose=0)
    changed = [(a != b).any() for a, b in zip(before, native.get_weights(), strict=True)]
    assert changed == [False, False, True, True, True, True]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64", ">f4"])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_any_numbers_in_any_batches_train_as_in_plain_keras(dtype: str, batch_size: int) -> None:
    x, y = digits(20)
    x = (x * 255).astype(dtype)
    x.setflags(write=False)
    plain, native = twins(lambda: build_model("conv-pool"), optimizer=lambda: "sgd")
    plain.fit(x.astype("f4") / 100, y, batch_size=batch_size, shuffle=False, verbose=0)
    rescaled = compiled(
        keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 100), *native.layers]),
        optimizer="sgd",
    )
    accelerate(rescaled).fit(x[..., 0], y, batch_size=batch_size, shuffle=False, verbose=0)
    assert_same_weights(plain, rescaled, rtol=2e-4)


@pytest.mark.parametrize("label", [10, -1])
def test_labels_out_of_range_are_refused_as_by_plain_keras(label: int) -> None:
    for model in twins(lambda: build_model("dense")):
        with pytest.raises(IndexError, match=f"Target {label} is out of bounds"):
            model.fit(np.zeros((4, 784)), np.array([1, 2, label, 3]), verbose=0)


@pytest.mark.parametrize(
    ("x", "y"),
    [((4, 783), (4,)), ((4, 784), (5,)), ((4, 784), (4, 3)), ((0, 784), (0,)), ((4, 28, 28), (4,))],
)
def test_wrong_shapes_are_refused_as_by_plain_keras(x: Any, y: Any) -> None:
    said = []
    for model in twins(lambda: build_model("dense")):
        with pytest.raises(Exception, match=r".") as caught:
            model.fit(np.zeros(x), np.zeros(y, int), verbose=0)
        said.append(type(caught.value))
    assert said[0] is said[1]


def test_a_loss_that_is_no_number_stops_with_advice_and_leaves_the_weights() -> None:
    _, native = twins(lambda: build_model("dense"))
    x, y = digits(64)
    x = x.reshape(-1, 784)
    x[40] = np.nan
    with pytest.raises(TrainingError, match=r"step 2; try a learning rate below 0\.001"):
        native.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    assert all(np.isfinite(weight).all() for weight in native.get_weights())


def test_weights_of_samples_and_classes_are_heeded() -> None:
    x, y = digits(64)
    weights = np.linspace(0, 2, 64)
    for options in ({"sample_weight": weights}, {"class_weight": {k: k / 5 for k in range(10)}}):
        plain, native = twins(lambda: build_model("conv-pool"))
        for model in (plain, native):
            model.fit(x, y, batch_size=16, shuffle=False, verbose=0, **options)
        assert_same_weights(plain, native)


def test_data_that_is_no_array_still_trains() -> None:
    x, y = digits(64)
    plain, native = twins(lambda: build_model("conv-pool"))
    for model in (plain, native):
        pairs = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
        model.fit(torch.utils.data.DataLoader(pairs, batch_size=16), shuffle=False, verbose=0)
    assert_same_weights(plain, native)


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), shuffle=st.booleans())
def test_batches_are_every_row_once(n: int, batch_size: int, shuffle: bool) -> None:
    batches = TensorBatches(np.arange(n), np.arange(n) * 2, batch_size, shuffle)
    assert sorted(rows_of(batches, n, batch_size)) == list(range(n))


@given(n=st.integers(2, 40), batch_size=st.integers(1, 50), shuffle=st.booleans())
def test_some_rows_are_as_many_as_asked_for(n: int, batch_size: int, shuffle: bool) -> None:
    batches = TensorBatches(np.arange(n), np.arange(n) * 2, batch_size, shuffle, rows=n - 1)
    found = rows_of(batches, n - 1, batch_size)
    assert len(set(found)) == n - 1
    assert shuffle or found == list(range(n - 1))


def rows_of(batches: TensorBatches, n: int, batch_size: int) -> list[int]:
    """Return the rows of a pass over ``n``, each beside its double."""
    found = list(batches)
    assert len(found) == len(batches) == batches.num_batches == math.ceil(n / batch_size)
    assert all(torch.equal(2 * x, y) for x, y in found)
    assert len(found[-1][0]) == (batches.partial_batch_size or batch_size)
    return [int(row) for x, _ in found for row in x]


def test_shuffling_is_drawn_from_the_seed() -> None:
    x, y = digits(300)
    ends = []
    for _ in range(2):
        _, native = twins(lambda: build_model("conv-dropout"))
        keras.utils.set_random_seed(8)
        native.fit(x, y, batch_size=32, verbose=0)
        ends.append(native)
    assert_same_weights(ends[0], ends[1], rtol=0)


def test_callbacks_see_logs_and_can_stop() -> None:
    seen: list[dict[str, float]] = []

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append({key: float(value) for key, value in logs.items()})
            self.model.stop_training = batch == 1

    _, native = twins(lambda: build_model("conv-pool"))
    x, y = digits(64)
    native.fit(x, y, batch_size=16, verbose=0, callbacks=[Watch()])
    assert [set(logs) for logs in seen] == [{"loss", "accuracy"}] * 2


def test_the_step_is_the_one_that_fit_uses() -> None:
    _, native = twins(lambda: build_model("dense"))
    native.fit(np.zeros((4, 784)), np.zeros(4, int), verbose=0)
    assert isinstance(native.train_function.__self__, Step)
