"""Commands that measure speed: bench training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from chiffres.cli.app import LAB_MODELS, Data, LabModels, Language, bench_app, print_table


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
    saved: Annotated[
        Path | None,
        typer.Option("--from", metavar="JSON", help="Show what --json wrote, measure nothing."),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The table in Markdown.")] = False,
    chart: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the bars there.")] = None,
    language: Language = "",
) -> None:
    """Time an epoch of the lab's models: Chiffres, Torch alone and plain Keras, in turns."""
    from chiffres.bench import pictures
    from chiffres.bench.training import Measured, bench_training
    from chiffres.data import load_dataset
    from chiffres.models import find_builder
    from chiffres.report import figures
    from chiffres.report.words import Words, user_language

    words = Words(language or user_language())
    if saved:
        measured = Measured.from_json(saved)
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
        return
    table = pictures.table(measured, words)
    if as_markdown:
        typer.echo(table.markdown())
    else:
        print_table(table.headings, table.rows)
    if chart:
        typer.echo(str(chart))


def _say_epoch(model: str, engine: str, seconds: float) -> None:
    typer.echo(f"{model}, {engine}: {seconds:.2f} s", err=True)
