"""Commands that train: lab, train."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from chiffres.cli.app import (
    LAB_MODELS,
    Data,
    LabModels,
    Language,
    Log,
    On,
    RecipeData,
    Robustness,
    Seed,
    Seeds,
    Settings,
    app,
    as_settings,
    as_trackers,
    file_name,
)
from chiffres.cli.comparing import print_comparison
from chiffres.cluster import LOCAL, is_ray


@app.command(epilog="Example: chiffres lab --data mnist --models conv,conv-pool --seeds 5")
def lab(
    data: Data = "auto",
    models: LabModels = LAB_MODELS,
    epochs: Annotated[int | None, typer.Option(help="Replace the recipes' 20 epochs.")] = None,
    seed: Seed = None,
    seeds: Seeds = 1,
    folds: Annotated[
        int, typer.Option(min=0, help="Cross-validate the first model, too, in so many folds.")
    ] = 0,
    robustness: Robustness = False,
    settings: Settings = [],  # noqa: B006 — typer copies it
    on: On = LOCAL,
    log: Log = "",
    language: Language = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="By default runs/lab-<data>.")
    ] = None,
) -> None:
    """Train the lab's models, compare them and write the report.

    What is in DIR already is not trained again: an interrupted lab goes on where it was.
    """
    from chiffres.data import load_dataset
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    trackers = as_trackers(log)
    dataset = load_dataset(data)

    from chiffres.lab.experiment import REPORT, run_lab
    from chiffres.training.cluster import Cluster

    engine = Cluster(on) if is_ray(on) else None
    out = out or Path("runs") / f"lab-{file_name(dataset.name)}"
    comparison = run_lab(
        out,
        dataset,
        [name.strip() for name in models.split(",")],
        settings + as_settings(epochs=epochs, seed=seed),
        words.language,
        seeds=seeds,
        folds=folds,
        robustness=robustness,
        log=trackers,
        engine=engine,
    )
    print_comparison(comparison, words)
    typer.echo(f"\n{words.plain('console_report')}: {out / REPORT}")


@app.command(epilog="Example: chiffres train conv --data mnist-5k --set learning_rate=0.01")
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="dense, conv, conv-pool, conv-dropout, swift, swift-minute, reader, micro, nano, "
            "strings, or FILE.toml.",
        ),
    ],
    data: RecipeData = None,
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
    log: Log = "",
    language: Language = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="By default runs/<recipe>-<data>-<seed>.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share each batch: the result is that of one.")
    ] = 1,
    on: On = LOCAL,
    storage: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Put the run's files there too, after each epoch, and fetch them from there to "
            "resume: s3://BUCKET/RUN, or a folder.",
        ),
    ] = "",
) -> None:
    """Train a recipe's model and leave a run, with its learning curves."""
    from chiffres.data import load_dataset
    from chiffres.report.words import Words, user_language
    from chiffres.training.recipe import load_recipe

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
    trackers = as_trackers(log)
    dataset = load_dataset(chosen.data)
    name = f"{Path(recipe).stem}-{file_name(dataset.name)}-{chosen.seed}"
    out = out or Path("runs") / name

    from chiffres.report import figures
    from chiffres.training.train import train as train_alone

    how: dict[str, Any] = {"resume": resume, "log": trackers, "storage": storage}
    if workers > 1 or is_ray(on):
        from chiffres.training.parallel import train_in_parallel

        run = train_in_parallel(chosen, out, workers, on=on, dataset=dataset, **how)
    else:
        run = train_alone(chosen, out, dataset=dataset, **how)
    history = run.history()
    for measure in ("accuracy", "loss"):
        figures.save(figures.learning_curve(history, measure, words), run.folder / f"{measure}.png")
    typer.echo(
        f"validation loss {history['val_loss'][-1]:.4f}, "
        f"accuracy {history['val_accuracy'][-1]:.4f}\n"
        f"run: {run.folder} (learning curves: accuracy.png, loss.png)\n"
        f"next: chiffres {'export --to onnx' if chosen.strings else 'evaluate'} {run.folder}"
    )
