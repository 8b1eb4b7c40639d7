"""Any number of pictures, read into a folder of Parquet files.

The list of pictures is cut into parts, and each part is a file of its own, ``part-00000.parquet``
and so on, written whole or not at all: a reading that was stopped goes on with the parts that are
missing. What is in a part depends on its pictures, the model and this version alone, not on who
reads it where. ``_plan.json`` says what the parts are of, and ``_pictures.txt`` holds the list;
what reads a folder of Parquet files passes over names that begin so.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

import chiffres
from chiffres.errors import UsageError
from chiffres.reading.listing import STDIN, listed, parquet
from chiffres.reading.network import model_bytes
from chiffres.reading.picture import hush_pillow
from chiffres.reading.reader import Reader
from chiffres.reading.rows import count_errors, row_of, write
from chiffres.storage import remove_unfinished, replacing, write_text

SCHEMA = 1
PLAN = "_plan.json"
PICTURES = "_pictures.txt"
PART = 128
"""Pictures in a part: it takes a second or so, and starting and writing it next to nothing."""
MOST_PARTS = 20_000
"""A longer list has larger parts."""


@dataclass(frozen=True)
class Part:
    """Some of the pictures, one after the other in the list.

    Attributes:
        number: which part, from 0.
        start: where its lines begin in ``_pictures.txt``, in bytes.
        size: how many lines they are.
    """

    number: int
    start: int
    size: int


@dataclass(frozen=True)
class Archive:
    """Pictures to be read into a folder; small enough to be sent to whoever reads some of them.

    Attributes:
        folder: of the parts.
        pictures: how many.
        part_size: how many of them are a part; the last one may be smaller.
        model: the bytes of the ONNX file to read with.
        reject_below: as for ``Reader``.
    """

    folder: Path
    pictures: int
    part_size: int
    model: bytes
    reject_below: float | None

    def file(self, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{number:05}.parquet"

    def missing(self) -> list[Part]:
        """Return the parts that are not read yet."""
        parts = []
        with (self.folder / PICTURES).open("rb") as lines:
            for number in range(math.ceil(self.pictures / self.part_size)):
                start = lines.tell()
                size = sum(1 for _ in itertools.islice(lines, self.part_size))
                if not self.file(number).exists():
                    parts.append(Part(number, start, size))
        return parts

    def paths(self, part: Part) -> list[str]:
        """Return the pictures of a part."""
        with (self.folder / PICTURES).open("rb") as lines:
            lines.seek(part.start)
            return [json.loads(line) for line in itertools.islice(lines, part.size)]

    def unreadable(self) -> int:
        """Return how many of the pictures in the parts have an error in place of a reading."""
        return sum(count_errors(path) for path in self.folder.glob("part-*.parquet"))


def prepare(
    names: Iterable[str],
    folder: str | Path,
    model: str | Path | bytes | None = None,
    reject_below: float | None = None,
    part_size: int = 0,
) -> Archive:
    """Write the list of the pictures to ``folder``, and what is to be done; nothing is read yet.

    Args:
        names: pictures, folders, globs and lists; see :func:`chiffres.reading.listing.listed`.
        folder: of the parts, made if need be; a reading that was begun in it is gone on with.
        model: as for ``Reader``.
        reject_below: as for ``Reader``.
        part_size: pictures in a part; by default 128, and more of a very long list.

    Raises:
        UsageError: no picture is named, one is standard input, the folder holds something else,
            or the reading in it is of other pictures, by another model or another version.
        MissingExtraError: pyarrow is not installed, or the extra that the model needs.
        ModelFileError: the model is damaged, or no such classifier.
    """
    folder = Path(folder)
    parquet()
    Reader(model, reject_below, threads=1)  # raises what is wrong with the two of them
    content, _ = model_bytes(model)
    _check_folder(folder)
    with replacing(folder / PICTURES) as temporary:
        checksum, pictures = _write_list(listed(names), temporary)
        size = part_size or max(PART, math.ceil(pictures / MOST_PARTS))
        plan = {
            "schema": SCHEMA,
            "pictures": pictures,
            "list_sha256": checksum,
            "part_size": size,
            "model_sha256": hashlib.sha256(content).hexdigest(),
            "reject_below": reject_below,
            "chiffres": chiffres.__version__,
        }
        _check_same(folder, plan)
    write_text(folder / PLAN, json.dumps(plan, indent=2) + "\n")
    remove_unfinished(folder)
    return Archive(folder, pictures, size, content, reject_below)


def read_part(archive: Archive, part: Part) -> Part:
    """Read a part on one thread and write its file; one that has a file is left as it is."""
    path = archive.file(part.number)
    if not path.exists():
        reader = _reader(archive.model, archive.reject_below)
        write(path, [row_of(reader, picture) for picture in archive.paths(part)])
    return part


@functools.lru_cache(maxsize=1)
def _reader(model: bytes, reject_below: float | None) -> Reader:
    """Return this process's reader."""
    hush_pillow()
    cv2.setNumThreads(1)  # there are as many processes as there are cores
    return Reader(model, reject_below, threads=1)


def _write_list(pictures: Iterable[str], path: Path) -> tuple[str, int]:
    """Write a picture's path to a line, as JSON; return the file's SHA-256 and how many."""
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as file:
        for picture in pictures:
            if picture == STDIN:
                raise UsageError("standard input is no file of an archive; name files or folders")
            line = json.dumps(picture).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    if not count:
        raise UsageError("no picture is named: the lists are empty")
    return digest.hexdigest(), count


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: not a folder; choose another")
    if folder.is_dir() and not (folder / PLAN).exists():
        others = [each.name for each in folder.iterdir() if not each.name.startswith(("_", "."))]
        if others:
            raise UsageError(f"{folder}: holds something else ({others[0]}); choose another")


def _check_same(folder: Path, plan: dict[str, Any]) -> None:
    if not (folder / PLAN).exists():
        return
    try:
        begun = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        changed = [
            f"{key} {begun[key]!r}, now {plan[key]!r}" for key in plan if begun[key] != plan[key]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / PLAN}: damaged ({error}); choose another folder") from error
    if changed:
        raise UsageError(
            f"{folder}: was begun otherwise ({'; '.join(changed)}); choose another folder"
        )
