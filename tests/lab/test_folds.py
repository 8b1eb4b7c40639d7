from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from chiffres.data import Dataset
from chiffres.errors import TrainingError, UsageError
from chiffres.evaluation.folds import CrossValidation
from chiffres.lab.folds import cross_validate
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.trials import Processes

RECIPE = load_recipe("dense", ["epochs=1", "scale=unit", "learning_rate=0.001"])


def test_every_digit_is_held_out_once_and_nothing_is_trained_twice(
    small: Dataset, tmp_path: Path
) -> None:
    found = cross_validate(RECIPE, small, 3, tmp_path)
    runs = [Run(tmp_path / f"fold-{number}-of-3") for number in (1, 2, 3)]
    sizes = [run.environment()["dataset"] for run in runs]
    assert sum(size["validation"] for size in sizes) == 500
    assert all(size["train"] + size["validation"] == 500 for size in sizes)
    assert found.accuracies == [run.history()["val_accuracy"][-1] for run in runs]
    assert (found.trained_on, found.held_out) == (334, 166)
    assert all(run.metrics()["test"] is None for run in runs)

    before = [run.model_path.stat().st_mtime_ns for run in runs]
    assert cross_validate(RECIPE, small, 3, tmp_path) == found
    assert [run.model_path.stat().st_mtime_ns for run in runs] == before


@pytest.mark.parametrize("folds", [1, 40, -1])
def test_there_cannot_be_any_number_of_folds(small: Dataset, tmp_path: Path, folds: int) -> None:
    assert small.development.counts().min() < 60
    folds = 60 if folds == 40 else folds
    with pytest.raises(UsageError, match=f"folds = {folds}: expected 2 to "):
        cross_validate(RECIPE, small, folds, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_interval_is_nadeau_and_bengio_s() -> None:
    accuracies = [0.955, 0.96, 0.958, 0.962, 0.965]
    found = CrossValidation("dense", accuracies, 48_000, 12_000)
    reach = t.ppf(0.975, 4) * np.std(accuracies, ddof=1) * np.sqrt(1 / 5 + 12_000 / 48_000)
    assert found.interval == pytest.approx((0.96 - reach, 0.96 + reach))
    assert found.json()["accuracy_mean"] == pytest.approx(0.96)


def test_an_engine_trains_the_same_folds(from_file: Dataset, tmp_path: Path) -> None:
    here = cross_validate(RECIPE, from_file, 2, tmp_path / "here")
    there = cross_validate(RECIPE, from_file, 2, tmp_path / "there", engine=Processes(1))
    assert there == here


def test_a_fold_that_fails_on_an_engine_is_told(from_file: Dataset, tmp_path: Path) -> None:
    recipe = load_recipe("dense", ["epochs=1", "optimizer=sgd", "learning_rate=1e30"])
    with pytest.raises(TrainingError, match=r"2 of 2 trainings failed; the first, .*fold-1-of-2: "):
        cross_validate(recipe, from_file, 2, tmp_path, engine=Processes(1))
