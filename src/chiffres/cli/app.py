"""What all commands share: the errors, the options and how a table is printed."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import chiffres
from chiffres.cluster import is_ray
from chiffres.errors import ChiffresError, MissingExtraError

INTERRUPTED = 130
GO_ON = {
    "train": "the finished epochs are kept: the same command with --resume goes on",
    "lab": "the finished epochs are kept: the same command goes on",
    "read": "what was written with --out is kept: the same command goes on",
    "sweep": "the finished epochs are kept: the same command with --resume goes on",
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
Seeds = Annotated[
    int, typer.Option(min=1, help="How often each is trained, with the seeds that follow.")
]
Log = Annotated[
    str, typer.Option(metavar="NAMES", help="Show the runs there, too: tensorboard,mlflow.")
]
Robustness = Annotated[
    bool, typer.Option("--robustness", help="Also under the 15 corruptions of MNIST-C.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")]


def _place(on: str) -> str:
    """Return where to run; what is no such place is said before anything is loaded."""
    is_ray(on)
    return on


On = Annotated[
    str,
    typer.Option(
        metavar="WHERE",
        callback=_place,
        help="local, ray (here, or the cluster of $RAY_ADDRESS), or ray://HOST:PORT.",
    ),
]
RecipeData = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Replace the recipe's data; see: chiffres data list."),
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


def as_settings(**values: Any) -> list[str]:
    """Return ``key=value`` for each value that was given."""
    return [f"{key}={value}" for key, value in values.items() if value is not None]


def as_trackers(text: str) -> list[str]:
    """Return the trackers that a text names, with commas between them; no data is loaded before.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: its library is not installed.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names:
        from chiffres.training.tracking import check_trackers

        check_trackers(names)
    return names


def file_name(name: str) -> str:
    """Return a dataset's name as part of a file name."""
    return re.sub(r"[^\w.-]+", "-", name)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table; columns of figures to the right."""
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
