"""A comparison as one self-contained HTML page: nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import chiffres
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.judge import feature_maps
from chiffres.evaluation.seeds import JudgedModel
from chiffres.report import charts, comparison_tables, figures, tables
from chiffres.report.exercises import answers
from chiffres.report.summary import (
    choice,
    cross_validated,
    differences,
    overfitting,
    shown_pairs,
)
from chiffres.report.words import Words
from chiffres.storage import write_text
from chiffres.training.recipe import UNSET
from chiffres.training.run import COLUMNS

NOTICES = {"mnist": None, "mnist-5k": "notice_subset"}
"""What the page says first about each dataset; of any other that figures do not compare."""


def write_report(comparison: Comparison, path: Path, words: Words) -> None:
    """Write the page to ``path``, whole or not at all."""
    write_text(path, render(comparison, words))


def render(comparison: Comparison, words: Words) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader("chiffres.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(_content(comparison, words)) + "\n"


def _content(comparison: Comparison, words: Words) -> dict[str, Any]:
    dataset, models = comparison.dataset, comparison.models
    notice = NOTICES.get(dataset.name, "notice_other")
    answered = answers(comparison, words)
    return {
        "words": words,
        "title": words("report_title" if answered else "report_title_other"),
        "made": _made(models[0], words),
        "notice": words(notice, dataset=dataset.name) if notice else None,
        "dataset": dataset,
        "sizes": {
            part: words.number(len(dataset.part(part))) for part in ("train", "validation", "test")
        },
        "grid": figures.data_uri(
            figures.digit_grid(dataset.development.images, dataset.development.labels), "png"
        ),
        "counts": figures.data_uri(figures.class_counts(dataset, words)),
        "hyper_parameters": _hyper_parameters(models, words),
        "feature_maps": _feature_maps(comparison, words),
        "models": [_model(model, words) for model in models],
        **_side_by_side(comparison, words),
        "differences": _differences(comparison, words),
        "overfitting": _overfitting(comparison, words),
        "answers": answered,
        "choice": choice(comparison, words),
        "command": f"{comparison.command} --lang {words.language}" if comparison.command else None,
        "checksum": dataset.checksum,
        "commit": models[0].first.run.environment()["git_commit"] or words("unknown"),
    }


def _side_by_side(comparison: Comparison, words: Words) -> dict[str, Any]:
    """Draw and list what can be said of any number of models."""
    models = comparison.models
    published = {name: each["test_accuracy"] for name, each in comparison.published.items()}
    content: dict[str, Any] = {
        "several_seeds": comparison.seeds > 1,
        "side_by_side": comparison_tables.side_by_side(comparison, words),
        "published": comparison_tables.beside_published(comparison, words),
        "accuracies": figures.data_uri(charts.accuracies(models, published, words)),
        "by_digit": figures.data_uri(charts.by_digit(models, words)),
        "calibration": comparison_tables.calibration(comparison, words),
        "calibration_curves": figures.data_uri(charts.calibration(models, words)),
        "costs": None,
        "robustness": None,
        "folds": _folds(comparison, words),
        "failed": comparison.failed,
    }
    if comparison.costs:
        content["costs"] = comparison_tables.costs(comparison, words)
        content["cost_chart"] = figures.data_uri(
            charts.cost_against_accuracy(models, comparison.costs, words)
        )
    if comparison.robustness:
        content["robustness"] = comparison_tables.robustness_of_all(comparison, words)
    return content


def _differences(comparison: Comparison, words: Words) -> dict[str, Any] | None:
    """Say, list and draw how each two models differ; None of one alone."""
    shown = shown_pairs(comparison)
    if not shown:
        return None
    count = len(comparison.pairs)
    return {
        "sentences": differences(comparison, words),
        "table": comparison_tables.pairs(shown, words),
        "holm": words("holm", count=count),
        "left_out": words("pairs_left_out", count=count) if len(shown) < count else None,
        "tests": [
            words(text)
            for test, text in (("mcnemar", "mcnemar_text"), ("seeds-and-digits", "seeds_text"))
            if any(pair.test == test for pair in shown)
        ],
        "drawn": [
            _disagreement(comparison.named(pair.a), comparison.named(pair.b)) for pair in shown
        ],
    }


def _disagreement(a: JudgedModel, b: JudgedModel) -> dict[str, Any]:
    drawn = charts.disagreements(a.test, b.test)
    return {
        "a": a.name,
        "b": b.name,
        "figure": figures.data_uri(drawn, "png", dpi=110) if drawn else None,
    }


def _overfitting(comparison: Comparison, words: Words) -> dict[str, Any]:
    return {
        "sentences": overfitting(comparison, words),
        "table": comparison_tables.overfitting(comparison, words),
        "gaps": figures.data_uri(charts.gaps(comparison.models, words)),
        "losses": figures.data_uri(charts.validation_losses(comparison.models, words)),
    }


def _folds(comparison: Comparison, words: Words) -> dict[str, Any] | None:
    if not comparison.folds:
        return None
    return {
        "text": cross_validated(comparison.folds, words),
        "table": comparison_tables.folds(comparison.folds, words),
    }


def _made(model: JudgedModel, words: Words) -> str:
    """Say what the first run was made with; all of one lab are made alike."""
    environment = model.first.run.environment()
    packages = environment["packages"]
    backend = environment["backend"]
    return words(
        "made",
        version=chiffres.__version__,
        date=words.date(date.today()),
        keras=packages["keras"],
        backend=backend,
        backend_version=packages.get(backend) or packages.get(f"{backend}-cpu") or "",
        processor=environment["processor"],
        cores=environment["cores"],
    )


def _hyper_parameters(models: Sequence[JudgedModel], words: Words) -> tables.Table:
    """Return one row per key; where the models differ, one column per model."""
    recipes = [
        model.first.run.recipe().model_dump(exclude={"model"})
        | {"seed": ", ".join(str(seed) for seed in model.seeds)}
        for model in models
    ]
    alike = all(recipe == recipes[0] for recipe in recipes)
    shown = recipes[:1] if alike else recipes
    headings = [words.plain("value")] if alike else [model.name for model in models]
    rows = [
        [key, *("·" if recipe[key] in UNSET else str(recipe[key]) for recipe in shown)]
        for key in recipes[0]
        if any(recipe[key] not in UNSET for recipe in shown)
    ]
    return tables.Table([words.plain("key"), *headings], rows)


def _feature_maps(comparison: Comparison, words: Words) -> dict[str, str] | None:
    """Draw a digit of the validation part as the model with most to show sees it."""
    image = comparison.dataset.validation.images[0]
    seen = {model.name: feature_maps(model.first.model, image) for model in comparison.models}
    name = max(seen, key=lambda name: len(seen[name]))
    if not seen[name]:
        return None
    return {
        "model": name,
        "figure": figures.data_uri(figures.feature_maps(image, seen[name], words), "png"),
    }


def _model(model: JudgedModel, words: Words) -> dict[str, Any]:
    first = model.first
    has_mistakes = not first.test.right.all()
    low, high = (words.points(each) for each in model.gap_interval)
    curves = {column: model.curve(column) for column in COLUMNS}
    return {
        "name": model.name,
        "id": re.sub(r"[^\w.-]+", "-", model.name),
        "seed": first.seed if len(model.runs) > 1 else None,
        "summary": tables.summary(first.model, words),
        "parts": tables.parts(model, words),
        "text": words(
            "model_text",
            gap=words.points(model.gap),
            low=low,
            high=high,
            seconds=words.number(model.epoch_seconds, 2),
        ),
        "accuracy_curve": figures.data_uri(figures.learning_curve(curves, "accuracy", words)),
        "loss_curve": figures.data_uri(figures.learning_curve(curves, "loss", words)),
        "confusion": figures.data_uri(figures.confusion(first.test, words)),
        "mistakes": figures.data_uri(figures.mistakes(first.test, words), "png")
        if has_mistakes
        else None,
        "per_digit": tables.per_digit(first.test, words),
    }
