"""A trained model judged on every part of its dataset."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import numpy.typing as npt

from chiffres.data import Dataset
from chiffres.data.dataset import PartName
from chiffres.evaluation.metrics import Evaluation, evaluate
from chiffres.models import as_input
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.training.run import History, Run


@dataclass(frozen=True, eq=False)
class JudgedRun:
    """A run, its model and what it answered to each part.

    Attributes:
        name: what the report calls it.
        run: where it was trained.
        model: as it was after the last epoch.
        train, validation, test: its answers, dropout off.
    """

    name: str
    run: Run
    model: keras.Model
    train: Evaluation
    validation: Evaluation
    test: Evaluation

    @cached_property
    def history(self) -> History:
        """Loss and accuracy of both parts after each epoch."""
        return self.run.history()

    @property
    def seed(self) -> int:
        """What it was trained with."""
        return self.run.recipe().seed

    @property
    def epoch_seconds(self) -> float:
        """The median time of an epoch, validation apart."""
        return float(statistics.median(self.run.metrics()["epoch_seconds"]))

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, after which the validation loss was lowest."""
        return int(np.argmin(self.history["val_loss"])) + 1


def judge(run: Run, dataset: Dataset, name: str = "") -> JudgedRun:
    """Load a finished run's model, evaluate it and write the figures into ``metrics.json``.

    This opens the test part, so it comes after all training and choosing.

    Args:
        run: where it was trained.
        dataset: what it was trained on.
        name: what to call it; by default as its recipe calls the model.
    """
    model = load_model(run.folder)
    name = name or run.recipe().model
    parts = {part: evaluate(model, dataset, part, name=name) for part in get_args(PartName)}
    run.record(**{part: evaluation.summary() for part, evaluation in parts.items()})
    return JudgedRun(name, run, model, **parts)


def feature_maps(
    model: keras.Model, image: npt.NDArray[np.uint8]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return what a digit has become after each convolution and pooling layer.

    Args:
        model: layers in a row.
        image: ``(28, 28)`` uint8.

    Returns:
        By layer name, ``(height, width, maps)`` float32; empty for a model without such layers.
    """
    outputs = {}
    signal = keras.ops.convert_to_tensor(as_input(image[None], model))
    for layer in model.layers:
        signal = layer(signal)
        if "Conv2D" in type(layer).__name__ or "Pooling2D" in type(layer).__name__:
            outputs[layer.name] = keras.ops.convert_to_numpy(signal)[0]
    return outputs
