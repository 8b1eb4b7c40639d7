"""The lab's four models, as the lab prints them."""

from __future__ import annotations

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.errors import UsageError
from chiffres.models import as_input, build_model
from chiffres.models.backend import keras

CONV = ("Conv2D", (None, 26, 26, 32), 320)
POOL = ("MaxPooling2D", (None, 13, 13, 32), 0)
LAYERS: dict[str, list[tuple[str, tuple[int | None, ...], int]]] = {
    "dense": [
        ("Dense", (None, 300), 235_500),
        ("Dense", (None, 300), 90_300),
        ("Dense", (None, 10), 3_010),
    ],
    "conv": [
        CONV,
        ("Flatten", (None, 21_632), 0),
        ("Dense", (None, 128), 2_769_024),
        ("Dense", (None, 10), 1_290),
    ],
    "conv-pool": [
        CONV,
        POOL,
        ("Flatten", (None, 5_408), 0),
        ("Dense", (None, 128), 692_352),
        ("Dense", (None, 10), 1_290),
    ],
    "conv-dropout": [
        CONV,
        POOL,
        ("Dropout", (None, 13, 13, 32), 0),
        ("Flatten", (None, 5_408), 0),
        ("Dense", (None, 128), 692_352),
        ("Dropout", (None, 128), 0),
        ("Dense", (None, 10), 1_290),
    ],
}
PARAMETERS = {
    "dense": 328_810,
    "conv": 2_770_634,
    "conv-pool": 693_962,
    "conv-dropout": 693_962,
}
INPUTS = {"dense": (None, 784)}

every_model = pytest.mark.parametrize("name", list(LAYERS))


@every_model
def test_the_layers_are_the_lab_s(name: str) -> None:
    model = build_model(name)
    found = [
        (type(layer).__name__, layer.output.shape, layer.count_params()) for layer in model.layers
    ]
    assert found == LAYERS[name]
    assert model.input_shape == INPUTS.get(name, (None, 28, 28, 1))
    assert model.count_params() == PARAMETERS[name]


@every_model
def test_the_activations_are_the_lab_s(name: str) -> None:
    model = build_model(name)
    learning = [layer for layer in model.layers if layer.count_params()]
    found = [layer.activation.__name__ for layer in learning]
    assert found == ["relu"] * (len(learning) - 1) + ["softmax"]


@every_model
def test_the_summary_says_the_lab_s_numbers(name: str) -> None:
    lines: list[str] = []
    build_model(name).summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert f"Total params: {PARAMETERS[name]:,}" in text
    assert f"Trainable params: {PARAMETERS[name]:,}" in text
    assert "Non-trainable params: 0" in text
    for kind, _, parameters in LAYERS[name]:
        assert f"({kind})" in text
        assert f"{parameters:,}" in text


def test_two_dropouts_of_a_fifth() -> None:
    rates = [getattr(layer, "rate", None) for layer in build_model("conv-dropout").layers]
    assert [rate for rate in rates if rate is not None] == [0.2, 0.2]


@every_model
def test_the_weights_are_drawn_from_the_seed(name: str) -> None:
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        drawn.append(build_model(name).get_weights()[0])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@every_model
def test_unit_scale_is_the_same_on_a_255th_of_the_input(name: str, small: Dataset) -> None:
    raw, unit = build_model(name), build_model(name, "unit")
    unit.set_weights(raw.get_weights())
    inputs = as_input(small.test.images[:20], raw)
    expected = keras.ops.convert_to_numpy(raw(inputs / 255))
    found = keras.ops.convert_to_numpy(unit(inputs))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert unit.count_params() == PARAMETERS[name]
    assert unit.input_shape == raw.input_shape
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_dropout_and_pooling_can_be_set() -> None:
    model = build_model("conv-dropout", dropout=0.35, pooling="average")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == [
        *["Conv2D", "AveragePooling2D", "Dropout", "Flatten", "Dense", "Dropout", "Dense"]
    ]
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.35, 0.35]
    assert build_model("conv-dropout", pooling="none").count_params() == 2_770_634


def test_an_option_that_a_model_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'dense' has no dropout to set; .* have: conv-dropout"):
        build_model("dense", dropout=0.5)
