from __future__ import annotations

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.data.strangers import KINDS, strangers
from chiffres.evaluation import strangers as module
from chiffres.evaluation.confidence import auroc
from chiffres.evaluation.metrics import evaluate
from chiffres.evaluation.predict import predict
from chiffres.evaluation.strangers import separation
from chiffres.report import tables
from chiffres.report.words import Words
from chiffres.training.run import Run


def test_digits_are_compared_with_every_kind_of_stranger(dense_run: Run, small: Dataset) -> None:
    evaluation = evaluate(dense_run.folder, small)
    found = separation(dense_run.folder, evaluation, n=200, seed=1)
    images, kinds = strangers(200, seed=1)
    answers = predict(dense_run.folder, images)
    assert found.auroc == auroc(evaluation.probabilities, answers)
    assert 0.5 < found.auroc < 1
    counts = {kind: int((kinds == kind).sum()) for kind in KINDS}
    assert list(found.by_kind) == sorted(counts, key=lambda kind: -counts[kind])
    for kind, area in found.by_kind.items():
        assert area == auroc(evaluation.probabilities, answers[kinds == kind])
    weighted = sum(counts[kind] * area for kind, area in found.by_kind.items()) / 200
    assert found.auroc == pytest.approx(weighted)


def test_one_stranger_is_enough(dense_run: Run, small: Dataset) -> None:
    found = separation(dense_run.folder, evaluate(dense_run.folder, small), n=1)
    assert list(found.by_kind.values()) == [found.auroc]


def test_as_many_strangers_as_mnist_has_digits_to_test_with(
    dense_run: Run, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def few(n: int, seed: int) -> object:
        asked.append((n, seed))
        return strangers(20, seed)

    monkeypatch.setattr(module, "strangers", few)
    separation(dense_run.folder, evaluate(dense_run.folder, small))
    assert asked == [(10_000, 0)]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_kind_has_a_name_in_every_language(language: str) -> None:
    table = tables.strangers(module.Separation(0.5, dict.fromkeys(KINDS, 1.0)), Words(language))
    assert len({name for name, _ in table.rows}) == len(KINDS) + 1
    assert np.all([row[1][0] in "01" for row in table.rows])
