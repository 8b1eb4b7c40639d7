"""Runs put together into a comparison."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from chiffres.data import Dataset
from chiffres.errors import RunError, UsageError
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.corrupt import CORRUPTIONS, robustness
from chiffres.lab.comparing import compare_runs, find_runs, group_runs
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

FAST = ["epochs=2", "scale=unit", "learning_rate=0.001"]


@pytest.fixture(scope="module")
def folder(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two models with two seeds each, and one with another learning rate."""
    out = tmp_path_factory.mktemp("runs")
    for model in ("dense", "conv-pool"):
        for seed in (2, 1):
            recipe = load_recipe(model, [*FAST, f"seed={seed}"])
            train(recipe, out / f"{model}-{seed}", dataset=small)
    return out


@pytest.fixture(scope="module")
def comparison(folder: Path, small: Dataset) -> Comparison:
    return compare_runs([folder], small, robustness=True)


def as_run(folder: Path, *settings: str, model: str = "dense") -> Run:
    """Leave a run that says that it was trained by this recipe."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(load_recipe(model, settings).toml(), encoding="utf-8")
    return Run(folder)


def test_runs_that_differ_by_their_seed_alone_are_one_model(comparison: Comparison) -> None:
    assert [model.name for model in comparison.models] == ["conv-pool", "dense"]
    assert [model.seeds for model in comparison.models] == [[1, 2], [1, 2]]
    assert comparison.seeds == 2
    (pair,) = comparison.pairs
    assert pair.test == "seeds-and-digits"
    assert pair.p_corrected == pair.p_value


def test_the_document_has_every_run_its_mean_and_the_pairs(comparison: Comparison) -> None:
    document = json.loads(json.dumps(comparison.json()))
    assert document["schema"] == 1
    for model, judged in zip(document["models"], comparison.models, strict=True):
        accuracies = [run["accuracy"] for run in model["runs"]]
        assert model["accuracy_mean"] == pytest.approx(np.mean(accuracies))
        assert model["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
        low, high = model["accuracy_interval"]
        assert 0 <= low <= model["accuracy_mean"] <= high <= 1
        assert model["gap"] == judged.train.accuracy - judged.validation.accuracy
        assert np.average(
            model["accuracy_by_digit"], weights=comparison.dataset.test.counts()
        ) == pytest.approx(model["accuracy_mean"])
        assert model["cost"]["parameters"] == judged.parameters
        assert model["cost"]["bytes"] > 4 * judged.parameters
        assert model["cost"]["digit_milliseconds"] > 0
    assert set(document["pairs"][0]) >= {
        *("a", "b", "difference", "interval", "test", "p_value", "p_corrected")
    }


def test_robustness_is_that_of_each_run(comparison: Comparison, small: Dataset) -> None:
    (model, _) = comparison.models
    assert list(comparison.robustness[model.name]) == list(CORRUPTIONS)
    alone = [robustness(run.model, small) for run in model.runs]
    for name, (accuracy, (low, high)) in comparison.robustness[model.name].items():
        assert accuracy == pytest.approx(np.mean([each[name].accuracy for each in alone]))
        assert low <= accuracy <= high


def test_models_are_named_by_what_differs(tmp_path: Path) -> None:
    def names(*recipes: tuple[str, list[str]]) -> list[str]:
        shutil.rmtree(tmp_path / "named", ignore_errors=True)
        runs = [
            as_run(tmp_path / "named" / str(number), *settings, model=model)
            for number, (model, settings) in enumerate(recipes)
        ]
        return list(group_runs(runs))

    assert names(("dense", []), ("dense", ["seed=1"])) == ["dense"]
    assert names(("dense", ["scale=unit"]), ("conv", [])) == ["dense", "conv"]
    assert names(
        ("conv-dropout", ["dropout=0.1"]), ("conv-dropout", []), ("conv-dropout", ["epochs=3"])
    ) == ["dropout=0.1 epochs=20", "epochs=20", "epochs=3"]
    assert names(("dense", []), ("dense", ["epochs=1"]), ("conv", [])) == [
        *("dense epochs=20", "dense epochs=1", "conv epochs=20")
    ]


def test_the_same_recipe_and_seed_twice_is_refused(tmp_path: Path) -> None:
    runs = [as_run(tmp_path / "a"), as_run(tmp_path / "b")]
    with pytest.raises(UsageError, match=r"b and .*a are of the same recipe and seed \(9000\)"):
        group_runs(runs)


def test_folders_that_cannot_be_compared(folder: Path, tmp_path: Path, small: Dataset) -> None:
    with pytest.raises(RunError, match="nowhere: no run here, nor in the folders inside"):
        find_runs([tmp_path / "nowhere"])
    as_run(tmp_path / "begun")
    with pytest.raises(RunError, match="begun: 0 of 20 epochs are trained; finish"):
        compare_runs([tmp_path / "begun"], small)
    others = Dataset("others", "", small.development, small.train_indices[::-1], *(
        small.validation_indices, small.test
    ))  # fmt: skip
    with pytest.raises(UsageError, match=r"was trained on other digits \(small, SHA-256"):
        compare_runs([folder], others)


def test_a_run_named_twice_counts_once_and_folds_do_not(folder: Path, tmp_path: Path) -> None:
    runs = find_runs([folder / "dense-1", folder])
    assert len(runs) == 4
    as_run(tmp_path / "lab" / "dense")
    as_run(tmp_path / "lab" / "dense-folds" / "fold-1-of-3")
    assert [run.folder.name for run in find_runs([tmp_path / "lab"])] == ["dense"]
