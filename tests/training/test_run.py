"""What a run folder holds, and what is said when it is damaged."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from chiffres.data import Dataset
from chiffres.errors import RunError
from chiffres.models.backend import BACKEND, keras
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run


@pytest.fixture
def run(dense_run: Run, tmp_path: Path) -> Run:
    """Copy a finished run, to be damaged."""
    return Run(shutil.copytree(dense_run.folder, tmp_path / "run"))


def test_a_run_folder_has_five_files(dense_run: Run) -> None:
    assert {path.name for path in dense_run.folder.iterdir()} == {
        "recipe.toml",
        "history.csv",
        "model.keras",
        "metrics.json",
        "environment.json",
    }
    assert dense_run.model_path == dense_run.folder / "model.keras"


def test_the_recipe_is_kept_with_the_dataset_it_was_trained_on(dense_run: Run) -> None:
    settings = ["data=small", "epochs=3", "scale=unit", "learning_rate=0.001"]
    assert dense_run.recipe() == load_recipe("dense", settings)


def test_the_history_is_a_table_of_the_epochs(dense_run: Run) -> None:
    lines = (dense_run.folder / "history.csv").read_bytes().decode().split("\n")
    assert lines[0] == "epoch,loss,accuracy,val_loss,val_accuracy"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", ""]
    history = dense_run.history()
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    row = ",".join(str(values[1]) for values in history.values())
    assert lines[2] == f"2,{row}"
    assert history["loss"][2] < history["loss"][0]


def test_the_metrics_have_the_documented_keys(dense_run: Run) -> None:
    metrics = json.loads((dense_run.folder / "metrics.json").read_text())
    assert metrics == dense_run.metrics()
    assert set(metrics) == {
        "schema",
        "recipe",
        "parameters",
        "training_seconds",
        "epoch_seconds",
        "epochs",
        "train",
        "validation",
        "test",
    }
    assert metrics["schema"] == 1
    assert metrics["recipe"] == dense_run.recipe().model_dump()
    assert metrics["parameters"] == 328_810
    assert metrics["epochs"] == len(metrics["epoch_seconds"]) == 3
    assert metrics["training_seconds"] == pytest.approx(sum(metrics["epoch_seconds"]), abs=0.002)
    assert all(seconds > 0 for seconds in metrics["epoch_seconds"])
    history = dense_run.history()
    assert metrics["validation"] == {
        "loss": history["val_loss"][-1],
        "accuracy": history["val_accuracy"][-1],
    }
    assert metrics["test"] is None  # not opened yet


def test_the_environment_has_the_documented_keys(dense_run: Run, small: Dataset) -> None:
    environment = dense_run.environment()
    assert set(environment) == {
        "schema",
        "chiffres",
        "git_commit",
        "python",
        "backend",
        "packages",
        "platform",
        "processor",
        "cores",
        "dataset",
    }
    assert environment["backend"] == BACKEND
    assert environment["packages"]["keras"] == keras.__version__
    assert environment["git_commit"] is None or re.fullmatch(
        r"[0-9a-f]{40}", environment["git_commit"]
    )
    assert environment["dataset"] == {
        "name": "small",
        "sha256": small.checksum,
        "train": 400,
        "validation": 100,
        "test": 100,
    }


def test_a_folder_without_a_recipe_is_no_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "nothing")
    assert not run.exists
    assert not run.finished
    assert run.metrics() == {}
    assert run.history() == {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    with pytest.raises(RunError, match=r"nothing: not a run folder: it has no recipe\.toml"):
        run.recipe()


def test_recorded_metrics_join_those_that_are_there(run: Run) -> None:
    before = run.metrics()
    run.record(test={"accuracy": 0.5})
    assert run.metrics() == before | {"test": {"accuracy": 0.5}}


@pytest.mark.parametrize("name", ["metrics.json", "environment.json"])
@pytest.mark.parametrize("content", [b"", b"{", b'{"epochs": 3', b"\xff\xfe", b"[]", b"3", b"null"])
def test_a_damaged_json_file_is_named(run: Run, name: str, content: bytes) -> None:
    (run.folder / name).write_bytes(content)
    read = run.metrics if name == "metrics.json" else run.environment
    with pytest.raises(RunError, match=re.escape(str(run.folder / name))):
        read()


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,loss\n1,2\n",
        b"epoch,loss,accuracy,val_loss,val_accuracy\n1,2,3\n",
        b"epoch,loss,accuracy,val_loss,val_accuracy\n1,a,b,c,d\n",
        b"\x00\x01\x02\n\x03",
        b"\xff\xfe",
    ],
    ids=["columns", "short row", "words", "bytes", "not UTF-8"],
)
def test_a_damaged_history_is_named(run: Run, content: bytes) -> None:
    (run.folder / "history.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"history\.csv: expected the columns \('loss', 'accuracy'"):
        run.history()
