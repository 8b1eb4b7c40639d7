"""The exported C code, compiled for this machine, against its reference: every score to the bit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiffres.data import Dataset
from chiffres.errors import UsageError
from chiffres.export.c import generate, reference, sizes
from chiffres.export.c.chain import as_chain
from chiffres.export.c.confidence import fit_confidence
from chiffres.export.c.network import Confidence, Convolution, Network
from chiffres.export.c.quantize import quantize
from chiffres.models import build_model
from chiffres.models.backend import keras
from tests.export.c.conftest import (
    NOISE,
    Images,
    assert_same,
    drawn,
    run_on_host,
    sequential,
    with_random_weights,
)
from tests.export.c.test_quantize import normalized, on_grid

layers = keras.layers


def with_confidence(network: Network, images: Images) -> Network:
    margins = reference.margins_of(reference.scores_of(network, images))
    steps = tuple(int(each) for each in np.quantile(margins, [0.2, 0.5, 0.8]))
    return dataclasses.replace(network, confidence=Confidence(steps, (500, 900, 999)))


@settings(max_examples=12)
@given(data=st.data(), shape=st.sampled_from([(28, 28, 1), (784,)]))
def test_any_stack_under_both_sanitizers(
    data: st.DataObject, shape: tuple[int, ...], compiler: str, sanitizers: Sequence[str]
) -> None:
    model = drawn(data.draw, shape)
    network = with_confidence(quantize(as_chain(model), NOISE), NOISE)
    answers = run_on_host(network, NOISE, compiler, sanitizers)
    assert_same(answers, reference.classify(network, NOISE))


@pytest.mark.parametrize("bits", [4, 8])
def test_four_and_eight_bits(bits: int, compiler: str, sanitizers: Sequence[str]) -> None:
    network = quantize(as_chain(on_grid(np.random.default_rng(bits), bits)), NOISE)
    answers = run_on_host(network, NOISE, compiler, sanitizers)
    assert_same(answers, reference.classify(network, NOISE))


def test_factors(compiler: str, sanitizers: Sequence[str]) -> None:
    network = quantize(as_chain(normalized(np.random.default_rng(3))), NOISE)
    answers = run_on_host(network, NOISE, compiler, sanitizers)
    assert_same(answers, reference.classify(network, NOISE))


def test_odd_filters_of_four_bits_beside_eight(compiler: str, sanitizers: Sequence[str]) -> None:
    network = quantize(as_chain(on_grid(np.random.default_rng(1), 4)), NOISE)
    first, *others = network.layers
    assert isinstance(first, Convolution)
    mixed = Network((dataclasses.replace(first, bits=8), *others), network.score_scale)
    answers = run_on_host(mixed, NOISE, compiler, sanitizers)
    assert_same(answers, reference.classify(network, NOISE))


@pytest.mark.parametrize("name", ["dense", "conv-pool", "swift"])
@pytest.mark.parametrize("scale", ["raw", "unit"])
def test_models_that_come_with_chiffres(
    name: str, scale: str, compiler: str, mnist_5k: Dataset
) -> None:
    keras.utils.set_random_seed(2)
    images = mnist_5k.test.images
    network = quantize(as_chain(build_model(name, scale)), images[:50])  # type: ignore[arg-type]
    network = with_confidence(network, images)
    assert_same(run_on_host(network, images, compiler), reference.classify(network, images))


def test_a_trained_model_on_all_of_mnist(
    dense_run: object, full_mnist: Dataset, compiler: str
) -> None:
    from chiffres.models.files import load_model

    images = full_mnist.test.images
    network = quantize(as_chain(load_model(dense_run.folder)), images[:50])  # type: ignore[attr-defined]
    answers = reference.classify(network, images)
    right = answers.digits == full_mnist.test.labels
    table = fit_confidence(reference.margins_of(answers.scores), right)
    network = dataclasses.replace(network, confidence=table)
    assert_same(run_on_host(network, images, compiler), reference.classify(network, images))


def test_the_code_needs_no_floats_no_division_and_no_library() -> None:
    stack = [layers.Conv2D(3, 3, padding="same"), layers.AveragePooling2D(3), layers.ReLU()]
    model = sequential(*stack, layers.BatchNormalization(), layers.Flatten(), layers.Dense(10))
    network = with_confidence(quantize(as_chain(with_random_weights(model)), NOISE), NOISE)
    code = generate.model_files(network, "test", "a test")["chiffres_model.c"]
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    assert not re.search(r"float|double|\d\.\d|[^/]/[^/]|%|malloc|mem(cpy|set)", code)
    assert re.findall(r"#include (.*)", code) == ['"chiffres_model.h"']


def test_the_header_states_the_sizes() -> None:
    network = quantize(as_chain(build_model("conv-pool", "unit")), NOISE)
    header = generate.model_files(network, "test", "a test")["chiffres_model.h"]
    found = sizes.sizes(network)
    assert f"#define CHIFFRES_CONSTANT_BYTES {found.data}u" in header
    assert f"#define CHIFFRES_STATIC_BYTES {found.memory}u" in header
    assert f"{found.data:,} bytes of constants" in header
    assert re.findall("#include (.*)", header) == ["<stdint.h>"]


def test_the_same_network_gives_the_same_text() -> None:
    network = quantize(as_chain(build_model("dense", "unit")), NOISE)
    first, second = (generate.model_files(network, "test", "a test") for _ in range(2))
    assert first == second
    assert max(len(line) for text in first.values() for line in text.splitlines()) <= 110


def test_what_the_fields_of_c_cannot_hold_is_refused() -> None:
    stack = [layers.Conv2D(96, 1), layers.Flatten(), layers.Dense(10)]  # 75,264 inputs
    network = quantize(as_chain(with_random_weights(sequential(*stack))), NOISE)
    with pytest.raises(UsageError, match="run = 75,264; the C code holds at most 65,535"):
        generate.model_files(network, "test", "a test")


def test_a_name_cannot_end_a_comment() -> None:
    network = quantize(as_chain(build_model("dense", "unit")), NOISE)
    with pytest.raises(UsageError, match="cannot stand in a comment"):
        generate.model_files(network, "a */ int main", "a test")
