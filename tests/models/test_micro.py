"""The models for microcontrollers: as small as they say."""

from __future__ import annotations

import math
import re

import pytest

from chiffres.export.c import sizes
from chiffres.export.c.chain import as_chain
from chiffres.export.c.quantize import quantize
from chiffres.models import build_model, find_builder
from chiffres.models.backend import keras
from chiffres.models.files import ALLOWED
from tests.export.c.conftest import NOISE


@pytest.mark.parametrize("name", ["micro", "nano"])
def test_the_parameters_are_as_many_as_the_docstring_says(name: str) -> None:
    trained = sum(math.prod(each.shape) for each in build_model(name).trainable_variables)
    (said,) = re.findall(r"([\d,]+) parameters", find_builder(name).__doc__ or "")
    assert int(said.replace(",", "")) == trained


def test_the_network_that_the_sweep_starts_from() -> None:
    trained = build_model("micro-8").trainable_variables
    assert sum(math.prod(each.shape) for each in trained) == 8_962


@pytest.mark.parametrize(
    ("name", "flash", "ram"), [("micro", 13_000, 2_300), ("nano", 4_000, 1_500)]
)
def test_with_four_bits_they_fit_the_chip(name: str, flash: int, ram: int) -> None:
    model = build_model(name)
    assert {type(layer).__name__ for layer in model.layers} <= ALLOWED
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            whole = keras.random.randint(layer.kernel.shape, -7, 8, seed=1)
            layer.kernel.assign(keras.ops.cast(whole, "float32") / 50)
    found = sizes.sizes(quantize(as_chain(model), NOISE))
    assert found.flash <= flash
    assert found.ram <= ram
