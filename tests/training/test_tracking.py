"""Runs shown in TensorBoard and MLflow, as their own libraries read them back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from chiffres.data import Dataset
from chiffres.errors import MissingExtraError, UnknownNameError
from chiffres.training.recipe import load_recipe
from chiffres.training.run import COLUMNS, Run
from chiffres.training.tracking import NAMES, check_trackers
from chiffres.training.train import train

RECIPE = load_recipe("dense", ["epochs=3", "scale=unit", "learning_rate=0.001"])
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def in_tensorboard(run: Run) -> dict[str, list[tuple[int, float]]]:
    """Return step and value of all that TensorBoard has of the run."""
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = loading.EventAccumulator(str(run.folder / "tensorboard"))
    found.Reload()
    return {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }


def expected(run: Run) -> dict[str, list[tuple[int, Any]]]:
    history = run.history()
    return {
        NAMES[column]: [
            (step, pytest.approx(value)) for step, value in enumerate(history[column], 1)
        ]
        for column in COLUMNS
    }


def interrupted(folder: Path, small: Dataset, **options: Any) -> Run:
    """Leave the run as an interruption after its first epoch leaves it."""
    run = train(RECIPE.model_copy(update={"epochs": 1}), folder, dataset=small, **options)
    recipe = run.recipe().model_copy(update={"epochs": 3})
    (folder / "recipe.toml").write_text(recipe.toml(), encoding="utf-8")
    return run


def test_tensorboard_has_every_epoch_once(small: Dataset, tmp_path: Path) -> None:
    run = interrupted(tmp_path / "run", small, log=["tensorboard"])
    assert len(in_tensorboard(run)["loss/training"]) == 1
    train(RECIPE, tmp_path / "run", dataset=small, resume=True, log=["tensorboard"])
    assert in_tensorboard(run) == expected(run)


def test_a_run_that_was_finished_before_is_logged_from_its_history(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    run = Run(Path(shutil.copytree(dense_run.folder, tmp_path / "run")))
    train(run.recipe(), run.folder, dataset=small, resume=True, log=["tensorboard"])
    assert in_tensorboard(run) == expected(run)
    assert run.history() == dense_run.history()


def test_mlflow_has_every_epoch_once_the_recipe_and_how_it_ended(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "lab")
    run = interrupted(tmp_path / "run", small, log=["mlflow"])
    train(RECIPE, tmp_path / "run", dataset=small, resume=True, log=["mlflow"])
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("lab")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "run"
    assert found.info.status == "FINISHED"
    assert found.data.params["learning_rate"] == "0.001"
    assert found.data.tags["dataset_sha256"] == small.checksum
    logged = {
        name: [
            (each.step, each.value) for each in client.get_metric_history(found.info.run_id, name)
        ]
        for name in NAMES.values()
    }
    assert logged == expected(run)


def test_what_cannot_be_logged_to_is_said_first(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError, match=r"tracker 'mlfow' \(did you mean 'mlflow'\?\)"):
        check_trackers(["mlfow"])
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"chiffres\[tracking\]"):
        train(RECIPE, tmp_path / "run", dataset=small, log=["tensorboard"])
    assert list(tmp_path.iterdir()) == []
