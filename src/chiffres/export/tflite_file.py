"""One ``.tflite`` file for LiteRT: int8 throughout, made by Keras's own export on TensorFlow.

TensorFlow is another backend of Keras than the one in use, so the file is made in a process of its
own: ``tflite_worker``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chiffres.data import load_dataset
from chiffres.errors import JobError, MissingExtraError
from chiffres.evaluation.predict import predict
from chiffres.export.c.folder import CALIBRATION
from chiffres.export.keras_files import output_path
from chiffres.models.files import load_model
from chiffres.models.named import find_model
from chiffres.storage import replacing
from chiffres.training.run import Run

SECONDS = 600
"""After how many the conversion is taken to hang: it takes some ten."""


def export_tflite(model: Path, out: Path | None = None, *, data: str | None = None) -> Path:
    """Write the model as one LiteRT file, weights and activations of eight bits.

    Its input is ``(1, 28, 28, 1)``, or whatever shape the model takes, of int8: a grey level from 0
    to 255, less 128. Its output is ``(1, 10)`` int8, whose scale and zero the file tells.

    Args:
        model: a run folder, a ``.keras`` or an ``.h5`` file.
        out: the file to write.
        data: whose training part tells how to round; by default what the run was trained on, else
            ``auto``.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        ModelFileError: the model does not go from one 28×28 image to ten outputs.
        JobError: TensorFlow cannot convert it.
    """
    if find_spec("tensorflow") is None:
        raise MissingExtraError("exporting to LiteRT", "tflite", "tensorflow")
    predict(load_model(model), np.zeros((1, 28, 28), np.uint8))  # raises where it has other shapes
    path = output_path(model, out, ".tflite")
    run = Run(model)
    dataset = load_dataset(data or (run.recipe().data if run.exists else "auto"))
    with tempfile.TemporaryDirectory() as folder, replacing(path) as temporary:
        images = Path(folder) / "images.npy"
        np.save(images, dataset.train.images[:CALIBRATION])
        run_worker("convert", str(find_model(model)), str(images), str(temporary))
    return path


def ask_tflite(file: Path, images: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Run a file that :func:`export_tflite` wrote in LiteRT's interpreter.

    Args:
        file: the ``.tflite`` file.
        images: ``(n, 28, 28)`` uint8.

    Returns:
        ``digits``, a list of n numbers from 0 to 9; and ``live_bytes``, how much the values between
        the layers take at the time when they take most: no interpreter can do with less RAM.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "images.npy"
        np.save(saved, images)
        answer: dict[str, Any] = json.loads(run_worker("ask", str(file), str(saved)))
    return answer


def run_worker(*arguments: str) -> str:
    """Return the last line that ``tflite_worker`` prints.

    Raises:
        JobError: it ended with an error; the message has the last that it said.
    """
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "chiffres.export.tflite_worker", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise JobError(f"the conversion to LiteRT did not end within {SECONDS} seconds") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
        raise JobError(f"TensorFlow cannot convert the model to LiteRT: {said[-1][:300]}")
    return done.stdout.strip().splitlines()[-1]
