from __future__ import annotations

from pathlib import Path

from chiffres.export import cost, export_model
from chiffres.models import build_model
from chiffres.models.backend import keras


def test_the_bytes_are_those_of_the_exported_file(tmp_path: Path) -> None:
    model = build_model("conv-pool")
    measured = cost.measure_cost(model, 1.5)
    model.save(tmp_path / "model.keras")
    path = export_model(tmp_path / "model.keras", "onnx", tmp_path / "model.onnx")
    assert measured.bytes == path.stat().st_size
    assert measured.parameters == 693_962
    assert measured.epoch_seconds == 1.5
    assert measured.digit_milliseconds
    assert measured.digit_milliseconds > 0


def test_a_model_without_an_onnx_form_costs_its_weights() -> None:
    inputs = keras.Input((784,))
    functional = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(inputs))
    assert cost.measure_cost(functional, 2.0) == (7850, 4 * 7850, 2.0, None)
