"""From floats to integers: how near, and exactly so where the weights were trained for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from chiffres.data import Dataset
from chiffres.export.c import reference
from chiffres.export.c.chain import as_chain
from chiffres.export.c.confidence import LEVELS, fit_confidence
from chiffres.export.c.network import Array, Convolution
from chiffres.export.c.quantize import quantize
from chiffres.export.c.units import factor_and_shift, trained
from chiffres.models import build_model
from chiffres.models.backend import keras
from tests.export.c.conftest import NOISE, drawn, sequential, with_random_weights

layers = keras.layers


def logits(model: keras.Sequential) -> tuple[Array, Array]:
    """Return what a model gives, and what its network of integers gives."""
    chain = as_chain(model)
    *_, exact = chain.outputs(NOISE)
    network = quantize(chain, NOISE)
    return exact.reshape(-1, 10), network.score_scale * reference.scores_of(network, NOISE)


@given(data=st.data(), shape=st.sampled_from([(28, 28, 1), (784,)]))
def test_any_stack_stays_near_its_floats(data: st.DataObject, shape: tuple[int, ...]) -> None:
    exact, found = logits(drawn(data.draw, shape))
    spread = float(np.abs(exact).max()) + 1e-3
    assert float(np.abs(found - exact).mean()) < 0.1 * spread


@pytest.mark.parametrize("name", ["dense", "conv-pool", "conv-dropout"])
@pytest.mark.parametrize("scale", ["raw", "unit"])
def test_the_labs_models_stay_near_their_floats(name: str, scale: str) -> None:
    keras.utils.set_random_seed(1)
    exact, found = logits(build_model(name, scale))  # type: ignore[arg-type]
    assert float(np.abs(found - exact).max()) < 0.04 * float(np.abs(exact).max())


def on_grid(rng: np.random.Generator, bits: int) -> keras.Sequential:
    """Return a model whose weights and values are integers times powers of two."""
    model = sequential(
        layers.Rescaling(1 / 256),
        layers.Conv2D(3, 5, strides=2),
        layers.ReLU(255 / 32),
        layers.Conv2D(4, 3),
        layers.MaxPooling2D(),
        layers.ReLU(255 / 64),
        layers.Flatten(),
        layers.Dense(10),
    )
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.kernel, layer.bias
            finest = (
                2.0 ** -rng.integers(4, 6, kernel.shape[-1])
                if layer is not model.layers[-1]
                else 2.0**-4
            )
            kernel.assign(rng.integers(1 - 2 ** (bits - 1), 2 ** (bits - 1), kernel.shape) * finest)
            bias.assign(rng.integers(-64, 64, bias.shape) / 4)
    return model


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_trained_on_a_grid_are_taken_as_they_are(bits: int) -> None:
    model = on_grid(np.random.default_rng(bits), bits)
    network = quantize(as_chain(model), NOISE[:1])
    assert [layer.bits for layer in network.convolutions] == [bits] * 3
    rounded = (NOISE[..., None] / 256).astype("f4")
    for layer in model.layers[1:]:  # Keras's own layers, with values rounded as a uint8 is
        rounded = np.asarray(keras.ops.convert_to_numpy(layer(rounded)))
        if isinstance(layer, layers.ReLU):
            unit = layer.max_value / 255
            rounded = (np.floor(rounded / unit + 0.5) * unit).astype("f4")
    scores = reference.scores_of(network, NOISE)
    np.testing.assert_array_equal(network.score_scale * scores, rounded)


def normalized(rng: np.random.Generator) -> keras.Sequential:
    """Return a model whose kernels are integers times any unit per filter, and normalized."""
    model = sequential(
        layers.Rescaling(1 / 256),
        layers.Conv2D(3, 5, strides=2, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(255 / 32),
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.ReLU(255 / 32),
        layers.Flatten(),
        layers.Dense(10),
    )
    with_random_weights(model, int(rng.integers(100)))
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            shape = layer.kernel.shape
            units = rng.uniform(0.02, 0.2, shape[-1] if len(shape) == 4 else 1)
            layer.kernel.assign(rng.integers(-7, 8, shape) * units)
    return model


def test_normalized_weights_of_few_bits_need_a_factor() -> None:
    model = normalized(np.random.default_rng(0))
    network = quantize(as_chain(model), NOISE[:1])
    assert [layer.bits for layer in network.convolutions] == [4, 4, 4]
    first, second, last = network.convolutions
    assert min(first.factor.min(), second.factor.min()) > 100  # some seven bits of it
    assert set(last.factor) == {1}
    exact, found = logits(model)
    assert float(np.abs(found - exact).max()) < 0.02 * float(np.abs(exact).max())


@given(
    units=st.lists(st.floats(1e-6, 4), min_size=1, max_size=5),
    highest=st.integers(1, 2**24),
)
def test_factor_and_shift_are_the_unit(units: list[float], highest: int) -> None:
    sums = np.full(len(units), highest)
    factor, shift = factor_and_shift(np.array(units), sums)
    assert (factor * sums < 2**32).all()
    assert ((factor >= 1) & (factor < 2**16) & (shift >= 0) & (shift <= 31)).all()
    found = factor / 2.0**shift
    held = np.minimum(factor, 2**31 * np.array(units))  # what a shift of 31 cannot hold
    np.testing.assert_array_less(np.abs(found / units - 1), 0.51 / np.minimum(held, factor))


def test_a_power_of_two_needs_no_factor() -> None:
    factor, shift = factor_and_shift(np.array([1, 0.5, 2**-9, 2]), np.array([9, 9, 9, 9]))
    assert factor.tolist() == [1, 1, 1, 2]
    assert shift.tolist() == [0, 1, 9, 0]


@given(st.integers(0, 2**32))
def test_the_unit_of_integers_is_found_and_that_of_others_is_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units, taps = rng.uniform(1e-3, 10, 3), int(rng.integers(9, 40))
    weights = (rng.integers(-7, 8, (3, taps)) * units[:, None]).astype(np.float32).astype(float)
    found = trained(weights)
    assert found is not None
    counted = weights / found[:, None]
    np.testing.assert_allclose(counted, np.rint(counted), atol=1e-3)
    assert np.abs(counted).max() < 7.01
    assert trained(rng.normal(size=(3, taps))) is None


def test_four_bits_are_used_only_where_they_are_enough() -> None:
    model = on_grid(np.random.default_rng(1), 4)
    kernel = np.array(keras.ops.convert_to_numpy(model.layers[1].kernel))
    kernel[0, 0, 0, 0] = kernel[0, 0, 0, 0] + 2.0**-9  # on the grid still, of eight bits
    kernel[..., 0] = np.clip(kernel[..., 0], -0.2, 0.2)
    model.layers[1].kernel.assign(np.round(kernel * 512) / 512)
    network = quantize(as_chain(model), NOISE[:1])
    assert [layer.bits for layer in network.convolutions] == [8, 4, 4]


def test_filters_of_zeros_and_maps_of_zeros() -> None:
    model = sequential(
        layers.Conv2D(2, 3, activation="relu", kernel_initializer="zeros"),
        layers.Conv2D(2, 3, kernel_initializer="zeros"),
        layers.Flatten(),
        layers.Dense(10, kernel_initializer="zeros"),
    )
    exact, found = logits(model)
    np.testing.assert_array_equal(exact, found)


def test_a_pool_of_its_own_size_is_part_of_the_convolution() -> None:
    model = sequential(
        layers.Conv2D(2, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(2, 3, activation="relu"),
        layers.MaxPooling2D(3, strides=2),
        layers.Flatten(),
        layers.Dense(10),
    )
    first, second, pooling, last = quantize(as_chain(with_random_weights(model)), NOISE).layers
    assert isinstance(first, Convolution)
    assert isinstance(second, Convolution)
    assert (first.pool, first.output) == ((2, 2), (13, 13, 2))
    assert (second.pool, pooling.output, last.output) == ((1, 1), (5, 5, 2), (1, 1, 10))


def test_a_trained_model_answers_as_before(dense_run: object, mnist_5k: Dataset) -> None:
    from chiffres.evaluation.predict import predict
    from chiffres.models.files import load_model

    model = load_model(dense_run.folder)  # type: ignore[attr-defined]
    network = quantize(as_chain(model), mnist_5k.train.images[:300])
    images = mnist_5k.test.images
    agree = reference.classify(network, images).digits == predict(model, images).argmax(axis=1)
    assert agree.mean() > 0.985


def test_confidence_finds_the_chance_of_being_right() -> None:
    rng = np.random.default_rng(0)
    margins = rng.integers(0, 4000, 40_000)
    chance = expit(margins / 400 - 1)
    right = rng.random(len(margins)) < chance
    table = fit_confidence(margins, right)
    assert table.permille == LEVELS
    assert list(table.margins) == sorted(table.margins)
    found = reference.confidence_of(table, margins)
    for level in (600, 800, 950):
        claimed = found == level
        assert level / 1000 - 0.03 < right[claimed].mean() < level / 1000 + 0.12


def test_without_a_mistake_confidence_is_not_certainty() -> None:
    margins = np.arange(1, 101)
    table = fit_confidence(margins, np.ones(100, np.bool_))
    assert table.margins == () or table.margins[-1] > 100


def test_margins_that_say_nothing_give_no_confidence() -> None:
    margins = np.arange(1000)
    assert fit_confidence(margins, margins < 500).margins == ()
