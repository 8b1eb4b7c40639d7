"""Exported models on all the processors they are for, as JSON and as a table."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from chiffres.bench import embedded
from chiffres.data import Dataset, Digits
from chiffres.errors import MissingToolError, UnknownNameError, UsageError
from chiffres.evaluation.predict import predict
from chiffres.export.c import folder, generate, reference
from chiffres.export.keras_files import model_name
from chiffres.models.files import load_model
from chiffres.report.figures import BLUE, GREY, STYLE
from chiffres.report.tables import Table
from chiffres.report.words import Words

SCHEMA = 1


class Published(NamedTuple):
    """A network of others: single runs, chosen on the test part.

    Attributes:
        name: whose.
        kilobytes: of its weights, without its code.
        percent: its accuracy on MNIST's test part.
    """

    name: str
    kilobytes: float
    percent: float


PUBLISHED = (
    Published("BitNetMCU", 5.4, 99.06),
    Published("BitNetMCU", 11.0, 99.55),
    Published("BitNetMCU", 13.0, 99.58),
)
"""https://github.com/cpldcpu/BitNetMCU, its documentation."""


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
        for file, text in generate.model_files(network, model_name(model), "a bench").items():
            Path(name, file).write_text(text)
        for target in targets:
            if target.missing:
                say(f"{target.name}: skipped, no {', '.join(target.missing)} here")
                continue
            linked = embedded.link(Path(name), target)
            if linked.flash > target.flash.size or linked.ram > target.ram.size:
                say(f"{target.name}: skipped, {model_name(model)} does not fit the emulated board")
                continue
            found = embedded.emulate(Path(name), target, digits.images)
            same = (found.answers.scores == expected.scores).all(axis=1)
            same &= found.answers.digits == expected.digits
            same &= found.answers.confidence == expected.confidence
            yield Row(
                model=model_name(model),
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


def from_json(path: Path) -> list[Row]:
    """Return the rows of a file that holds what :func:`as_json` made.

    Raises:
        UsageError: it does not.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [Row(**row) for row in document["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not what chiffres bench embedded --json writes ({error})"
        ) from error


def merged(rows: Sequence[Row]) -> list[tuple[Row, int]]:
    """Return one row for all runs of a model on a processor, and how many runs those are.

    Accuracies and instructions are means, sizes and the most instructions are the largest.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.target), []).append(row)
    return [(_merge(group), len(group)) for group in groups.values()]


def _merge(rows: Sequence[Row]) -> Row:
    def over(function: Callable[[list[Any]], Any], name: str) -> Any:
        return function([getattr(row, name) for row in rows])

    return dataclasses.replace(
        rows[0],
        images=over(sum, "images"),
        agree=over(sum, "agree"),
        accuracy=over(fmean, "accuracy"),
        float_accuracy=over(fmean, "float_accuracy"),
        flash=over(max, "flash"),
        ram=over(max, "ram"),
        stack=over(max, "stack"),
        instructions=round(over(fmean, "instructions")),
        most_instructions=over(max, "most_instructions"),
    )


def table(rows: Sequence[Row], words: Words) -> Table:
    """Return the rows with one line per model and processor, the runs of a model together."""
    keys = ("model", "target", "runs", "agree", "accuracy", "float_accuracy")
    sizes = ("flash", "ram", "stack", "instructions")
    return Table(
        [words.plain(key) for key in (*keys, *sizes)],
        [
            [
                row.model,
                row.target,
                str(runs),
                f"{words.number(row.agree)} / {words.number(row.images)}",
                words.percent(row.accuracy),
                words.percent(row.float_accuracy),
                *(words.number(getattr(row, key)) for key in sizes),
            ]
            for row, runs in merged(rows)
        ],
    )


def chart(rows: Sequence[Row], words: Words) -> Figure:
    """Draw accuracy against flash: each model on the first processor, and published networks."""
    first = rows[0].target
    own = [row for row, _ in merged(rows) if row.target == first]
    with rc_context(STYLE):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            [row.flash / 1000 for row in own],
            [100 * row.accuracy for row in own],
            "o",
            color=BLUE,
            label=words.plain("chart_own", target=first),
        )
        for row in own:
            _name(axes, row.model, row.flash / 1000, 100 * row.accuracy)
        axes.plot(
            [each.kilobytes for each in PUBLISHED],
            [each.percent for each in PUBLISHED],
            "D",
            color=GREY,
            label=words.plain("chart_published"),
        )
        for each in PUBLISHED:
            _name(axes, each.name, each.kilobytes, each.percent)
        axes.set_xlabel(words.plain("chart_flash"))
        axes.set_ylabel(words.plain("chart_accuracy"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.number(value, 1)))
        axes.margins(x=0.12)  # room for the names
        axes.set_xlim(left=0)
        figure.legend(loc="outside upper left", frameon=False, ncols=2)
    return figure


def _name(axes: Any, name: str, x: float, y: float) -> None:
    axes.annotate(name, (x, y), (6, -3), textcoords="offset points", fontsize=9)
