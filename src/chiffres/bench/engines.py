"""What reads the pictures: Chiffres, and what one would try instead."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from chiffres.bench.sets import AnyPicture, Case, Layout
from chiffres.data.dataset import SIDE
from chiffres.errors import JobError
from chiffres.reading import Reader

CHIFFRES, TESSERACT, RESIZED, CLASSIFIER = "chiffres", "tesseract", "resized", "classifier"


MODES: dict[Layout, int] = {"digit": 8, "line": 7, "lines": 6, "nothing": 11}
"""Tesseract's page segmentation modes, those that read most on the validation part: 8 is for a
word, but finds more single digits than 10, which is for one character."""


class Engine(Protocol):
    """Something that reads pictures."""

    def read(self, cases: Sequence[Case], layout: Layout) -> list[list[str]]:
        """Return the lines that it finds in each picture, blanks left out."""
        ...


class Chiffres:
    """The reader itself; it is not told what a picture holds."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def read(self, cases: Sequence[Case], layout: Layout) -> list[list[str]]:
        """Return the lines in each picture; ``?`` is a digit that was rejected."""
        return [_solid(self.reader.read(case.picture).lines) for case in cases]


class Resized:
    """The same network behind what forums advise: resize to 28×28, and invert where light."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def read(self, cases: Sequence[Case], layout: Layout) -> list[list[str]]:
        """Return of each picture the likeliest digit."""
        images = np.stack([_resized(grey(case.picture)) for case in cases])
        return [[str(value)] for value in self.reader.classify(images).argmax(axis=1)]


def _resized(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(255 - small if small.mean() > 127 else small, np.uint8)


class Tesseract:
    """Tesseract, told to find digits alone, and whether a picture holds a word, a line or more."""

    def __init__(self, program: str) -> None:
        self.program = program

    @classmethod
    def find(cls) -> Tesseract | None:
        """Return it, or None where it is not installed."""
        program = shutil.which("tesseract")
        return cls(program) if program else None

    @property
    def version(self) -> str:
        """What it says that it is."""
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True)
        return (said.stdout or said.stderr).splitlines()[0].removeprefix("tesseract ")

    def command(self, picture: Path, layout: Layout) -> list[str]:
        """Return the command that reads a picture, or a list of pictures."""
        mode = str(MODES[layout])
        allowed = "tessedit_char_whitelist=0123456789"
        return [self.program, str(picture), "stdout", "--psm", mode, "-c", allowed]

    def read(self, cases: Sequence[Case], layout: Layout) -> list[list[str]]:
        """Return the lines in each picture; in as many processes as there are cores."""
        count = min(len(cases), os.cpu_count() or 1)
        shares = [cases[start::count] for start in range(count)]
        with ThreadPoolExecutor(count) as pool:
            answers = list(pool.map(lambda share: self._read(share, layout), shares))
        found: list[list[str]] = [[] for _ in cases]
        for start, answer in enumerate(answers):
            found[start::count] = answer
        return found

    def _read(self, cases: Sequence[Case], layout: Layout) -> list[list[str]]:
        with tempfile.TemporaryDirectory(prefix="chiffres-bench-") as folder:
            paths = [Path(folder, f"{index}.ppm") for index in range(len(cases))]
            for path, case in zip(paths, cases, strict=True):
                _upright(case.picture).convert("RGB").save(path)
            names = Path(folder, "names.txt")
            names.write_text("\n".join(map(str, paths)), encoding="utf-8")
            command = [*self.command(names, layout), "-c", "tessedit_create_tsv=1"]
            done = subprocess.run(
                command, capture_output=True, text=True, env=os.environ | {"OMP_THREAD_LIMIT": "1"}
            )
        if done.returncode:
            raise JobError(f"{self.program} failed: {done.stderr.strip()[-300:]}")
        return _lines_of_table(done.stdout, len(cases))


def _lines_of_table(table: str, pages: int) -> list[list[str]]:
    """Return the lines of each page in Tesseract's table; a page it gives up on has no row."""
    lines: list[dict[tuple[str, ...], str]] = [{} for _ in range(pages)]
    for row in table.splitlines():
        cells = row.split("\t")
        if len(cells) == 12 and cells[0] == "5":  # a word
            page, line = int(cells[1]) - 1, tuple(cells[2:5])
            lines[page][line] = lines[page].get(line, "") + cells[11].strip()
    return [_solid(list(each.values())) for each in lines]


def grey(picture: AnyPicture) -> npt.NDArray[np.uint8]:
    """Return the picture as ``(height, width)`` uint8."""
    return np.asarray(_upright(picture).convert("L"))


def _upright(picture: AnyPicture) -> Image.Image:
    if isinstance(picture, bytes):
        return ImageOps.exif_transpose(Image.open(io.BytesIO(picture)))
    return Image.fromarray(picture)


def _solid(lines: Sequence[str]) -> list[str]:
    """Return the lines without blanks, and without those that are blank."""
    solid = ["".join(line.split()) for line in lines]
    return [line for line in solid if line]
