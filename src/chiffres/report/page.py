"""A comparison as one self-contained HTML page: nothing is loaded from elsewhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import chiffres
from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.judge import JudgedModel, feature_maps
from chiffres.report import figures, tables
from chiffres.report.summary import answers, choice
from chiffres.report.words import Words
from chiffres.storage import write_text

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
    published = {name: each["test_accuracy"] for name, each in comparison.published.items()}
    return {
        "words": words,
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
        "hyper_parameters": _hyper_parameters(models[0], words),
        "feature_maps": _feature_maps(comparison, words),
        "models": [_model(model, words) for model in models],
        "side_by_side": tables.side_by_side(comparison, words),
        "published": tables.beside_published(comparison, words),
        "accuracies": figures.data_uri(
            figures.accuracies([model.test for model in models], published, words)
        ),
        "answers": answers(comparison, words),
        "choice": choice(comparison, words),
        "command": _command(comparison, words),
        "checksum": dataset.checksum,
        "commit": models[0].run.environment()["git_commit"] or words("unknown"),
    }


def _made(model: JudgedModel, words: Words) -> str:
    """Say what the first run was made with; all of one lab are made alike."""
    environment = model.run.environment()
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


def _hyper_parameters(model: JudgedModel, words: Words) -> tables.Table:
    recipe = model.run.recipe().model_dump(exclude={"model"})
    rows = [[key, str(value)] for key, value in recipe.items()]
    return tables.Table([words.plain("key"), words.plain("value")], rows)


def _feature_maps(comparison: Comparison, words: Words) -> dict[str, str] | None:
    """Draw a digit of the validation part as the model with most to show sees it."""
    image = comparison.dataset.validation.images[0]
    seen = {model.name: feature_maps(model.model, image) for model in comparison.models}
    name = max(seen, key=lambda name: len(seen[name]))
    if not seen[name]:
        return None
    return {
        "model": name,
        "figure": figures.data_uri(figures.feature_maps(image, seen[name], words), "png"),
    }


def _model(model: JudgedModel, words: Words) -> dict[str, Any]:
    has_mistakes = not model.test.right.all()
    return {
        "name": model.name,
        "summary": tables.summary(model.model, words),
        "parts": tables.parts(model, words),
        "gap": words.points(model.gap),
        "seconds": words.number(model.epoch_seconds, 2),
        "accuracy_curve": figures.data_uri(
            figures.learning_curve(model.history, "accuracy", words)
        ),
        "loss_curve": figures.data_uri(figures.learning_curve(model.history, "loss", words)),
        "confusion": figures.data_uri(figures.confusion(model.test, words)),
        "mistakes": figures.data_uri(figures.mistakes(model.test, words), "png")
        if has_mistakes
        else None,
        "per_digit": tables.per_digit(model.test, words),
    }


def _command(comparison: Comparison, words: Words) -> str:
    """Return the command that makes the same page."""
    recipe = comparison.models[0].run.recipe()
    standard = type(recipe)(model=recipe.model, data=recipe.data)
    changed = [
        f" --set {key}={value}"
        for key, value in recipe.model_dump().items()
        if value != getattr(standard, key)
    ]
    models = ",".join(model.name for model in comparison.models)
    settings = "".join(changed)
    return f"chiffres lab --data {recipe.data} --models {models}{settings} --lang {words.language}"
