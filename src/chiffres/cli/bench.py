"""Commands that measure: bench training, bench reading, bench embedded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiffres.cli.app import LAB_MODELS, Data, LabModels, Language, bench_app, print_table

if TYPE_CHECKING:
    from chiffres.bench.rows import Measured
    from chiffres.report.tables import Table


AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")]
Saved = Annotated[
    Path | None,
    typer.Option("--from", metavar="JSON", help="Show what --json wrote, measure nothing."),
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="The table in Markdown.")]


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
    as_json: AsJson = False,
    saved: Saved = None,
    as_markdown: AsMarkdown = False,
    chart: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the bars there.")] = None,
    language: Language = "",
) -> None:
    """Time an epoch of the lab's models: Chiffres, Torch alone and plain Keras, in turns."""
    from chiffres.bench import pictures
    from chiffres.bench.rows import Measured
    from chiffres.bench.training import bench_training
    from chiffres.data import load_dataset
    from chiffres.models import find_builder
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    if saved:
        measured = Measured.from_json(saved, "training")
    else:
        pairs = (peer.partition("=") for peer in peers)
        interpreters = {name: Path(python) for name, _, python in pairs}
        names = [name.strip() for name in models.split(",")]
        for name in names:
            find_builder(name)  # a wrong name is said before digits are downloaded
        measured = bench_training(load_dataset(data), names, epochs, interpreters, _say_epoch)
    if chart:
        figures.save(pictures.bars(measured, words), chart)
    if as_json:
        typer.echo(json.dumps(measured.json(), indent=2))
    else:
        _print(pictures.table(measured, words), as_markdown, chart)


@bench_app.command("reading", epilog="Example: chiffres bench reading --n 500 --part validation")
def bench_reading(
    data: Data = "auto",
    part: Annotated[
        str, typer.Option(help="test for final figures; to choose anything by: validation.")
    ] = "test",
    n: Annotated[int, typer.Option("--n", min=1, help="Pictures of each set.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of all chance.")] = 1,
    sets: Annotated[
        str, typer.Option(metavar="NAMES", help="Which, with commas between; all by default.")
    ] = "",
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Read with another model: a run, an .onnx file.")
    ] = "",
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the pictures, and what was read in them, there."),
    ] = None,
    as_json: AsJson = False,
    saved: Saved = None,
    as_markdown: AsMarkdown = False,
    language: Language = "",
) -> None:
    """Read pictures of every kind, made by chance: Chiffres, and what one would try instead."""
    from chiffres.bench import pictures
    from chiffres.bench.rows import Measured
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    if saved:
        measured = Measured.from_json(saved, "reading")
    else:
        measured = _measure_reading(data, part, n, seed, sets, model, save)
    if as_json:
        typer.echo(json.dumps(measured.json(), indent=2))
    else:
        _print(pictures.reading_table(measured, words), as_markdown)


def _measure_reading(
    data: str, part: str, n: int, seed: int, sets: str, model: str, save: Path | None
) -> Measured:
    """Measure, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    from chiffres.bench.engines import Tesseract
    from chiffres.bench.reading import ALL, bench_reading, steps
    from chiffres.data import load_dataset
    from chiffres.reading import Reader

    if Tesseract.find() is None:
        typer.echo("Tesseract is not installed: the table has no column for it", err=True)
    names = [name.strip() for name in sets.split(",")] if sets else list(ALL)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("reading", total=steps(names, n))
        return bench_reading(
            load_dataset(data),
            part,
            n,
            seed,
            names,
            reader=Reader(model or None),
            save=save,
            advance=lambda name, count: bar.update(task, advance=count, description=name),
        )


def _say_epoch(model: str, engine: str, seconds: float) -> None:
    typer.echo(f"{model}, {engine}: {seconds:.2f} s", err=True)


@bench_app.command(
    "embedded", epilog="Example: chiffres bench embedded runs/micro-mnist-9000 --images 1000"
)
def bench_embedded(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL...", help="Run folders or model files.")
    ] = None,
    data: Data = "auto",
    targets: Annotated[
        str, typer.Option(metavar="NAMES", help="Which processors, with commas between.")
    ] = "cortex-m0,cortex-m4,rv32",
    images: Annotated[int, typer.Option(min=1, help="Of the test part, at most.")] = 100,
    as_json: AsJson = False,
    saved: Saved = None,
    as_markdown: AsMarkdown = False,
    chart: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw accuracy against flash there.")
    ] = None,
    language: Language = "",
) -> None:
    """Run models, exported to C, on emulated processors: agreement, flash, RAM, instructions.

    Runs of the same model stand on one line. make embedded installs the compilers and emulators.
    """
    from chiffres.bench import on_targets
    from chiffres.data import load_dataset
    from chiffres.errors import UsageError
    from chiffres.models.named import find_model
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    if saved:
        rows = on_targets.from_json(saved)
    else:
        for model in models or []:
            find_model(model)  # a wrong name is said before digits are downloaded
        names = [name.strip() for name in targets.split(",")]
        rows = on_targets.bench_embedded(models or [], load_dataset(data), names, images, _say)
    if not rows:
        raise UsageError("nothing was measured: name a model that fits a processor")
    if chart:
        figures.save(on_targets.chart(rows, words), chart)
    if as_json:
        typer.echo(json.dumps(on_targets.as_json(rows), indent=2))
    else:
        _print(on_targets.table(rows, words), as_markdown, chart)


def _print(table: Table, as_markdown: bool, chart: Path | None = None) -> None:
    """Print a table, and where the chart lies."""
    if as_markdown:
        typer.echo(table.markdown())
    else:
        print_table(table.headings, table.rows)
    if chart:
        typer.echo(str(chart))


def _say(what: str) -> None:
    typer.echo(what, err=True)
