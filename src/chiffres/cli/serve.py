"""The command that serves the page to draw on, and the API."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from chiffres.cli.app import app

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@app.command(epilog="Example: chiffres serve --model runs/lab-mnist/conv-pool")
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Of your own, to choose on the page: a run, .keras, .h5, .onnx; repeatable.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any that is free.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Processes that read; by default one per core."),
    ] = 0,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="CHIFFRES_API_KEY", metavar="KEY", help="What the API asks for, if anything."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="That reading one picture may take.")
    ] = 10.0,
) -> None:
    """Open a page to draw digits on, and an API that reads them; Ctrl-C ends it.

    Listens on this computer alone unless --host says otherwise. Nothing that is uploaded is kept.
    """
    from chiffres.errors import MissingExtraError

    try:
        from chiffres.serve.limits import Limits
        from chiffres.serve.server import serve as serve_until_stopped
    except ModuleNotFoundError as error:
        raise MissingExtraError("chiffres serve", "serve", error.name) from error

    if host not in LOOPBACK and not api_key:
        typer.echo(
            f"warning: whoever reaches {host} can use this server; --api-key keeps it to some",
            err=True,
        )
    serve_until_stopped(
        model or [],
        host=host,
        port=port,
        workers=workers or max(2, os.cpu_count() or 2),
        key=api_key,
        limits=Limits(answer_seconds=timeout),
        announce=lambda address: typer.echo(f"Chiffres is at {address} (Ctrl-C ends it)"),
    )
