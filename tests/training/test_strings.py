"""A network that reads along strips: its batches, its training, its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from chiffres.data import Dataset
from chiffres.errors import ModelFileError, UsageError
from chiffres.evaluation.judge import judge
from chiffres.export import export_model
from chiffres.models import build_model
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.models.strings import reads_strings
from chiffres.reading import Reader
from chiffres.reading.network import StringNetwork
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.strings import AT_ONCE, StringBatches
from chiffres.training.train import train


@pytest.fixture(scope="module")
def run(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    recipe = load_recipe("strings", ["epochs=2", "negatives=0.05", "learning_rate=0.003"])
    return train(recipe, tmp_path_factory.mktemp("runs") / "strings", dataset=small)


def test_there_are_as_many_strings_as_digits(small: Dataset) -> None:
    batches = StringBatches(small.train, 64, seed=1, negatives=0.05)
    assert len(batches) == 7
    for index in range(len(batches)):
        strips, answers = batches[index]
        count, rows, width, channels = strips.shape
        assert (count, rows, channels) == (64, 28, 1)
        assert answers.shape == (64, 1, width / 2)
        assert 0 <= answers.min() <= answers.max() <= 10
        assert 100 < strips.max() <= 255


def test_batches_are_of_strings_about_as_wide(small: Dataset) -> None:
    batches = StringBatches(small.train, 16, seed=1, negatives=0.05)
    widths = [batches[index][0].shape[2] for index in range(AT_ONCE)]
    assert max(widths) > 1.5 * min(widths)
    assert sorted(widths) != widths  # and those come in any order


def test_a_new_epoch_has_new_strings(small: Dataset) -> None:
    batches = StringBatches(small.train, 8, seed=1, negatives=0.05)
    before = batches[0][0]
    np.testing.assert_array_equal(before, StringBatches(small.train, 8, 1, 0, 0.05)[0][0])
    batches.shuffle(np.random.default_rng(4))
    assert not np.array_equal(before, batches[0][0])


def test_it_learns(run: Run) -> None:
    history = run.history()
    assert history["loss"][1] < history["loss"][0]
    assert run.finished
    model = load_model(run.folder)
    assert reads_strings(model)
    assert not reads_strings(build_model("swift"))


def test_stopped_after_an_epoch_it_ends_alike(
    run: Run, small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Run, model: keras.Model) -> None:
        save(self, model)
        raise KeyboardInterrupt

    save = Run.save
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(run.recipe(), tmp_path / "again", dataset=small)
    again = train(run.recipe(), tmp_path / "again", dataset=small, resume=True)
    assert again.history() == run.history()


def test_its_export_answers_as_it_does(run: Run, tmp_path: Path) -> None:
    path = export_model(run.folder, "onnx", tmp_path / "strings.onnx")
    network = StringNetwork(path.read_bytes(), threads=1)
    model = load_model(run.folder)
    for count, width in ((1, 28), (3, 90), (2, 12)):
        strips = np.random.default_rng(width).integers(0, 256, (count, 28, width), np.uint8)
        expected = model.predict(strips[..., None].astype(np.float32), verbose=0)
        answers = network(strips)
        assert answers.shape == (count, 11, width // 2)
        np.testing.assert_allclose(answers, expected[:, 0].transpose(0, 2, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("strings", "strings=false", "the model 'strings' reads strings of digits"),
        ("conv", "strings=true", "the model 'conv' reads one digit in an image"),
    ],
)
def test_a_model_for_something_else_is_refused(
    small: Dataset, tmp_path: Path, name: str, setting: str, message: str
) -> None:
    recipe = load_recipe(name, [setting])
    with pytest.raises(UsageError, match=message):
        train(recipe, tmp_path / "run", dataset=small)
    assert not (tmp_path / "run").exists()


def test_it_is_no_classifier_of_digits(run: Run, small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"outputs of shape \(None, 1, None, 11\)"):
        judge(run, small)
    onnx = export_model(run.folder, "onnx", tmp_path / "strings.onnx")
    with pytest.raises(ModelFileError, match="expected"):
        Reader(onnx)
    assert ort.InferenceSession(onnx).get_inputs()[0].name == "strips"
