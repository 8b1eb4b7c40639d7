"""Trained runs put together into a comparison."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from chiffres.data import Dataset, load_dataset
from chiffres.errors import RunError, UsageError
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.corrupt import CORRUPTIONS, corrupted
from chiffres.evaluation.intervals import Interval
from chiffres.evaluation.judge import judge
from chiffres.evaluation.metrics import evaluate
from chiffres.evaluation.seeds import JudgedModel, accuracy_interval
from chiffres.export.cost import measure_cost
from chiffres.training.recipe import UNSET, Recipe
from chiffres.training.run import Run

FOLD = "fold-"
"""How the folders of a cross-validation's runs begin, which no comparison takes for others."""

Groups = dict[str, list[Run]]
Robustness = dict[str, dict[str, tuple[float, Interval]]]


def compare_runs(
    folders: Iterable[str | Path], dataset: Dataset | None = None, *, robustness: bool = False
) -> Comparison:
    """Judge finished runs on the dataset that all were trained on, and put them side by side.

    Runs that differ by their seed alone are one model.

    Args:
        folders: run folders, or folders with runs inside, as a lab or a sweep leaves them.
        dataset: the digits, where they are loaded already.
        robustness: whether to ask all models for corrupted digits, too.

    Raises:
        RunError: there is no run in a folder, or one that is not finished.
        UsageError: the runs were trained on other digits, or two are of the same recipe and seed.
    """
    groups = group_runs(find_runs(folders))
    runs = [run for group in groups.values() for run in group]
    dataset = dataset or load_dataset(runs[0].recipe().data)
    _check(runs, dataset)
    console = Console(stderr=True, force_jupyter=False, quiet=not sys.stderr.isatty())
    with console.status("evaluating"):
        models = [
            JudgedModel(name, [judge(run, dataset, name) for run in group])
            for name, group in groups.items()
        ]
        costs = {
            model.name: measure_cost(model.first.model, model.epoch_seconds) for model in models
        }
        under = ask_corrupted(models, dataset) if robustness else {}
    return Comparison(dataset, models, costs=costs, robustness=under)


def find_runs(folders: Iterable[str | Path]) -> list[Run]:
    """Return the run of each folder, or the runs inside it; raise RunError where there is none."""
    runs: dict[Path, Run] = {}
    for folder in map(Path, folders):
        inside = [folder] if Run(folder).exists else _inside(folder)
        if not inside:
            raise RunError(f"{folder}: no run here, nor in the folders inside; train one first")
        runs |= {each.resolve(): Run(each) for each in inside}
    return list(runs.values())


def _inside(folder: Path) -> list[Path]:
    found = sorted(path.parent for path in folder.rglob("recipe.toml"))
    return [path for path in found if not path.name.startswith(FOLD)]


def group_runs(runs: Sequence[Run]) -> Groups:
    """Return the runs of each model, in the order of their seeds, by a name that tells it apart.

    Raises:
        UsageError: two runs are of the same recipe and seed.
    """
    recipes = [run.recipe() for run in runs]
    names = _names(recipes)
    groups: dict[str, dict[int, Run]] = {}
    for name, recipe, run in zip(names, recipes, runs, strict=True):
        group = groups.setdefault(name, {})
        if recipe.seed in group:
            raise UsageError(
                f"{run.folder} and {group[recipe.seed].folder} are of the same recipe and seed "
                f"({recipe.seed}): they count once; name one of them"
            )
        group[recipe.seed] = run
    return {name: [group[seed] for seed in sorted(group)] for name, group in groups.items()}


def _names(recipes: Sequence[Recipe]) -> list[str]:
    """Name each recipe by its model, or where that is not enough by all that differs."""
    apart = [recipe.model_dump(exclude={"seed", "model"}) for recipe in recipes]
    models = [recipe.model for recipe in recipes]
    if len(set(models)) == len({str(each) for each in zip(models, apart, strict=True)}):
        return models
    differing = [key for key in apart[0] if len({str(values[key]) for values in apart}) > 1]
    return [
        " ".join(
            [model] * (len(set(models)) > 1)
            + [f"{key}={values[key]}" for key in differing if values[key] not in UNSET]
        )
        or model
        for model, values in zip(models, apart, strict=True)
    ]


def _check(runs: Sequence[Run], dataset: Dataset) -> None:
    for run in runs:
        if not run.finished:
            done, epochs = run.metrics().get("epochs", 0), run.recipe().epochs
            raise RunError(
                f"{run.folder}: {done} of {epochs} epochs are trained; finish the training first"
            )
        found = run.environment()["dataset"]
        if found["sha256"] != dataset.checksum:
            raise UsageError(
                f"{run.folder}: was trained on other digits ({found['name']}, SHA-256 "
                f"{found['sha256']}) than {dataset.name} (SHA-256 {dataset.checksum}); "
                "only runs on the same digits can be compared"
            )


def ask_corrupted(models: Sequence[JudgedModel], dataset: Dataset) -> Robustness:
    """Return the test accuracy of each model under each corruption, with its interval."""
    found: Robustness = {model.name: {} for model in models}
    for corruption in CORRUPTIONS:
        changed = corrupted(dataset, corruption)
        for model in models:
            right = np.stack([evaluate(run.model, changed).right for run in model.runs])
            found[model.name][corruption] = float(right.mean()), accuracy_interval(right)
    return found


def changed_settings(recipe: Recipe, apart_from: Mapping[str, Any]) -> list[str]:
    """Return ``key=value`` of each key of ``recipe`` that is not its default's.

    Args:
        recipe: what was trained.
        apart_from: the keys that are told otherwise.
    """
    usual = type(recipe)(model=recipe.model)
    return [
        f"{key}={value}"
        for key, value in recipe.model_dump().items()
        if value != getattr(usual, key) and key not in apart_from
    ]
