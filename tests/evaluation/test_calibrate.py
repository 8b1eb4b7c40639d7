"""Calibration: the temperature that the answers have, folded into the model once and for all."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, astuple
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from chiffres.data import Dataset
from chiffres.errors import RunError, UsageError
from chiffres.evaluation.calibrate import Calibration, calibrate, fit_temperature, tempered
from chiffres.evaluation.confidence import expected_calibration_error
from chiffres.evaluation.judge import judge
from chiffres.evaluation.metrics import evaluate
from chiffres.evaluation.predict import predict
from chiffres.export import export_model
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

Floats = npt.NDArray[np.float64]


def drawn(n: int, seed: int = 0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return logits, and labels drawn from their softmax: their temperature is 1."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((n, 10))
    below = softmax(logits, axis=1).cumsum(axis=1)
    return logits, (below > rng.random((n, 1))).argmax(axis=1)


LOGITS, LABELS = drawn(2000)


@pytest.fixture
def run(dense_run: Run, tmp_path: Path) -> Run:
    """Copy a finished run, to be calibrated."""
    return Run(shutil.copytree(dense_run.folder, tmp_path / "run"))


@pytest.fixture(scope="module")
def calibrated(
    dense_run: Run, small: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Calibration]:
    """Calibrate a copy; not to be changed by a test."""
    folder = tmp_path_factory.mktemp("calibrated") / "dense"
    run = Run(shutil.copytree(dense_run.folder, folder))
    return run, calibrate(run, small)


# The temperature


@pytest.mark.parametrize("temperature", [0.4, 1, 1.7, 5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    logits, labels = drawn(20_000)
    probabilities = softmax(logits * temperature, axis=1)
    found = fit_temperature(probabilities, labels)
    assert found == pytest.approx(temperature, rel=0.05)
    assert expected_calibration_error(tempered(probabilities, found), labels) < 0.02


@given(st.floats(0.3, 3))
def test_a_model_that_is_surer_by_a_factor_has_that_factor_more_temperature(factor: float) -> None:
    once = fit_temperature(softmax(LOGITS, axis=1), LABELS)
    more = fit_temperature(softmax(LOGITS * factor, axis=1), LABELS)
    assert more == pytest.approx(once * factor, rel=1e-4)


@given(st.floats(0.3, 3))
def test_no_other_temperature_has_a_lower_loss(other: float) -> None:
    def loss(temperature: float) -> float:
        return -float(log_softmax(LOGITS / temperature, axis=1)[range(2000), LABELS].mean())

    found = fit_temperature(softmax(LOGITS, axis=1), LABELS)
    assert loss(found) <= loss(other) + 1e-9


@given(st.floats(0.2, 5))
def test_a_temperature_is_undone_by_its_inverse(temperature: float) -> None:
    probabilities = softmax(LOGITS, axis=1)
    warmer = tempered(probabilities, temperature)
    np.testing.assert_allclose(warmer, softmax(LOGITS / temperature, axis=1), rtol=1e-7)
    np.testing.assert_allclose(tempered(warmer, 1 / temperature), probabilities, rtol=1e-7)


def test_answers_without_an_error_have_no_temperature_to_find() -> None:
    probabilities = softmax(LOGITS, axis=1)
    assert fit_temperature(probabilities, probabilities.argmax(axis=1)) == 1


def test_answers_that_are_all_wrong_are_to_be_unsure() -> None:
    probabilities = softmax(LOGITS, axis=1)
    assert fit_temperature(probabilities, probabilities.argmin(axis=1)) > 50


def test_a_probability_of_0_has_a_finite_logit() -> None:
    probabilities = np.eye(10)
    labels = np.arange(10)
    labels[0] = 1
    assert 10 < fit_temperature(probabilities, labels) <= 100
    assert np.isfinite(tempered(probabilities, 0.5)).all()


# The calibration of a run


def test_the_answers_stay_and_the_validation_loss_falls(
    calibrated: tuple[Run, Calibration], dense_run: Run, small: Dataset
) -> None:
    run, found = calibrated
    for part in ("train", "validation", "test"):
        before, after = (evaluate(each.folder, small, part) for each in (dense_run, run))
        np.testing.assert_array_equal(after.predicted, before.predicted)
        assert after.accuracy == before.accuracy
        expected = tempered(before.probabilities, found.temperature)
        np.testing.assert_allclose(after.probabilities, expected, rtol=1e-4)
    before, after = (evaluate(each.folder, small, "validation") for each in (dense_run, run))
    assert found.temperature != pytest.approx(1, abs=0.01)
    assert after.loss < before.loss
    assert found.calibration_error_before == pytest.approx(before.calibration_error)
    assert found.calibration_error == after.calibration_error


def test_the_threshold_is_that_of_the_model_as_it_lies_there(
    calibrated: tuple[Run, Calibration], small: Dataset
) -> None:
    run, found = calibrated
    validation = evaluate(run.folder, small, "validation")
    accepted = validation.probabilities.max(axis=1) >= found.threshold
    assert accepted.mean() == found.coverage
    assert 0 < found.coverage < 1
    assert validation.right[accepted].all()  # of 100, one error is over 1 in 1,000


def test_the_validation_part_alone_is_asked(
    calibrated: tuple[Run, Calibration], run: Run, small: Dataset
) -> None:
    unlike = Dataset(
        small.name,
        small.origin,
        small.development,
        small.train_indices[:10],
        small.validation_indices,
        small.development.take(np.arange(10)),
    )
    assert calibrate(run, unlike) == calibrated[1]


def test_the_run_records_it_and_keeps_no_figure_of_the_model_before(
    run: Run, small: Dataset, dense_run: Run
) -> None:
    judge(run, small)
    found = calibrate(run, small)
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["calibration"] == asdict(found)
    assert set(metrics["calibration"]) == {
        "dataset",
        "temperature",
        "threshold",
        "coverage",
        "calibration_error_before",
        "calibration_error",
    }
    assert metrics["calibration"]["dataset"] == "small"
    assert metrics["validation"] == evaluate(run.folder, small, "validation").summary()
    assert metrics["train"] is metrics["test"] is None
    for key in dense_run.metrics().keys() - {"validation"}:
        assert metrics[key] == dense_run.metrics()[key]
    judge(run, small)
    assert run.metrics()["calibration"] == asdict(found)
    assert run.metrics()["validation"] == metrics["validation"]


def test_to_calibrate_again_changes_nothing(
    calibrated: tuple[Run, Calibration], run: Run, small: Dataset
) -> None:
    first = calibrate(run, small)
    assert first == calibrated[1]
    probabilities = predict(run.folder, small.test.images)
    again = calibrate(run, small)
    assert astuple(again)[1:] == pytest.approx(astuple(first)[1:], rel=1e-5)
    np.testing.assert_allclose(predict(run.folder, small.test.images), probabilities, rtol=1e-4)
    fitted = evaluate(run.folder, small, "validation")
    assert fit_temperature(fitted.probabilities, small.validation.labels) == pytest.approx(
        1, rel=1e-4
    )


def test_a_calibration_whose_record_was_lost_is_completed(
    run: Run, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = calibrate(run, small)
    run.record(calibration=None)
    again = calibrate(run, small)
    assert again.temperature == pytest.approx(1, rel=1e-4)
    assert (again.threshold, again.coverage) == pytest.approx((first.threshold, first.coverage))


def test_a_calibrated_run_is_finished_and_not_trained_on(run: Run, small: Dataset) -> None:
    calibrate(run, small)
    assert run.finished
    files = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    assert train(run.recipe(), run.folder, dataset=small, resume=True) == run
    with pytest.raises(UsageError, match=r"another recipe \(epochs: 3 → 4\)"):
        train(run.recipe().model_copy(update={"epochs": 4}), run.folder, dataset=small, resume=True)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == files
    assert len(files) == 5


def test_the_optimizer_is_kept(calibrated: tuple[Run, Calibration], dense_run: Run) -> None:
    before, after = (load_model(run.folder, compile=True) for run in (dense_run, calibrated[0]))
    for mine, theirs in zip(after.optimizer.variables, before.optimizer.variables, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (mine, theirs)))
    *mine, kernel, bias = after.get_weights()
    *theirs, kernel_before, bias_before = before.get_weights()
    assert all(np.array_equal(*each) for each in zip(mine, theirs, strict=True))
    temperature = calibrated[1].temperature
    np.testing.assert_allclose(kernel * temperature, kernel_before, rtol=1e-6)
    np.testing.assert_allclose(bias * temperature, bias_before, rtol=1e-6)


@pytest.mark.parametrize("target", ["h5", "keras"])
def test_an_export_is_calibrated(
    calibrated: tuple[Run, Calibration], small: Dataset, tmp_path: Path, target: str
) -> None:
    path = export_model(calibrated[0].folder, target, tmp_path / f"out.{target}")
    expected = predict(calibrated[0].folder, small.test.images)
    np.testing.assert_allclose(predict(path, small.test.images), expected, rtol=1e-6)


# Refusals


def test_a_folder_that_is_no_run(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        calibrate(Run(tmp_path), small)


def test_a_run_that_is_not_finished(run: Run, small: Dataset) -> None:
    path = run.folder / "recipe.toml"
    path.write_text(run.recipe().model_copy(update={"epochs": 5}).toml())
    before = run.model_path.read_bytes()
    with pytest.raises(RunError, match=r"3 of 5 epochs are trained; finish .*--resume"):
        calibrate(run, small)
    assert run.model_path.read_bytes() == before
    assert "calibration" not in run.metrics()


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ([keras.layers.Dense(10)], "Dense layer with linear"),
        ([keras.layers.Dense(10), keras.layers.Softmax()], "Softmax layer with no activation"),
        ([keras.layers.Dense(10), keras.layers.Activation("softmax")], "Activation layer with"),
    ],
    ids=["linear", "softmax layer", "activation layer"],
)
def test_a_model_of_another_end(
    run: Run, small: Dataset, layers: list[keras.layers.Layer], found: str
) -> None:
    keras.Sequential([keras.Input((784,)), *layers]).save(run.model_path)
    before = run.model_path.read_bytes()
    with pytest.raises(UsageError, match=f"run: the model ends in a {found}.*Dense layer with"):
        calibrate(run, small)
    assert run.model_path.read_bytes() == before


def test_a_recipe_s_own_model_can_be_calibrated() -> None:
    """Each of them ends in the layer that the temperature goes into."""
    from chiffres.models import build_model
    from chiffres.training.recipe import recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        last = build_model(recipe.model, recipe.scale).layers[-1]
        assert type(last) is keras.layers.Dense
        assert last.activation is keras.activations.softmax
