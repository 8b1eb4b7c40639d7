"""The lab from end to end: train its models, judge them, write the report."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from chiffres.data import Dataset, load_dataset
from chiffres.errors import UsageError
from chiffres.evaluation.compare import Comparison
from chiffres.lab.comparing import changed_settings, compare_runs
from chiffres.lab.folds import cross_validate
from chiffres.models.backend import keras
from chiffres.report.page import write_report
from chiffres.report.words import Words, user_language
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.train import train
from chiffres.training.trials import Engine, Trial, perform_all

MODELS = ("dense", "conv", "conv-pool", "conv-dropout")
"""The lab's models, in its order; each has a recipe of its name."""
REPORT = "report.html"


def run_lab(
    out: str | Path,
    dataset: Dataset | None = None,
    models: Sequence[str] = MODELS,
    settings: Sequence[str] = (),
    language: str = "",
    *,
    seeds: int = 1,
    folds: int = 0,
    robustness: bool = False,
    log: Sequence[str] = (),
    engine: Engine | None = None,
) -> Comparison:
    """Train the chosen models, judge them on all parts, and write ``OUT/report.html``.

    Each model's run lies in ``OUT/<model>``, that of a further seed in ``OUT/<model>-<seed>``.
    What is there already is not trained again, and an interrupted lab goes on where it was.

    Args:
        out: the lab's folder.
        dataset: the digits; by default ``auto``.
        models: the names of their recipes, each once.
        settings: ``"key=value"`` for all recipes, as in ``load_recipe``.
        language: of the report; by default the user's.
        seeds: how often each model is trained, with the recipe's seed and those that follow it.
        folds: into how many folds the first model, the baseline, is cross-validated; 0: it is not.
        robustness: whether to ask all models for corrupted digits, too.
        log: where else the runs are to be shown: ``"tensorboard"``, ``"mlflow"``.
        engine: where the trainings are run, on the digits that the dataset's name means; by
            default here, one after the other.

    Raises:
        UsageError: a run in ``out`` is of another recipe or dataset, or a model is named twice.
        TrainingError: a training on the engine failed.
    """
    if not models or len(set(models)) != len(models):
        raise UsageError(
            f"models {', '.join(models) or '(none)'}: name each at least and at most once"
        )
    words = Words(language or user_language())
    recipes = [load_recipe(model, settings) for model in models]
    dataset = dataset or load_dataset()
    out = Path(out)
    trials = []
    for recipe in recipes:
        for number in range(seeds):
            seeded = recipe.model_copy(update={"data": dataset.name, "seed": recipe.seed + number})
            folder = out / (f"{recipe.model}-{seeded.seed}" if number else recipe.model)
            trials.append(Trial(seeded, folder))
    if engine:
        perform_all(engine, trials, log)
    for trial in trials:
        keras.utils.clear_session()  # so that each model's layers are numbered from the start
        train(trial.recipe, trial.folder, dataset=dataset, resume=trial.run.exists, log=log)
    held_out = None
    if folds:
        held_out = cross_validate(
            recipes[0], dataset, folds, out / f"{recipes[0].model}-folds", log, engine
        )
    comparison = dataclasses.replace(
        compare_runs([trial.folder for trial in trials], dataset, robustness=robustness),
        published=published() if dataset.name == "mnist" else {},
        folds=held_out,
        command=_command(models, recipes[0], dataset, seeds, folds, robustness),
    )
    write_report(comparison, out / REPORT, words)
    return comparison


def _command(
    models: Sequence[str], recipe: Recipe, dataset: Dataset, seeds: int, folds: int, robust: bool
) -> str:
    """Return the command that makes the same report, but for its language."""
    return " ".join(
        [
            f"chiffres lab --data {dataset.name} --models {','.join(models)}",
            *(f"--set {setting}" for setting in changed_settings(recipe, {"data": None})),
            *([f"--seeds {seeds}"] if seeds > 1 else []),
            *([f"--folds {folds}"] if folds else []),
            *(["--robustness"] if robust else []),
        ]
    )


def published() -> dict[str, Any]:
    """Return the figures that the lab's text prints, by model."""
    text = (resources.files("chiffres.lab") / "published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
