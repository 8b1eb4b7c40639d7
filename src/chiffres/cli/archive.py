"""What ``chiffres read --out`` does: any number of pictures, to Parquet files."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chiffres.cluster import is_ray

if TYPE_CHECKING:
    from chiffres.report.words import Words


def read_archive(
    pictures: Sequence[str],
    out: Path,
    on: str,
    workers: int | None,
    model: str | None,
    reject_below: float | None,
    words: Words,
) -> None:
    """Read what of the pictures is not in ``out`` yet, and say how it went; exit code 1 as there.

    Raises:
        UsageError, MissingExtraError, ModelFileError, JobError: as ``prepare`` and the engines do.
    """
    from tqdm import tqdm

    from chiffres.reading.archive import prepare
    from chiffres.reading.engines import in_processes, on_ray

    elsewhere = is_ray(on)
    archive = prepare(pictures, out, model, reject_below)
    left = sum(part.size for part in archive.missing())
    began = time.perf_counter()
    done = (
        on_ray(archive, on, workers)
        if elsewhere
        else in_processes(archive, workers or os.cpu_count() or 1)
    )
    with tqdm(
        total=archive.pictures,
        initial=archive.pictures - left,
        unit="",
        disable=None,
        leave=False,
    ) as bar:
        for part in done:
            bar.update(part.size)
    seconds = time.perf_counter() - began
    unreadable = archive.unreadable()
    said = words.sentence(
        "archive_read",
        pictures=archive.pictures,
        out=out,
        unreadable=unreadable,
        read=left,
        seconds=round(seconds),
        rate=round(left / seconds),
    )
    typer.echo(said, err=True)
    if unreadable:
        raise typer.Exit(1)
