"""The tables of measurements, as text that both the page and the terminal show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chiffres.data.dataset import CLASSES
from chiffres.evaluation.metrics import Evaluation
from chiffres.evaluation.seeds import Evaluations, JudgedModel
from chiffres.evaluation.strangers import Separation
from chiffres.models.backend import keras
from chiffres.report.words import Words


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        headings: one per column.
        rows: the first column names the row, the others hold figures.
    """

    headings: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Return the table as Markdown; the figures stand to the right."""
        rule = ["---", *["---:"] * (len(self.headings) - 1)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.headings, rule, *self.rows))


def summary(model: keras.Model, words: Words) -> Table:
    """Return the layers with output shapes and parameters, as ``model.summary()`` does."""
    rows = [
        [
            f"{layer.name} ({type(layer).__name__})",
            str(layer.output.shape),
            words.number(layer.count_params()),
        ]
        for layer in model.layers
    ]
    rows.append([words.plain("total"), "", words.number(model.count_params())])
    return Table([words.plain(key) for key in ("layer", "output_shape", "parameters")], rows)


def parts(model: JudgedModel, words: Words) -> Table:
    """Return loss and accuracy, with its interval, of each part."""
    rows = [
        [
            words.plain(evaluation.each[0].part),
            words.number(evaluation.n),
            words.number(evaluation.loss, 4),
            words.percent(evaluation.accuracy),
            interval(evaluation, words),
        ]
        for evaluation in (model.train, model.validation, model.test)
    ]
    return Table(
        [words.plain(key) for key in ("part", "count", "loss", "accuracy", "interval")], rows
    )


def confusion(evaluation: Evaluation) -> Table:
    """Return how often each digit (row) was read as each (column)."""
    rows = [
        [str(digit), *(str(count) if count else "·" for count in row)]
        for digit, row in enumerate(evaluation.confusion)
    ]
    return Table(["", *(str(digit) for digit in range(CLASSES))], rows)


def per_digit(evaluation: Evaluation, words: Words) -> Table:
    """Return precision, recall and F1 of each digit."""
    scores = evaluation.per_digit()
    rows = [
        [str(digit), *(words.percent(score) for score in scores[digit])] for digit in range(CLASSES)
    ]
    return Table([*(words.plain(key) for key in ("digit", "precision", "recall")), "F1"], rows)


def robustness(evaluations: Mapping[str, Evaluation], words: Words) -> Table:
    """Return one row per corruption, accuracy with its interval, and their mean."""
    rows = [
        [name, words.percent(each.accuracy), interval(each, words)]
        for name, each in evaluations.items()
    ]
    mean = float(np.mean([each.accuracy for each in evaluations.values()]))
    rows.append([words.plain("mean"), words.percent(mean), "·"])
    return Table([words.plain(key) for key in ("corruption", "accuracy", "interval")], rows)


def strangers(separation: Separation, words: Words) -> Table:
    """Return the AUROC of digits against each kind of stranger, and against all of them."""
    rows = [[words.plain(kind), words.number(area, 4)] for kind, area in separation.by_kind.items()]
    rows.append([words.plain("total"), words.number(separation.auroc, 4)])
    return Table([words.plain("kind"), "AUROC"], rows)


def interval(evaluation: Evaluation | Evaluations, words: Words) -> str:
    """Write the accuracy's interval."""
    low, high = evaluation.accuracy_interval
    return f"{words.percent(low)} – {words.percent(high)}"
