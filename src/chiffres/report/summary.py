"""What was measured, in sentences that follow from the tests."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from chiffres.evaluation.compare import Comparison, Pair
from chiffres.evaluation.folds import CrossValidation
from chiffres.evaluation.intervals import Estimate, gap_difference
from chiffres.evaluation.seeds import JudgedModel
from chiffres.report.words import Words

ALL_PAIRS = 6
"""How many pairs are all told; of more, those with the chosen model."""


def choice(comparison: Comparison, words: Words) -> list[Markup]:
    """Say which model to keep, how well it reads, and how far to trust that."""
    chosen = comparison.chosen
    return [
        words(
            "choice",
            model=chosen.name,
            loss=words.number(chosen.validation.loss, 4),
            **accuracy_of(chosen, words),
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
        difference_of(comparison, comparison.named(pair.a), comparison.named(pair.b), words)
        for pair in shown_pairs(comparison)
    ]


def overfitting(comparison: Comparison, words: Words) -> list[Markup]:
    """Say between which bounds the gap and the turn of the validation loss lie."""
    if len(comparison.models) == 1:
        (model,) = comparison.models
        return [turn_of(model, words)]
    least, *_, most = sorted(comparison.models, key=lambda model: model.gap)
    estimate = gap_difference_of(most, least)
    return [
        words(
            "gap_range",
            least=least.name,
            most=most.name,
            gap_least=words.points(least.gap),
            gap_most=words.points(most.gap),
            **points_range(least.gap_interval, words, "_least"),
            **points_range(most.gap_interval, words, "_most"),
            difference=words.points(estimate.value),
            **points_range(estimate.interval, words),
            p=words.p_value(estimate.p_value),
        ),
        _turns(comparison.models, words),
    ]


def _turns(models: Sequence[JudgedModel], words: Words) -> Markup:
    """Say whose validation loss turned first and whose last."""
    first, *_, last = sorted(models, key=lambda model: model.best_epoch)
    if first.best_epoch == last.best_epoch:
        return words("turn_same", epoch=first.best_epoch)
    return words(
        "turn_range",
        first=first.name,
        last=last.name,
        epoch_first=first.best_epoch,
        epoch_last=last.best_epoch,
    )


def cross_validated(validation: CrossValidation, words: Words) -> Markup:
    """Say how the baseline reads the digits that it was not trained on, fold by fold."""
    low, high = validation.interval
    return words(
        "folds_text",
        model=validation.model,
        folds=len(validation.accuracies),
        trained_on=words.number(validation.trained_on),
        held_out=words.number(validation.held_out),
        mean=words.percent(validation.mean),
        sd=words.number(100 * validation.sd, 2),
        low=words.percent(low),
        high=words.percent(high),
    )


def accuracy_of(model: JudgedModel, words: Words) -> dict[str, str]:
    """Write a model's test accuracy with its interval, as the sentences name them."""
    low, high = model.test.accuracy_interval
    return {
        "accuracy": words.percent(model.test.accuracy),
        "low": words.percent(low),
        "high": words.percent(high),
    }


def points_range(interval: tuple[float, float], words: Words, which: str = "") -> dict[str, str]:
    """Write an interval in points, as the sentences name its ends."""
    low, high = interval
    return {f"low{which}": words.points(low), f"high{which}": words.points(high)}


def _counts(models: Sequence[JudgedModel]) -> str:
    """Write how many seeds the models have, as "5", or "3–5"."""
    counts = sorted({len(model.runs) for model in models})
    return "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def difference_of(comparison: Comparison, a: JudgedModel, b: JudgedModel, words: Words) -> Markup:
    """Say whether one of two models is better, and what the test was."""
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


def gap_difference_of(a: JudgedModel, b: JudgedModel) -> Estimate:
    """Estimate the gap of ``a`` less that of ``b``."""
    return gap_difference((a.train.right, a.validation.right), (b.train.right, b.validation.right))


def turn_of(model: JudgedModel, words: Words) -> Markup:
    """Say after which epoch a model's validation loss was lowest."""
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
