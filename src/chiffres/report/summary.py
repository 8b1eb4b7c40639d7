"""What was measured, in sentences that follow from the tests; the lab's exercises answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from chiffres.evaluation.compare import SIGNIFICANCE, Comparison, Pair
from chiffres.evaluation.intervals import Estimate, gap_difference
from chiffres.evaluation.seeds import JudgedModel
from chiffres.report.words import Words

POOLING = ("conv", "conv-pool")
CONVOLUTIONAL = ("conv", "conv-pool", "conv-dropout")
LAB = {"dense", *CONVOLUTIONAL}

ALL_PAIRS = 6
"""How many pairs are all told; of more, those with the chosen model."""
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
        words("caution")
        if comparison.seeds == 1
        else words("caution_seeds", seeds=_counts(comparison.models)),
    ]


def shown_pairs(comparison: Comparison) -> list[Pair]:
    """Return the pairs to tell: all of a few, of many those with the chosen model."""
    if len(comparison.pairs) <= ALL_PAIRS:
        return comparison.pairs
    chosen = comparison.chosen.name
    return [pair for pair in comparison.pairs if chosen in (pair.a, pair.b)]


def differences(comparison: Comparison, words: Words) -> list[Markup]:
    """Say of each pair that is told whether one is better."""
    return [
        _difference(comparison, comparison.named(pair.a), comparison.named(pair.b), words)
        for pair in shown_pairs(comparison)
    ]


def overfitting(comparison: Comparison, words: Words) -> list[Markup]:
    """Say between which bounds the gap and the turn of the validation loss lie."""
    if len(comparison.models) == 1:
        (model,) = comparison.models
        return [_turn(model, words)]
    least, *_, most = sorted(comparison.models, key=lambda model: model.gap)
    first, *_, last = sorted(comparison.models, key=lambda model: model.best_epoch)
    estimate = _gap_difference(most, least)
    return [
        words(
            "gap_range",
            least=least.name,
            most=most.name,
            gap_least=words.points(least.gap),
            gap_most=words.points(most.gap),
            **_range(least.gap_interval, words, "_least"),
            **_range(most.gap_interval, words, "_most"),
            difference=words.points(estimate.value),
            **_range(estimate.interval, words),
            p=words.p_value(estimate.p_value),
        ),
        words(
            "turn_range",
            first=first.name,
            last=last.name,
            epoch_first=first.best_epoch,
            epoch_last=last.best_epoch,
        ),
    ]


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


def _range(interval: tuple[float, float], words: Words, which: str = "") -> dict[str, str]:
    low, high = interval
    return {f"low{which}": words.points(low), f"high{which}": words.points(high)}


def _counts(models: Sequence[JudgedModel]) -> str:
    """Write how many seeds the models have, as "5", or "3–5"."""
    counts = sorted({len(model.runs) for model in models})
    return "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def _result(model: JudgedModel, words: Words) -> Markup:
    values = {"model": model.name, "loss": words.number(model.test.loss, 4)}
    values |= _accuracy(model, words)
    if model.test.accuracy_sd is None:
        return words("result_line", **values)
    sd = words.number(100 * model.test.accuracy_sd, 2)
    return words("result_line_seeds", seeds=len(model.runs), sd=sd, **values)


def _difference(comparison: Comparison, a: JudgedModel, b: JudgedModel, words: Words) -> Markup:
    pair = comparison.pair(a.name, b.name)
    only = {pair.a: pair.only_a, pair.b: pair.only_b}
    worse, better = sorted((a, b), key=lambda model: model.test.accuracy)
    low, high = pair.interval if better.name == pair.a else (-pair.interval[1], -pair.interval[0])
    if pair.test == "mcnemar":
        kind = "distinguishable" if pair.distinguishable else "indistinguishable"
    else:
        kind = "distinguishable_seeds" if pair.distinguishable else "indistinguishable_seeds"
    return words(
        kind,
        n=words.number(a.test.n),
        better=better.name,
        worse=worse.name,
        seeds_better=len(better.runs),
        seeds_worse=len(worse.runs),
        accuracy_better=words.percent(better.test.accuracy),
        accuracy_worse=words.percent(worse.test.accuracy),
        difference=words.points(abs(pair.difference)),
        low=words.points(low),
        high=words.points(high),
        only_better=words.number(only[better.name]),
        only_worse=words.number(only[worse.name]),
        p=_p(comparison, pair, words),
    )


def _p(comparison: Comparison, pair: Pair, words: Words) -> str:
    p = words.p_value(pair.p_corrected)
    if len(comparison.pairs) == 1:
        return p
    alone = words.p_value(pair.p_value)
    return words.plain("p_of_pairs", alone=alone, count=len(comparison.pairs), p=p)


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
    estimate = _gap_difference(a, b)
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
        **_range((-high, -low) if turned else (low, high), words),
        p=words.p_value(estimate.p_value),
    )


def _gap_difference(a: JudgedModel, b: JudgedModel) -> Estimate:
    return gap_difference((a.train.right, a.validation.right), (b.train.right, b.validation.right))


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
    losses = model.curve("val_loss").mean(axis=0)
    turned = "turned" if len(model.runs) == 1 else "turned_seeds"
    return words(
        turned if model.best_epoch < len(losses) else "not_turned",
        model=model.name,
        seeds=len(model.runs),
        epoch=words.number(model.best_epoch),
        epochs=words.number(len(losses)),
        first=words.number(min(model.best_epochs)),
        latest=words.number(max(model.best_epochs)),
        lowest=words.number(losses.min(), 4),
        last=words.number(losses[-1], 4),
    )


def _holm(comparison: Comparison, words: Words) -> Markup:
    return words("holm", count=words.number(len(comparison.pairs)))
