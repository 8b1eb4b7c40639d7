"""The lab from end to end: train its models, judge them, write the report."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console

from chiffres.data import Dataset, load_dataset
from chiffres.errors import UsageError
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.judge import judge
from chiffres.models.backend import keras
from chiffres.report.page import write_report
from chiffres.report.words import Words, user_language
from chiffres.training.recipe import load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

MODELS = ("dense", "conv", "conv-pool", "conv-dropout")
"""The lab's models, in its order; each has a recipe of its name."""
REPORT = "report.html"


def run_lab(
    out: str | Path,
    dataset: Dataset | None = None,
    models: Sequence[str] = MODELS,
    settings: Sequence[str] = (),
    language: str = "",
) -> Comparison:
    """Train the chosen models, judge them on all parts, and write ``OUT/report.html``.

    Each model's run lies in ``OUT/<model>``. What is there already is not trained again, and an
    interrupted lab goes on where it was.

    Args:
        out: the lab's folder.
        dataset: the digits; by default ``auto``.
        models: the names of their recipes, each once.
        settings: ``"key=value"`` for all recipes, as in ``load_recipe``.
        language: of the report; by default the user's.

    Raises:
        UsageError: a run in ``out`` is of another recipe or dataset, or a model is named twice.
    """
    if not models or len(set(models)) != len(models):
        raise UsageError(
            f"models {', '.join(models) or '(none)'}: name each at least and at most once"
        )
    words = Words(language or user_language())
    recipes = [load_recipe(model, settings) for model in models]
    dataset = dataset or load_dataset()
    for recipe in recipes:
        keras.utils.clear_session()  # so that each model's layers are numbered from the start
        folder = Path(out) / recipe.model
        train(recipe, folder, dataset=dataset, resume=Run(folder).exists)
    with Console(stderr=True).status("evaluating"):
        judged = [judge(Run(Path(out) / recipe.model), dataset) for recipe in recipes]
    comparison = Comparison(dataset, judged, published() if dataset.name == "mnist" else {})
    write_report(comparison, Path(out) / REPORT, words)
    return comparison


def published() -> dict[str, Any]:
    """Return the figures that the lab's text prints, by model."""
    text = (resources.files("chiffres.lab") / "published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
