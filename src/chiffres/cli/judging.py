"""Commands that ask a trained model: evaluate, predict, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiffres.cli.app import Language, Model, app, print_table

if TYPE_CHECKING:
    from chiffres.evaluation.metrics import Evaluation
    from chiffres.report.words import Words


@app.command(epilog="Example: chiffres evaluate runs/conv-mnist-9000 --pictures pictures")
def evaluate(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By default what the run was trained on, or auto."),
    ] = None,
    part: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document, nothing else.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw the confusion matrix and the misread digits there."),
    ] = None,
    language: Language = "",
) -> None:
    """Measure loss and accuracy, with its 95 % interval, confusion and mistakes."""
    from chiffres.data import load_dataset
    from chiffres.evaluation.metrics import evaluate as evaluate_model
    from chiffres.models.files import find_model
    from chiffres.report import tables
    from chiffres.report.words import Words, user_language
    from chiffres.training.run import Run

    words = Words(language or user_language())
    run = Run(Path(model))
    find_model(model)  # a wrong name is said before digits are downloaded
    dataset = load_dataset(data or (run.recipe().data if run.exists else "auto"))
    evaluation = evaluate_model(model, dataset, part)  # type: ignore[arg-type]  # checked there
    paths = _draw_evaluation(evaluation, pictures, words) if pictures else []
    if as_json:
        typer.echo(json.dumps(evaluation.json(), indent=2))
        return
    typer.echo(
        f"{model} on {dataset.name}, {words.plain(part)}: "
        f"{words.number(evaluation.n)} {words.plain('count')}\n"
        f"{words.plain('loss')} {words.number(evaluation.loss, 4)}, "
        f"{words.plain('accuracy')} {words.percent(evaluation.accuracy)} "
        f"({words.plain('interval')}: {tables.interval(evaluation, words)})"
    )
    confusion, per_digit = tables.confusion(evaluation), tables.per_digit(evaluation, words)
    print_table(confusion.headings, confusion.rows, words.plain("confusion_caption"))
    print_table(per_digit.headings, per_digit.rows)
    for path in paths:
        typer.echo(str(path))


def _draw_evaluation(evaluation: Evaluation, folder: Path, words: Words) -> list[Path]:
    """Draw the confusion matrix, and the misread digits where there are any."""
    from chiffres.report import figures

    drawn = {"confusion.png": figures.confusion(evaluation, words)}
    if not evaluation.right.all():
        drawn["mistakes.png"] = figures.mistakes(evaluation, words)
    for name, figure in drawn.items():
        figures.save(figure, folder / name)
    return [folder / name for name in drawn]


@app.command(epilog="Example: chiffres predict Lab2.mnist.conv.h5 seven.png three.jpg")
def predict(
    model: Model,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Image files, one digit in each.")
    ],
) -> None:
    """Say which digit each image shows, with the probability of all ten.

    A 28×28 image is taken as it is; any other is brought to MNIST's format. A file that cannot
    be read is reported and the others are predicted; the exit code is then 1.
    """
    import numpy as np

    from chiffres.data.image import read_digit
    from chiffres.errors import ImageError
    from chiffres.evaluation.predict import predict as predict_digits
    from chiffres.models.files import load_model

    loaded = load_model(model)
    read, digits = [], []
    for path in images:
        try:
            digits.append(read_digit(path))
            read.append(path)
        except ImageError as error:
            typer.echo(f"error: {error}", err=True)
    if read:
        probabilities = predict_digits(loaded, np.stack(digits))
        rows = [
            [str(path), str(row.argmax()), *(f"{p:.3f}" for p in row)]
            for path, row in zip(read, probabilities, strict=True)
        ]
        print_table(["image", "digit", *(f"P({digit})" for digit in range(10))], rows)
    if len(read) < len(images):
        raise typer.Exit(1)


@app.command(epilog="Example: chiffres export runs/lab-mnist/conv --to h5")
def export(
    model: Model,
    target: Annotated[str, typer.Option("--to", metavar="h5|keras|onnx", help="In which form.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="By default the lab's name for it, here.")
    ] = None,
) -> None:
    """Write a trained model in another form, without its optimizer."""
    from chiffres.export import export_model

    path = export_model(model, target, out)
    typer.echo(f"{path}: {path.stat().st_size:,} bytes")
