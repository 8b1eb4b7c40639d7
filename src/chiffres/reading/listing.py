"""Which pictures are meant: files, folders, globs, standard input, and lists of them."""

from __future__ import annotations

import csv
import glob
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chiffres.errors import MissingExtraError, UsageError

STDIN = "-"
_SUFFIXES = ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .ppm .tga .tif .tiff .webp"
SUFFIXES = frozenset(_SUFFIXES.split())
"""What counts as a picture in a folder."""
COLUMN = "path"
"""Of a list with columns, the one with the pictures."""


def expanded(names: Iterable[str]) -> Iterator[str]:
    """Yield each picture, those in folders and those that a glob matches in order of their names.

    What matches nothing is yielded as it is, to be reported like a file that is missing.
    """
    for name in names:
        path = Path(name).expanduser()
        if name != STDIN and path.is_dir():
            empty = True
            for found in _within(path):
                yield str(found)
                empty = False
            if empty:
                yield name
        elif name != STDIN and not path.exists() and glob.has_magic(name):
            yield from sorted(glob.glob(str(path), recursive=True)) or [name]  # noqa: PTH207 - Path has none for a pattern from anywhere
        else:
            yield name


def listed(names: Iterable[str]) -> Iterator[str]:
    """Yield each picture as ``expanded`` does, and those in lists: .txt, .csv and .parquet files.

    A text file has a path on each line, the others have them in their column ``path``; a path that
    is not absolute starts from the current folder. No more than a part of a list, or one folder's
    names, is in memory at a time.

    Raises:
        UsageError: a list is missing, damaged or without that column.
        MissingExtraError: a Parquet file is named, and the extra ``cluster`` is not installed.
    """
    readers = {".txt": _lines, ".csv": _cells, ".parquet": _values}
    for name in names:
        path = Path(name).expanduser()
        reader = readers.get(path.suffix.lower())
        if reader is None or path.is_dir():
            yield from expanded([name])
        elif path.is_file():
            yield from reader(path)
        else:
            raise UsageError(f"{name}: no such file")


def parquet() -> Any:
    """Return pyarrow's module for Parquet files; raise MissingExtraError where there is none."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading to Parquet", "cluster", error.name) from error
    return pyarrow.parquet


def _within(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and those below it, as their sorted paths would be."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _within(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line in file:
            name = line.rstrip("\r\n")
            if name:
                yield name


def _cells(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file)
        _check(path, rows.fieldnames or [])
        for row in rows:
            if row[COLUMN]:
                yield row[COLUMN]


def _values(path: Path) -> Iterator[str]:
    try:
        file = parquet().ParquetFile(path)
    except ValueError as error:  # pyarrow's own is one
        raise UsageError(f"{path}: no Parquet file: {error}") from error
    with file:
        _check(path, file.schema_arrow.names)
        for batch in file.iter_batches(columns=[COLUMN]):
            yield from (str(name) for name in batch[0].to_pylist() if name)


def _check(path: Path, columns: Iterable[str]) -> None:
    if COLUMN not in columns:
        found = ", ".join(columns) or "none"
        raise UsageError(f"{path}: expected a column {COLUMN!r}, found {found}")
