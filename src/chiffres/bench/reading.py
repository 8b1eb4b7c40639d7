"""How much of what people write is read, beside what one would try instead.

Every engine reads the same pictures, made by chance (``chiffres.data.pages``) of a dataset part.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chiffres.bench.engines import (
    CHIFFRES,
    CLASSIFIER,
    RESIZED,
    TESSERACT,
    Chiffres,
    Engine,
    Resized,
    Tesseract,
)
from chiffres.bench.processes import speed
from chiffres.bench.rows import Measured, Row
from chiffres.bench.sets import (
    SETS,
    Case,
    Layout,
    cases,
    check_sets,
    cut_outs,
    mnist_files,
    optical,
)
from chiffres.bench.variants import VARIANTS, Original
from chiffres.data import Dataset, Digits
from chiffres.reading import Reader
from chiffres.storage import replacing, write_text
from chiffres.training.run import environment

READ, SAME = "read right", "same reading"
FILES, OPTICAL, CUT_OUT = "mnist-files", "optical", "cut-outs"
VARIED, SPEED = "variants", "speed"
ALL = (*SETS, FILES, OPTICAL, CUT_OUT, VARIED, SPEED)
"""What can be measured."""
AT_ONCE = 24
"""Pictures held in memory."""
PER_PICTURE = 10
"""MNIST's own images that are read for each picture of the other sets: they are small, and it takes
many to see a tenth of a point."""
PACKAGES = ("onnxruntime", "opencv-python-headless", "pillow")

Advance = Callable[[str, int], None]
"""Told what is being measured, and how many pictures have been read."""


def bench_reading(
    dataset: Dataset,
    part: str,
    n: int,
    seed: int,
    names: Sequence[str] = ALL,
    runs: int = 5,
    reader: Reader | None = None,
    save: Path | None = None,
    advance: Advance = lambda name, count: None,
) -> Measured:
    """Read pictures of every kind; time it.

    Args:
        dataset: whose digits are on the pictures.
        part: ``validation`` to choose by, ``test`` for the final figures.
        n: pictures of each set, at least 1.
        seed: of all chance.
        names: what to measure, of ``ALL``.
        runs: how often a time is measured.
        reader: what reads; by default the one that comes with Chiffres.
        save: where to write the pictures and what was read in them; by default nowhere.
        advance: called as work goes on.

    Raises:
        UnknownNameError: there is no such part.
        UsageError: there is no such set.
        JobError: Tesseract, or ``chiffres read``, failed.
    """
    check_sets(names, ALL)
    digits = dataset.part(part)
    reader = reader or Reader()
    tesseract = Tesseract.find()
    engines: dict[str, Engine] = {CHIFFRES: Chiffres(reader), RESIZED: Resized(reader)}
    if tesseract:
        engines[TESSERACT] = tesseract
    rows: list[Row] = []
    for name in names:
        if name in SETS:
            kind = SETS[name]
            able = engines if kind.resizable else _without(engines, RESIZED)
            made = cases(name, digits, n, seed)
            rows += _set(name, made, kind.layout, able, save, advance)
        elif name == OPTICAL:
            rows += _set(name, iter(optical(part, n, seed)), "digit", engines, save, advance)
        elif name == CUT_OUT:
            rows += _set(name, iter(cut_outs(digits, n, seed)), "digit", engines, save, advance)
        elif name == FILES:
            rows += _files(digits, PER_PICTURE * n, reader, advance)
        elif name == VARIED:
            rows += _variants(digits, n, seed, engines[CHIFFRES], save, advance)
        else:
            rows += speed(reader, digits, runs, tesseract)
            advance(name, 1)
    machine = environment(dataset, "onnxruntime") | {
        "part": part,
        "pictures": n,
        "seed": seed,
        "versions": {package: metadata.version(package) for package in PACKAGES},
    }
    if tesseract:
        machine["versions"]["tesseract"] = tesseract.version
    return Measured("reading", machine, rows)


def steps(names: Sequence[str], n: int) -> int:
    """Return what the counts given to ``advance`` add up to, about."""
    counts = {FILES: PER_PICTURE * n, SPEED: 1}
    return sum(counts.get(name, n) for name in names)


def score(truth: Sequence[str], found: Sequence[str], layout: Layout) -> tuple[int, int]:
    """Return how many things are read right, of how many.

    Of a picture without digits, that nothing is read; of a digit or a line, that it is read
    exactly, and nothing else; of several lines, how many are read exactly and in their order, less
    those that are read and are not there.

    Args:
        truth: the lines in the picture.
        found: the lines read, ``?`` for a digit that was rejected.
        layout: what the picture holds.
    """
    if layout == "nothing":
        return int(not "".join(found).replace("?", "")), 1
    if layout != "lines":
        return int(list(found) == list(truth)), 1
    matcher = difflib.SequenceMatcher(None, list(truth), list(found), autojunk=False)
    matched = sum(block.size for block in matcher.get_matching_blocks())
    return max(0, matched - max(0, len(found) - len(truth))), len(truth)


def _set(
    name: str,
    made: Iterator[Case],
    layout: Layout,
    engines: Mapping[str, Engine],
    save: Path | None,
    advance: Advance,
) -> Iterator[Row]:
    """Let every engine read the pictures; return a row for each."""
    right, total = dict.fromkeys(engines, 0), 0
    log = _Log(save, name)
    while chunk := list(itertools.islice(made, AT_ONCE)):
        found = {key: engine.read(chunk, layout) for key, engine in engines.items()}
        for index, case in enumerate(chunk):
            read = {key: found[key][index] for key in engines}
            scores = {key: score(case.lines, lines, layout) for key, lines in read.items()}
            total += scores[CHIFFRES][1]
            for key, (good, _) in scores.items():
                right[key] += good
            log.add(case, read, scores[CHIFFRES])
        advance(name, len(chunk))
    log.close()
    yield from (Row(name, key, READ, "share", [right[key] / total], total) for key in engines)


def _files(digits: Digits, n: int, reader: Reader, advance: Advance) -> Iterator[Row]:
    """Read MNIST's images from files, and give them to the network itself."""
    made = mnist_files(digits, n)
    read = Chiffres(reader).read(made, "digit")
    good = sum(found == case.lines for found, case in zip(read, made, strict=True))
    values = reader.classify(digits.images[:n]).argmax(axis=1)
    alone = int((values == digits.labels[:n]).sum())
    advance(FILES, n)
    yield Row(FILES, CHIFFRES, READ, "share", [good / len(made)], len(made))
    yield Row(FILES, CLASSIFIER, READ, "share", [alone / len(made)], len(made))


