"""The lab's exercises answered in sentences, each built from what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from chiffres.evaluation.compare import SIGNIFICANCE, Comparison
from chiffres.evaluation.seeds import JudgedModel
from chiffres.report.summary import (
    accuracy_of,
    difference_of,
    gap_difference_of,
    points_range,
    turn_of,
)
from chiffres.report.words import Words

POOLING = ("conv", "conv-pool")
CONVOLUTIONAL = ("conv", "conv-pool", "conv-dropout")
LAB = {"dense", *CONVOLUTIONAL}

SAME_TIME = 1.1
"""Two times whose ratio is below this are called the same: a machine drifts by as much."""


@dataclass(frozen=True)
class Answer:
    """The answer to one exercise.

    Attributes:
        title: of the exercise.
        sentences: HTML, to be shown one below the other.
    """

    title: str
    sentences: list[Markup]


def answers(comparison: Comparison, words: Words) -> list[Answer]:
    """Answer the lab's two exercises, or say which models that would take.

    A comparison without any of the lab's models has none to answer.
    """
    if not LAB & {model.name for model in comparison.models}:
        return []
    named = {model.name: model for model in comparison.models}
    exercises = (
        ("exercise_pooling", POOLING, _pooling),
        ("exercise_summary", CONVOLUTIONAL, _convolutional),
    )
    answered = []
    for title, needed, sentences in exercises:
        missing = [name for name in needed if name not in named]
        answered.append(
            Answer(
                words(title),
                [words("needs_models", models=", ".join(missing))]
                if missing
                else sentences(comparison, [named[name] for name in needed], words),
            )
        )
    return answered


def _pooling(comparison: Comparison, models: list[JudgedModel], words: Words) -> list[Markup]:
    a, b = models
    return [
        words(
            "fewer_parameters",
            a=a.name,
            b=b.name,
            parameters_a=words.number(a.parameters),
            parameters_b=words.number(b.parameters),
            ratio=words.number(a.parameters / b.parameters, 1),
        ),
        _time(a, b, words),
        difference_of(comparison, a, b, words),
        _loss(a, b, words),
        _gap(a, b, words),
        _holm(comparison, words),
    ]


def _convolutional(comparison: Comparison, models: list[JudgedModel], words: Words) -> list[Markup]:
    conv, pool, dropout = models
    return [
        *(_result(model, words) for model in models),
        difference_of(comparison, pool, dropout, words),
        difference_of(comparison, conv, dropout, words),
        _gap(pool, dropout, words),
        *(turn_of(model, words) for model in models),
        _time(pool, dropout, words),
        _holm(comparison, words),
    ]


def _result(model: JudgedModel, words: Words) -> Markup:
    values = {"model": model.name, "loss": words.number(model.test.loss, 4)}
    values |= accuracy_of(model, words)
    if model.test.accuracy_sd is None:
        return words("result_line", **values)
    sd = words.number(100 * model.test.accuracy_sd, 2)
    return words("result_line_seeds", seeds=len(model.runs), sd=sd, **values)


def _loss(a: JudgedModel, b: JudgedModel, words: Words) -> Markup:
    low, high = sorted((a, b), key=lambda model: model.test.loss)
    return words(
        "lower_loss",
        low=low.name,
        high=high.name,
        loss_low=words.number(low.test.loss, 4),
        loss_high=words.number(high.test.loss, 4),
    )


def _gap(a: JudgedModel, b: JudgedModel, words: Words) -> Markup:
    estimate = gap_difference_of(a, b)
    kind = "gap_smaller" if estimate.value > 0 else "gap_larger"
    low, high = estimate.interval
    turned = kind == "gap_larger"
    return words(
        kind if estimate.p_value < SIGNIFICANCE else "gap_same",
        a=a.name,
        b=b.name,
        change_a=words.points(-a.gap),
        change_b=words.points(-b.gap),
        difference=words.points(abs(estimate.value)),
        **points_range((-high, -low) if turned else (low, high), words),
        p=words.p_value(estimate.p_value),
    )


def _time(a: JudgedModel, b: JudgedModel, words: Words) -> Markup:
    fast, slow = sorted((a.epoch_seconds, b.epoch_seconds))
    faster = "faster" if b.epoch_seconds < a.epoch_seconds else "slower"
    return words(
        faster if slow > SAME_TIME * fast else "same_time",
        a=a.name,
        b=b.name,
        seconds_a=words.number(a.epoch_seconds, 2),
        seconds_b=words.number(b.epoch_seconds, 2),
        ratio=words.number(slow / fast, 1),
    )


def _holm(comparison: Comparison, words: Words) -> Markup:
    return words("holm", count=words.number(len(comparison.pairs)))
