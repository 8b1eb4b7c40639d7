"""Exported models on all the processors they are for, as JSON and as a table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chiffres.bench import embedded
from chiffres.data import Dataset, Digits
from chiffres.errors import MissingToolError, UnknownNameError
from chiffres.evaluation.predict import predict
from chiffres.export.c import folder, generate, reference
from chiffres.export.keras_files import default_name
from chiffres.models.files import load_model
from chiffres.report.tables import Table
from chiffres.report.words import Words

SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One model on one processor.

    Attributes:
        model: its name.
        target: the processor.
        images: how many it read.
        agree: of how many all scores were those of the reference, to the bit.
        accuracy: of the integers, 0 to 1.
        float_accuracy: of the Keras model, on the same images, 0 to 1.
        flash: bytes of code and constants, in the linked file.
        ram: bytes of buffers, in the linked file.
        stack: bytes, the most that was used.
        instructions: per inference, on average.
        most_instructions: of any inference.
        multiplications: of the network, per inference.
        parameters: of the network.
    """

    model: str
    target: str
    images: int
    agree: int
    accuracy: float
    float_accuracy: float
    flash: int
    ram: int
    stack: int
    instructions: int
    most_instructions: int
    multiplications: int
    parameters: int


def bench_embedded(
    models: Iterable[str],
    dataset: Dataset,
    targets: Sequence[str],
    images: int,
    say: Callable[[str], None],
) -> list[Row]:
    """Export each model, run it on each processor that this machine can emulate, compare.

    Args:
        models: run folders or model files.
        dataset: whose training and validation parts the export uses, and whose test part is read.
        targets: of ``embedded.TARGETS``.
        images: how many of the test part, the first ones.
        say: what is told which processor is skipped, and why.

    Raises:
        UnknownNameError: there is no such processor.
        MissingToolError: this machine can emulate none of them.
        JobError: the exported code does not compile, or fails.
    """
    for target in targets:
        if target not in embedded.TARGETS:
            raise UnknownNameError("target", target, embedded.TARGETS)
    known = [embedded.TARGETS[target] for target in targets]
    if not known or all(target.missing for target in known):
        needed = known or list(embedded.TARGETS.values())
        packages = sorted({package for target in needed for package in target.packages})
        raise MissingToolError("this bench", [needed[0].missing[0]], packages)
    digits = dataset.test.take(np.arange(min(images, len(dataset.test))))
    return [row for model in models for row in _rows(Path(model), dataset, known, digits, say)]


def _rows(
    model: Path,
    dataset: Dataset,
    targets: Sequence[embedded.Target],
    digits: Digits,
    say: Callable[[str], None],
) -> Iterable[Row]:
    loaded = load_model(model)
    network = folder.as_network(loaded, dataset)
    expected = reference.classify(network, digits.images)
    right = predict(loaded, digits.images).argmax(axis=1) == digits.labels
    with tempfile.TemporaryDirectory() as name:
        for file, text in generate.model_files(network, default_name(model), "a bench").items():
            Path(name, file).write_text(text)
        for target in targets:
            if target.missing:
                say(f"{target.name}: skipped, no {', '.join(target.missing)} here")
                continue
            linked = embedded.link(Path(name), target)
            if linked.flash > target.flash.size or linked.ram > target.ram.size:
                say(
                    f"{target.name}: skipped, {default_name(model)} does not fit the emulated board"
                )
                continue
            found = embedded.emulate(Path(name), target, digits.images)
            same = (found.answers.scores == expected.scores).all(axis=1)
            same &= found.answers.digits == expected.digits
            same &= found.answers.confidence == expected.confidence
            yield Row(
                model=default_name(model),
                target=target.name,
                images=len(digits),
                agree=int(same.sum()),
                accuracy=float((found.answers.digits == digits.labels).mean()),
                float_accuracy=float(right.mean()),
                flash=linked.flash,
                ram=linked.ram,
                stack=found.stack,
                instructions=round(float(found.instructions.mean())),
                most_instructions=round(float(found.instructions.max())),
                multiplications=network.multiplications,
                parameters=network.parameters,
            )


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as one JSON document."""
    return {"schema": SCHEMA, "bench": "embedded", "rows": [asdict(row) for row in rows]}


def table(rows: Sequence[Row], words: Words) -> Table:
    """Return the rows with one line per model and processor."""
    keys = ("model", "target", "agree", "accuracy", "float_accuracy", "flash", "ram", "stack")
    return Table(
        [words.plain(key) for key in (*keys, "instructions")],
        [
            [
                row.model,
                row.target,
                f"{words.number(row.agree)} / {words.number(row.images)}",
                words.percent(row.accuracy),
                words.percent(row.float_accuracy),
                words.number(row.flash),
                words.number(row.ram),
                words.number(row.stack),
                words.number(row.instructions),
            ]
            for row in rows
        ],
    )
