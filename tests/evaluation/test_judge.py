from __future__ import annotations

import dataclasses
import shutil
from statistics import median

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.judge import JudgedRun, feature_maps, judge
from chiffres.evaluation.metrics import evaluate
from chiffres.evaluation.seeds import JudgedModel
from chiffres.lab.convolution import convolve_2d
from chiffres.lab.pooling import max_pool_2d
from chiffres.models import build_model
from chiffres.training.run import Run


@pytest.fixture(scope="module")
def judged(dense_run: Run, small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> JudgedRun:
    folder = tmp_path_factory.mktemp("judged") / "dense"
    return judge(Run(shutil.copytree(dense_run.folder, folder)), small)


def test_every_part_is_judged(judged: JudgedRun, small: Dataset) -> None:
    assert judged.name == "dense"
    found = [evaluation.part for evaluation in (judged.train, judged.validation, judged.test)]
    assert found == ["train", "validation", "test"]
    again = evaluate(judged.run.folder, small)
    np.testing.assert_array_equal(judged.test.probabilities, again.probabilities)


def test_the_figures_are_written_into_the_run(judged: JudgedRun, dense_run: Run) -> None:
    metrics = judged.run.metrics()
    for part, evaluation in (("train", judged.train), ("test", judged.test)):
        assert metrics[part] == evaluation.summary()
    assert metrics["test"]["n"] == 100
    for key in dense_run.metrics().keys() - {"train", "validation", "test"}:
        assert metrics[key] == dense_run.metrics()[key]
    assert judged.run.finished


def test_the_history_tells_the_best_epoch(judged: JudgedRun) -> None:
    losses = judged.history["val_loss"]
    assert losses[judged.best_epoch - 1] == min(losses)
    assert judged.epoch_seconds == median(judged.run.metrics()["epoch_seconds"])


def test_the_model_to_keep_is_chosen_on_the_validation_part(
    judged: JudgedRun, small: Dataset
) -> None:
    worse = dataclasses.replace(judged, validation=judged.test, test=judged.train)
    better = dataclasses.replace(judged, validation=judged.train, test=judged.test)
    assert worse.validation.loss > better.validation.loss
    assert worse.test.loss < better.test.loss
    named = [JudgedModel("worse", [worse]), JudgedModel("better", [better])]
    for models in (named, named[::-1]):
        assert Comparison(small, models).chosen.name == "better"


def test_feature_maps_are_those_made_by_hand(small: Dataset) -> None:
    model, image = build_model("conv-pool"), small.test.images[0]
    found = feature_maps(model, image)
    convolved, pooled = found.values()
    assert (convolved.shape, pooled.shape) == ((26, 26, 32), (13, 13, 32))
    kernels, biases = model.layers[0].get_weights()
    for number in (0, 31):
        by_hand = convolve_2d(image.astype(float), kernels[:, :, 0, number]) + biases[number]
        by_hand = np.maximum(by_hand, 0)
        np.testing.assert_allclose(convolved[..., number], by_hand, rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(pooled[..., number], max_pool_2d(convolved[..., number]))


def test_a_dense_model_has_no_feature_maps(judged: JudgedRun, small: Dataset) -> None:
    assert feature_maps(judged.model, small.test.images[0]) == {}
