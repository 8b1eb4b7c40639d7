"""The command that reads pictures."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from chiffres.cli.app import Language, On, app
from chiffres.cli.archive import read_archive
from chiffres.cluster import LOCAL
from chiffres.reading.listing import STDIN

if TYPE_CHECKING:
    from PIL import Image

    from chiffres.reading import ReadDigit, Reader, Reading
    from chiffres.report.words import Words

MANY = 4
"""More pictures than these get a progress bar."""
COLUMNS = ("path", "line", "place", "value", "confidence", "left", "top", "width", "height")


class Outcome(NamedTuple):
    """What came of one picture: its reading, or why there is none."""

    path: str
    reading: Reading | None
    error: str | None

    def json(self) -> dict[str, Any]:
        """Return one element of ``pictures``."""
        from chiffres.reading.result import unread

        if self.reading is not None:
            return self.reading.json(self.path)
        return unread(self.path, self.error or "")


@app.command(epilog="Example: chiffres read photo.jpg --annotate read.png")
def read(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="PICTURE...",
            help="Files, folders, globs, or - for standard input; with --out also lists of them, "
            ".txt (a path per line), .csv or .parquet (a column path).",
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document, nothing else.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A line per digit, nothing else.")] = False,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw boxes and values; of several, into that folder."),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw the stages side by side; of several, likewise."),
    ] = None,
    reject_below: Annotated[
        float | None,
        typer.Option(metavar="P", help="The confidence, 0 to 1, that a digit needs."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Not the one that comes along: a run folder, .onnx, .keras, .h5."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR.parquet",
            help="Of any number of pictures: write a row each to Parquet files in that folder; "
            "the same command goes on where it was stopped.",
        ),
    ] = None,
    on: On = LOCAL,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="With --out: processes that read; by default one per core."),
    ] = None,
    language: Language = "",
) -> None:
    """Read the digits in pictures: photos, scans, drawings of any size.

    Prints the text of each picture, a digit that is too uncertain as "?". A file that cannot be
    read is reported and the others are read; the exit code is then 1. Where there is no digit,
    that is said, and the exit code is 0.
    """
    from chiffres.errors import UsageError
    from chiffres.reading import Reader
    from chiffres.reading.listing import expanded
    from chiffres.reading.picture import hush_pillow
    from chiffres.report.words import Words, user_language

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; choose one")
    words = Words(language or user_language())
    if out:
        if as_json or as_csv or annotate or explain:
            raise UsageError("--out excludes --json, --csv, --annotate and --explain; choose one")
        read_archive(pictures, out, on, workers, model, reject_below, words)
        return
    if workers or on != LOCAL:
        raise UsageError("--on and --workers are for --out; name a folder for it")
    hush_pillow()
    paths = list(expanded(pictures))
    drawn = {
        kind: _places(out, paths)
        for kind, out in (("annotate", annotate), ("explain", explain))
        if out
    }
    reader = Reader(model, reject_below)
    outcomes = []
    for number, path in enumerate(_with_progress(paths)):
        wanted = {kind: places[number] for kind, places in drawn.items()}
        outcomes.append(_outcome(reader, path, wanted, words))
        _report(outcomes[-1], words, alone=len(paths) == 1, quiet=as_json or as_csv)
    if as_json:
        document = {"schema": 1, "pictures": [outcome.json() for outcome in outcomes]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    if as_csv:
        _write_csv(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def _places(out: Path, paths: Sequence[str]) -> list[Path]:
    """Return the file to draw each picture into: ``out`` itself, or one in that folder each."""
    from chiffres.errors import UsageError

    if len(paths) == 1 and not out.is_dir():
        return [out]
    if out.suffix and not out.is_dir():
        raise UsageError(
            f"{out}: {len(paths)} pictures cannot be drawn into one file; name a folder"
        )
    places: list[Path] = []
    for path in paths:
        stem = "stdin" if path == STDIN else Path(path).stem
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(paths) + 1))
        places.append(next(place for name in names if (place := out / f"{name}.png") not in places))
    return places


def _with_progress(paths: Sequence[str]) -> Iterator[str]:
    if len(paths) <= MANY:
        yield from paths
        return
    from tqdm import tqdm

    yield from tqdm(paths, unit="", disable=None, leave=False)


def _outcome(reader: Reader, path: str, wanted: dict[str, Path], words: Words) -> Outcome:
    from chiffres.data.image import MAX_FILE_BYTES
    from chiffres.errors import ImageError
    from chiffres.reading.picture import load

    source = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if path == STDIN else path
    try:
        picture = load(source)
    except ImageError as error:
        return Outcome(path, None, str(error))
    page = reader.page(picture)
    reading = reader.reading(picture, page)
    if wanted:
        from chiffres.reading import drawing

        if "annotate" in wanted:
            _save(drawing.annotated(picture, reading), wanted["annotate"])
        if "explain" in wanted:
            captions = {key: words.sentence(key) for key in drawing.STAGES}
            _save(drawing.explained(picture, page, reading, captions), wanted["explain"])
    return Outcome(path, reading, None)


def _save(image: Image.Image, path: Path) -> None:
    from chiffres.storage import replacing

    with replacing(path) as temporary:
        image.save(temporary)


def _report(outcome: Outcome, words: Words, *, alone: bool, quiet: bool) -> None:
    """Print a picture's text, or why there is none; several lines of one of several in one."""
    if outcome.reading is None:
        typer.echo(f"error: {outcome.error}", err=True)
    elif not outcome.reading.text:
        typer.echo(words.sentence("nothing_read", path=outcome.path), err=True)
    elif not quiet:
        text = outcome.reading.text
        typer.echo(text if alone else f"{outcome.path}: {text.replace(chr(10), ' / ')}")


def _write_csv(outcomes: Sequence[Outcome]) -> None:
    """Write a line per digit; a picture without any has a line with nothing but its path."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for path, reading, _ in outcomes:
        digits = iter(reading.digits if reading else ())
        lines = enumerate(reading.lines if reading else (), 1)
        rows = [
            (line, place, *_cells(next(digits)))
            for line, text in lines
            for place in range(1, len(text) + 1)
        ]
        for row in rows or [("",) * (len(COLUMNS) - 1)]:
            writer.writerow((path, *row))


def _cells(digit: ReadDigit) -> tuple[Any, ...]:
    value = "" if digit.value is None else digit.value
    return (value, f"{digit.confidence:.4f}", *digit.box)