def _variants(
    digits: Digits, n: int, seed: int, engine: Engine, save: Path | None, advance: Advance
) -> Iterator[Row]:
    """Read pictures, and the same changed in ways that must not matter."""
    same = dict.fromkeys(VARIANTS, 0)
    log = _Log(save, VARIED)
    for index in range(n):
        original = Original(np.random.default_rng([seed, index, len(ALL)]), digits)
        pictures = {name: change(original) for name, change in VARIANTS.items()}
        made = [Case(each, [original.text], {"variant": key}) for key, each in pictures.items()]
        whole = Case(original.picture, [original.text], {"variant": "none"})
        first, *others = engine.read([whole, *made], "line")
        for case, name, found in zip(made, VARIANTS, others, strict=True):
            same[name] += found == first
            log.add(case, {CHIFFRES: found, "original": first}, (int(found == first), 1))
        advance(VARIED, 1)
    log.close()
    yield from (Row(name, CHIFFRES, SAME, "share", [same[name] / n], n) for name in VARIANTS)


def _without(engines: Mapping[str, Engine], name: str) -> dict[str, Engine]:
    return {key: engine for key, engine in engines.items() if key != name}


class _Log:
    """Writes the pictures of a set, and ``manifest.json`` with what was read in them."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self.folder = folder / name if folder else None
        self.entries: list[dict[str, Any]] = []

    def add(self, case: Case, read: Mapping[str, list[str]], right: tuple[int, int]) -> None:
        """Write a picture."""
        if self.folder is None:
            return
        file = self.folder / f"{len(self.entries):05}.png"
        with replacing(file) as temporary:
            if isinstance(case.picture, bytes):
                temporary.write_bytes(case.picture)
            else:
                Image.fromarray(case.picture).save(temporary, compress_level=1)
        self.entries.append(
            {
                "file": file.name,
                "lines": case.lines,
                "read": dict(read),
                "right": right[0] == right[1],
                "made": case.made,
            }
        )

    def close(self) -> None:
        """Write the manifest."""
        if self.folder is not None:
            write_text(self.folder / "manifest.json", json.dumps(self.entries, indent=1) + "\n")
