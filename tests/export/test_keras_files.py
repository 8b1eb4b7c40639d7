from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from absl import logging

from chiffres.data import Dataset
from chiffres.errors import ModelFileError, UnknownNameError, UsageError
from chiffres.evaluation.predict import predict
from chiffres.export import TARGETS, export_model
from chiffres.models.files import load_model
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

targets = pytest.mark.parametrize("target", ["h5", "keras"])


@pytest.fixture(scope="module")
def runs(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: train(load_recipe(name, ["epochs=1"]), folder / name, dataset=small).folder
        for name in ("conv", "conv-dropout", "conv-pool")
    }


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@targets
def test_an_exported_model_answers_as_before(dense_run: Run, small: Dataset, target: str) -> None:
    written = export_model(dense_run.folder, target, f"model.{target}")
    assert written == Path(f"model.{target}")
    images = small.test.images
    np.testing.assert_array_equal(predict(written, images), predict(dense_run.folder, images))


@targets
def test_from_one_format_to_the_other_and_back(dense_run: Run, small: Dataset, target: str) -> None:
    other = {"h5": "keras", "keras": "h5"}[target]
    first = export_model(dense_run.folder, target, Path("there"))
    back = export_model(export_model(str(first), other, "and"), target, "back")
    assert back == Path(f"back.{target}")
    np.testing.assert_array_equal(
        predict(back, small.test.images), predict(dense_run.folder, small.test.images)
    )


@pytest.mark.parametrize(
    ("name", "target", "file"),
    [
        ("conv", "h5", "Lab2.mnist.conv.h5"),
        ("conv", "keras", "Lab2.mnist.conv.keras"),
        ("conv-dropout", "h5", "Lab2_conv_dropout.h5"),
        ("conv-dropout", "keras", "Lab2_conv_dropout.keras"),
        ("conv-pool", "h5", "conv-pool.h5"),
    ],
)
def test_the_lab_s_names(
    runs: dict[str, Path], here: Path, name: str, target: str, file: str
) -> None:
    assert export_model(runs[name], target) == Path(file)
    assert [path.name for path in here.iterdir()] == [file]
    assert load_model(file).count_params() == load_model(runs[name]).count_params()


def test_a_file_is_exported_under_its_own_name(dense_run: Run, here: Path) -> None:
    assert export_model(dense_run.model_path, "h5") == Path("model.h5")
    assert (here / "model.h5").is_file()


@targets
def test_the_optimizer_stays_behind(dense_run: Run, target: str) -> None:
    written = export_model(dense_run.folder, target, "model")
    assert written.stat().st_size < dense_run.model_path.stat().st_size / 2
    if target == "h5":
        with h5py.File(written) as file:
            assert set(file) == {"model_weights"}
            assert "training_config" not in file.attrs


@targets
def test_nothing_is_printed(
    dense_run: Run,
    target: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    verbosity = logging.get_verbosity()
    export_model(dense_run.folder, target, "model")
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []
    assert logging.get_verbosity() == verbosity


def test_the_suffix_is_that_of_the_target(dense_run: Run) -> None:
    assert export_model(dense_run.folder, "h5", "mine.v2") == Path("mine.v2.h5")
    assert export_model(dense_run.folder, "h5", "mine.keras") == Path("mine.keras.h5")


def test_folders_are_made(dense_run: Run, here: Path) -> None:
    written = export_model(dense_run.folder, "keras", here / "some" / "where" / "model.keras")
    assert written.is_file()


def test_an_older_file_is_replaced(dense_run: Run, here: Path) -> None:
    (here / "model.h5").write_text("old")
    export_model(dense_run.folder, "h5", "model.h5")
    assert load_model("model.h5").count_params() == 328_810


def test_a_model_is_not_exported_onto_itself(dense_run: Run, here: Path) -> None:
    """It would lose its optimizer, and a run could not be resumed."""
    shutil.copytree(dense_run.folder, here / "run")
    before = (here / "run" / "model.keras").read_bytes()
    for source in ("run", "run/model.keras"):
        with pytest.raises(UsageError, match=r"model\.keras: is the model itself"):
            export_model(source, "keras", "run/model.keras")
    assert (here / "run" / "model.keras").read_bytes() == before


def test_an_unknown_target_proposes_the_nearest(dense_run: Run, here: Path) -> None:
    assert {"h5", "keras"} <= TARGETS.keys()
    with pytest.raises(UnknownNameError, match=r"unknown target 'hdf5' \(did you mean 'h5'\?\)"):
        export_model(dense_run.folder, "hdf5")
    assert list(here.iterdir()) == []


@targets
def test_a_write_that_fails_leaves_nothing(dense_run: Run, here: Path, target: str) -> None:
    (here / f"model.{target}").mkdir()  # a folder is in the way
    with pytest.raises(OSError, match=f"model.{target}"):
        export_model(dense_run.folder, target, f"model.{target}")
    assert [path.name for path in here.rglob("*")] == [f"model.{target}"]


def test_a_model_that_is_refused_leaves_nothing(here: Path) -> None:
    (here / "broken.h5").write_text("not a model")
    with pytest.raises(ModelFileError, match=r"broken\.h5: damaged or not a model file"):
        export_model("broken.h5", "keras")
    assert [path.name for path in here.iterdir()] == ["broken.h5"]
