"""Commands that train: lab, train."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from chiffres.cli.app import (
    LAB_MODELS,
    Data,
    LabModels,
    Language,
    Seed,
    Settings,
    app,
    as_settings,
    file_name,
    print_table,
)


@app.command(epilog="Example: chiffres lab --data mnist --models conv,conv-pool --lang fr")
def lab(
    data: Data = "auto",
    models: LabModels = LAB_MODELS,
    epochs: Annotated[int | None, typer.Option(help="Replace the recipes' 20 epochs.")] = None,
    seed: Seed = None,
    settings: Settings = [],  # noqa: B006 — typer copies it
    language: Language = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="By default runs/lab-<data>.")
    ] = None,
) -> None:
    """Train the lab's models, compare them and write the report.

    What is in DIR already is not trained again: an interrupted lab goes on where it was.
    """
    from chiffres.data import load_dataset
    from chiffres.lab.experiment import REPORT, run_lab
    from chiffres.report import tables
    from chiffres.report.summary import choice
    from chiffres.report.words import Words, plain, user_language

    words = Words(language or user_language())
    dataset = load_dataset(data)
    out = out or Path("runs") / f"lab-{file_name(dataset.name)}"
    names = [name.strip() for name in models.split(",")]
    settings = settings + as_settings(epochs=epochs, seed=seed)
    comparison = run_lab(out, dataset, names, settings, words.language)
    side_by_side = tables.side_by_side(comparison, words)
    print_table(side_by_side.headings, side_by_side.rows)
    published = tables.beside_published(comparison, words)
    if published:
        print_table(published.headings, published.rows, words.plain("published_title"))
    for sentence in choice(comparison, words):
        typer.echo(plain(sentence))
    typer.echo(f"\n{words.plain('console_report')}: {out / REPORT}")


@app.command(epilog="Example: chiffres train conv --data mnist-5k --set learning_rate=0.01")
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="dense, conv, conv-pool, conv-dropout, swift, reader, or FILE.toml.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Replace the recipe's data; see: chiffres data list."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Begin with this model's weights, not new ones: a tenth of the learning rate and "
            "a fifth of the epochs do, then, unless set.",
        ),
    ] = None,
    settings: Settings = [],  # noqa: B006 — typer copies it
    seed: Seed = None,
    language: Language = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="By default runs/<recipe>-<data>-<seed>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
) -> None:
    """Train a recipe's model and leave a run, with its learning curves."""
    from chiffres.data import load_dataset
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language
    from chiffres.training.recipe import load_recipe
    from chiffres.training.train import train as train_recipe

    words = Words(language or user_language())
    settings = settings + as_settings(data=json.dumps(data) if data else None, seed=seed)
    if start:
        usual = load_recipe(recipe)
        gently = as_settings(
            start=json.dumps(start),
            learning_rate=usual.learning_rate / 10,
            epochs=math.ceil(usual.epochs / 5),
        )
        settings = gently + settings
    chosen = load_recipe(recipe, settings)
    dataset = load_dataset(chosen.data)
    name = f"{Path(recipe).stem}-{file_name(dataset.name)}-{chosen.seed}"
    run = train_recipe(chosen, out or Path("runs") / name, dataset=dataset, resume=resume)
    history = run.history()
    for measure in ("accuracy", "loss"):
        figures.save(figures.learning_curve(history, measure, words), run.folder / f"{measure}.png")
    typer.echo(
        f"validation loss {history['val_loss'][-1]:.4f}, "
        f"accuracy {history['val_accuracy'][-1]:.4f}\n"
        f"run: {run.folder} (learning curves: accuracy.png, loss.png)\n"
        f"next: chiffres evaluate {run.folder}"
    )
