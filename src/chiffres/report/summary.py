"""The lab's exercises answered in sentences, each built from what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.judge import JudgedModel
from chiffres.report.words import Words

POOLING = ("conv", "conv-pool")
CONVOLUTIONAL = ("conv", "conv-pool", "conv-dropout")

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
    """Answer the lab's two exercises, or say which models that would take."""
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


def choice(comparison: Comparison, words: Words) -> list[Markup]:
    """Say which model to keep, how well it reads, and how far to trust that."""
    chosen = comparison.chosen
    return [
        words(
            "choice",
            model=chosen.name,
            loss=words.number(chosen.validation.loss, 4),
            **_accuracy(chosen, words),
        ),
        words("caution"),
    ]


def _pooling(comparison: Comparison, models: list[JudgedModel], words: Words) -> list[Markup]:
    a, b = models
    return [
        words(
            "fewer_parameters",
            a=a.name,
            b=b.name,
            parameters_a=words.number(a.model.count_params()),
            parameters_b=words.number(b.model.count_params()),
            ratio=words.number(a.model.count_params() / b.model.count_params(), 1),
        ),
        _time(a, b, words),
        _difference(comparison, a, b, words),
        _loss(a, b, words),
        _gap(a, b, words),
        _holm(comparison, words),
    ]


def _convolutional(comparison: Comparison, models: list[JudgedModel], words: Words) -> list[Markup]:
    conv, pool, dropout = models
    return [
        *(_result(model, words) for model in models),
        _difference(comparison, pool, dropout, words),
        _difference(comparison, conv, dropout, words),
        _gap(pool, dropout, words),
        *(_turn(model, words) for model in models),
        _time(pool, dropout, words),
        _holm(comparison, words),
    ]


def _accuracy(model: JudgedModel, words: Words) -> dict[str, str]:
    low, high = model.test.accuracy_interval
    return {
        "accuracy": words.percent(model.test.accuracy),
        "low": words.percent(low),
        "high": words.percent(high),
    }


def _result(model: JudgedModel, words: Words) -> Markup:
    loss = words.number(model.test.loss, 4)
    return words("result_line", model=model.name, loss=loss, **_accuracy(model, words))


def _difference(comparison: Comparison, a: JudgedModel, b: JudgedModel, words: Words) -> Markup:
    pair = comparison.pair(a.name, b.name)
    only = {pair.a: pair.only_a, pair.b: pair.only_b}
    worse, better = sorted((a, b), key=lambda model: model.test.accuracy)
    return words(
        "distinguishable" if pair.distinguishable else "indistinguishable",
        n=words.number(a.test.n),
        better=better.name,
        worse=worse.name,
        accuracy_better=words.percent(better.test.accuracy),
        accuracy_worse=words.percent(worse.test.accuracy),
        only_better=words.number(only[better.name]),
        only_worse=words.number(only[worse.name]),
        p=words.p_value(pair.p_value),
    )


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
    return words(
        "gap_smaller" if b.gap < a.gap else "gap_larger",
        a=a.name,
        b=b.name,
        change_a=words.points(-a.gap),
        change_b=words.points(-b.gap),
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


def _turn(model: JudgedModel, words: Words) -> Markup:
    losses = model.history["val_loss"]
    return words(
        "turned" if model.best_epoch < len(losses) else "not_turned",
        model=model.name,
        epoch=words.number(model.best_epoch),
        epochs=words.number(len(losses)),
        lowest=words.number(min(losses), 4),
        last=words.number(losses[-1], 4),
    )


def _holm(comparison: Comparison, words: Words) -> Markup:
    return words("holm", count=words.number(len(comparison.pairs)))
