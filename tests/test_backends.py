"""The way from recipe to exported file, on whichever backend ``KERAS_BACKEND`` names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chiffres
from chiffres.data import Dataset
from chiffres.models.backend import BACKEND, keras
from chiffres.training.run import Run

pytestmark = pytest.mark.backend


def trained(dataset: Dataset, out: Path, *, epochs: int = 3, resume: bool = False) -> Run:
    keras.utils.clear_session()
    settings = [f"epochs={epochs}", "learning_rate=0.001", "batch_size=64"]
    recipe = chiffres.load_recipe("conv-dropout", settings)
    return chiffres.train(recipe, out, dataset=dataset, resume=resume)


@pytest.fixture(scope="module")
def run(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(small, tmp_path_factory.mktemp("backend") / "run")


def test_a_run_names_its_backend(run: Run) -> None:
    assert run.environment()["backend"] == BACKEND
    assert run.finished


def test_a_run_is_reproducible(run: Run, small: Dataset, tmp_path: Path) -> None:
    again = trained(small, tmp_path / "again")
    assert again.history() == run.history()


def test_a_resumed_run_ends_as_an_uninterrupted_one(
    run: Run, small: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "resumed"
    trained(small, out, epochs=1)
    recipe = (out / "recipe.toml").read_text(encoding="utf-8")
    (out / "recipe.toml").write_text(recipe.replace("epochs = 1", "epochs = 3"), encoding="utf-8")
    assert trained(small, out, resume=True).history() == run.history()


def test_an_improbable_digit_still_has_its_whole_loss(run: Run, small: Dataset) -> None:
    """Left to itself, Keras clips probabilities at 1e-7, 16.1 nats, on all but TensorFlow."""
    evaluation = chiffres.evaluate(run.folder, small, "validation")
    assert evaluation.loss == pytest.approx(run.history()["val_loss"][-1], rel=1e-4)
    given = evaluation.probabilities[np.arange(100), small.validation.labels]
    assert given.min() < 1e-7


def test_exported_files_answer_as_the_run(run: Run, small: Dataset, tmp_path: Path) -> None:
    images = small.test.images
    expected = chiffres.predict(run.folder, images)
    assert expected.shape == (100, 10)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    for target in ("h5", "keras"):
        path = chiffres.export_model(run.folder, target, tmp_path / f"model.{target}")
        np.testing.assert_allclose(chiffres.predict(path, images), expected, atol=1e-6)


def test_a_unit_scaled_model_takes_the_same_images(small: Dataset, tmp_path: Path) -> None:
    recipe = chiffres.load_recipe("dense", ["epochs=1", "scale=unit"])
    run = chiffres.train(recipe, tmp_path / "unit", dataset=small)
    assert chiffres.predict(run.folder, small.test.images).shape == (100, 10)
