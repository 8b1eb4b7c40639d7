"""Commands that ask a trained model: evaluate, calibrate, predict, export."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chiffres.cli.app import Language, Model, app, print_table

if TYPE_CHECKING:
    from chiffres.evaluation.metrics import Evaluation
    from chiffres.evaluation.strangers import Separation
    from chiffres.report.words import Words


@app.command(epilog="Example: chiffres evaluate runs/conv-mnist-9000 --pictures pictures")
def evaluate(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By default what the run was trained on, or auto."),
    ] = None,
    part: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also under the 15 corruptions of MNIST-C.")
    ] = False,
    strangers: Annotated[
        bool,
        typer.Option("--strangers", help="Also beside 10,000 images of no digit, as AUROC."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document, nothing else.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw the confusion matrix and the misread digits there."),
    ] = None,
    language: Language = "",
) -> None:
    """Measure loss and accuracy, with its 95 % interval, calibration, confusion and mistakes."""
    from rich.console import Console

    from chiffres.data import load_dataset
    from chiffres.models.named import find_model
    from chiffres.report.words import Words, user_language
    from chiffres.training.run import Run

    words = Words(language or user_language())
    run = Run(Path(model))
    find_model(model)  # a wrong name is said before digits are downloaded
    dataset = load_dataset(data or (run.recipe().data if run.exists else "auto"))

    from chiffres.evaluation.corrupt import robustness as ask_corrupted
    from chiffres.evaluation.metrics import evaluate as evaluate_model
    from chiffres.evaluation.strangers import separation
    from chiffres.models.files import load_model

    loaded = load_model(model)
    evaluation = evaluate_model(loaded, dataset, part, name=model)  # type: ignore[arg-type]
    with Console(stderr=True).status("evaluating"):
        under = ask_corrupted(loaded, dataset, part=evaluation.part) if robustness else {}
        apart = separation(loaded, evaluation) if strangers else None
    paths = _draw_evaluation(evaluation, pictures, words) if pictures else []
    if as_json:
        typer.echo(json.dumps(_document(evaluation, under, apart), indent=2))
        return
    _print_evaluation(evaluation, words)
    _print_beyond(under, apart, words)
    for path in paths:
        typer.echo(str(path))


def _document(
    evaluation: Evaluation, under: Mapping[str, Evaluation], apart: Separation | None
) -> dict[str, Any]:
    from chiffres.evaluation.corrected import on_corrected_labels

    document = evaluation.json()
    if corrected := on_corrected_labels(evaluation):
        document["corrected"] = corrected.summary()
    if under:
        document["robustness"] = {name: each.accuracy for name, each in under.items()}
    if apart:
        document["strangers"] = dataclasses.asdict(apart)
    return document


def _print_evaluation(evaluation: Evaluation, words: Words) -> None:
    from chiffres.evaluation.corrected import on_corrected_labels
    from chiffres.report import tables

    typer.echo(
        f"{evaluation.model} on {evaluation.dataset}, {words.plain(evaluation.part)}: "
        f"{words.number(evaluation.n)} {words.plain('count')}\n"
        f"{words.plain('loss')} {words.number(evaluation.loss, 4)}, "
        f"{words.plain('accuracy')} {words.percent(evaluation.accuracy)} "
        f"({words.plain('interval')}: {tables.interval(evaluation, words)})\n"
        f"{words.plain('calibration_error')} {words.percent(evaluation.calibration_error)}, "
        f"{words.plain('errors_at_coverage')} {words.percent(evaluation.errors_at_99_coverage)}"
    )
    if corrected := on_corrected_labels(evaluation):
        typer.echo(
            f"{words.plain('corrected_labels')}: {words.number(corrected.n)} "
            f"{words.plain('count')}, {words.plain('accuracy')} "
            f"{words.percent(corrected.accuracy)} ({tables.interval(corrected, words)})"
        )
    confusion, per_digit = tables.confusion(evaluation), tables.per_digit(evaluation, words)
    print_table(confusion.headings, confusion.rows, words.plain("confusion_caption"))
    print_table(per_digit.headings, per_digit.rows)


def _print_beyond(under: Mapping[str, Evaluation], apart: Separation | None, words: Words) -> None:
    """Print what was measured on more than the digits themselves, each where it was asked for."""
    from chiffres.report import tables

    if under:
        table = tables.robustness(under, words)
        print_table(table.headings, table.rows, words.plain("robustness_caption"))
    if apart:
        table = tables.strangers(apart, words)
        print_table(table.headings, table.rows, words.plain("strangers_caption"))


def _draw_evaluation(evaluation: Evaluation, folder: Path, words: Words) -> list[Path]:
    """Draw the confusion matrix, and the misread digits where there are any."""
    from chiffres.report import figures

    drawn = {"confusion.png": figures.confusion(evaluation, words)}
    if not evaluation.right.all():
        drawn["mistakes.png"] = figures.mistakes(evaluation, words)
    for name, figure in drawn.items():
        figures.save(figure, folder / name)
    return [folder / name for name in drawn]


@app.command(epilog="Example: chiffres calibrate runs/reader-mnist-9000")
def calibrate(
    folder: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="By default what the run was trained on.")
    ] = None,
    language: Language = "",
) -> None:
    """Make a run's confidence mean something: fit a temperature, and a threshold to refuse below.

    The temperature becomes part of the run's model; which digit it reads does not change.
    """
    from chiffres.data import load_dataset
    from chiffres.models.named import find_model
    from chiffres.report.words import Words, user_language
    from chiffres.training.run import Run

    words = Words(language or user_language())
    find_model(folder)  # a wrong name is said before digits are downloaded
    run = Run(Path(folder))
    dataset = load_dataset(data or run.recipe().data)

    from chiffres.evaluation.calibrate import calibrate as calibrate_run

    found = calibrate_run(run, dataset)
    typer.echo(
        words.plain(
            "temperature_found",
            temperature=words.number(found.temperature, 3),
            before=words.percent(found.calibration_error_before),
            after=words.percent(found.calibration_error),
        )
    )
    typer.echo(
        words.plain(
            "threshold_found" if found.coverage else "threshold_none",
            threshold=words.number(found.threshold, 4),
            coverage=words.percent(found.coverage),
        )
    )


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
    from chiffres.models.named import find_model

    find_model(model)  # a wrong name is said before what loads models is imported

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


@app.command(epilog="Example: chiffres export runs/micro-mnist-9000 --to c --max-flash 16384")
def export(
    model: Model,
    target: Annotated[
        str, typer.Option("--to", metavar="h5|keras|onnx|tflite|c", help="In which form.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A file, or c's folder; by default a name here."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="c, tflite: rounded by these digits; by default the run's."
        ),
    ] = None,
    max_flash: Annotated[
        int | None, typer.Option(metavar="BYTES", min=0, help="c: refuse what takes more flash.")
    ] = None,
    max_ram: Annotated[
        int | None, typer.Option(metavar="BYTES", min=0, help="c: refuse what takes more RAM.")
    ] = None,
) -> None:
    """Write a trained model in another form, without its optimizer."""
    from chiffres.models.named import find_model

    find_model(model)  # a wrong name is said before what loads models is imported

    from chiffres.export import export_model

    path = export_model(model, target, out, data=data, max_flash=max_flash, max_ram=max_ram)
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    typer.echo(f"{path}: {sum(each.stat().st_size for each in files):,} bytes")
