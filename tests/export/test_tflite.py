"""``--to tflite``, where TensorFlow is installed: ``make test-backends`` has it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.errors import JobError, MissingExtraError
from chiffres.evaluation.predict import predict
from chiffres.export import export_model, tflite_file
from chiffres.training.run import Run

needs_tensorflow = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="no TensorFlow here: pip install 'chiffres[tflite]'"
)


@needs_tensorflow
@pytest.mark.backend
def test_the_interpreter_reads_what_keras_reads(
    dense_run: Run, mnist_5k: Dataset, tmp_path: Path
) -> None:
    written = export_model(dense_run.folder, "tflite", tmp_path / "mine", data="mnist-5k")
    assert written == tmp_path / "mine.tflite"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tflite"]
    assert 328_810 < written.stat().st_size < 1.1 * 328_810  # a byte per weight
    images = mnist_5k.test.images
    answers = tflite_file.ask_tflite(written, images)
    agree = np.array(answers["digits"]) == predict(dense_run.folder, images).argmax(axis=1)
    assert agree.mean() > 0.98
    assert 784 + 300 <= answers["live_bytes"] < 3000


@needs_tensorflow
@pytest.mark.backend
def test_what_tensorflow_says_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_text("not a model")
    with pytest.raises(JobError, match=r"TensorFlow cannot .*LiteRT: .*"):
        tflite_file.ask_tflite(tmp_path / "broken.tflite", np.zeros((1, 28, 28), np.uint8))


def test_without_tensorflow_the_extra_is_named(
    dense_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite_file, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"LiteRT needs .*pip install 'chiffres\[tflite\]'"):
        export_model(dense_run.folder, "tflite", tmp_path / "mine", data="mnist-5k")
    assert list(tmp_path.iterdir()) == []
