"""The tables that put several models side by side, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chiffres.evaluation.compare import Comparison, Pair
from chiffres.evaluation.folds import CrossValidation
from chiffres.evaluation.intervals import Interval, p_of_another_run
from chiffres.evaluation.seeds import JudgedModel
from chiffres.report.tables import Table, interval
from chiffres.report.words import Words


def side_by_side(comparison: Comparison, words: Words) -> Table:
    """Return one row per model: cost, accuracy of each part, loss; over the seeds, if several."""
    several = comparison.seeds > 1
    keys = ["model", *["seeds"] * several, "parameters", "seconds_per_epoch", "train"]
    keys += ["validation", "gap", "test", *["sd"] * several, "interval", "test_loss"]
    return Table(
        [words.plain(key) for key in keys],
        [_cells(model, several, words) for model in comparison.models],
    )


def _cells(model: JudgedModel, several: bool, words: Words) -> list[str]:
    return [
        model.name,
        *[str(len(model.runs))] * several,
        words.number(model.parameters),
        words.number(model.epoch_seconds, 2),
        words.percent(model.train.accuracy),
        words.percent(model.validation.accuracy),
        words.points(model.gap),
        words.percent(model.test.accuracy),
        *[_sd(model.test.accuracy_sd, words)] * several,
        interval(model.test, words),
        words.number(model.test.loss, 4),
    ]


def _sd(sd: float | None, words: Words) -> str:
    return "·" if sd is None else words.number(100 * sd, 2)


def beside_published(comparison: Comparison, words: Words) -> Table | None:
    """Return measured beside published, one row per model; None where nothing is published."""
    several = comparison.seeds > 1
    rows = [
        _published_cells(model, comparison.published[model.name], several, words)
        for model in comparison.models
        if model.name in comparison.published
    ]
    keys = "model test_accuracy published difference test_loss published running_train published"
    keys += " validation published" + " p_of_published" * several
    return Table([words.plain(key) for key in keys.split()], rows) if rows else None


def _published_cells(
    model: JudgedModel, published: Mapping[str, float], several: bool, words: Words
) -> list[str]:
    return [
        model.name,
        words.percent(model.test.accuracy),
        words.percent(published["test_accuracy"]),
        words.points(model.test.accuracy - published["test_accuracy"]),
        words.number(model.test.loss, 4),
        words.number(published["test_loss"], 4),
        words.percent(model.curve("accuracy")[:, -1].mean()),
        words.percent(published["train_accuracy"]),
        words.percent(model.validation.accuracy),
        words.percent(published["validation_accuracy"]),
        *[_p_of_published(model, published["test_accuracy"], words)] * several,
    ]


def _p_of_published(model: JudgedModel, accuracy: float, words: Words) -> str:
    if len(model.runs) == 1:
        return "·"
    each = [evaluation.accuracy for evaluation in model.test.each]
    return words.p_value(p_of_another_run(accuracy, each)).removeprefix("= ")


def pairs(shown: Sequence[Pair], words: Words) -> Table:
    """Return one row per pair: the difference, how sure it is, and what follows."""
    seeds = any(pair.bootstrap_interval for pair in shown)
    keys = ["pair", "difference", "interval", *["bootstrap_interval"] * seeds]
    keys += ["only_first", "only_second", "p", "p_corrected", "verdict"]
    return Table(
        [words.plain(key) for key in keys], [_pair_cells(pair, seeds, words) for pair in shown]
    )


def _pair_cells(pair: Pair, seeds: bool, words: Words) -> list[str]:
    better = pair.a if pair.difference > 0 else pair.b
    return [
        f"{pair.a} − {pair.b}",
        words.points(pair.difference),
        _points(pair.interval, words),
        *[_points(pair.bootstrap_interval, words) if pair.bootstrap_interval else "·"] * seeds,
        words.number(pair.only_a),
        words.number(pair.only_b),
        words.p_value(pair.p_value).removeprefix("= "),
        words.p_value(pair.p_corrected).removeprefix("= "),
        words.plain("verdict_better", better=better)
        if pair.distinguishable
        else words.plain("verdict_same"),
    ]


def overfitting(comparison: Comparison, words: Words) -> Table:
    """Return one row per model: the gap with its interval, and where the validation loss turned."""
    keys = "model train validation gap interval lowest_loss after_epoch of_seeds last_loss"
    rows = []
    for model in comparison.models:
        losses = model.curve("val_loss").mean(axis=0)
        epochs = sorted(model.best_epochs)
        rows.append(
            [
                model.name,
                words.percent(model.train.accuracy),
                words.percent(model.validation.accuracy),
                words.points(model.gap),
                _points(model.gap_interval, words),
                words.number(losses.min(), 4),
                str(model.best_epoch),
                "–".join(str(each) for each in dict.fromkeys((epochs[0], epochs[-1]))),
                words.number(losses[-1], 4),
            ]
        )
    return Table([words.plain(key) for key in keys.split()], rows)


def calibration(comparison: Comparison, words: Words) -> Table:
    """Return each model's calibration error."""
    rows = [
        [model.name, words.percent(model.test.calibration_error)] for model in comparison.models
    ]
    return Table([words.plain("model"), words.plain("calibration_error")], rows)


def costs(comparison: Comparison, words: Words) -> Table:
    """Return what each model costs."""
    keys = "model test_accuracy parameters bytes seconds_per_epoch milliseconds_per_digit"
    rows = []
    for model in comparison.models:
        cost = comparison.costs[model.name]
        milliseconds = cost.digit_milliseconds
        rows.append(
            [
                model.name,
                words.percent(model.test.accuracy),
                words.number(cost.parameters),
                words.number(cost.bytes),
                words.number(cost.epoch_seconds, 2),
                "·" if milliseconds is None else words.number(milliseconds, 3),
            ]
        )
    return Table([words.plain(key) for key in keys.split()], rows)


def robustness_of_all(comparison: Comparison, words: Words) -> Table:
    """Return one row per corruption and one column per model, and the means."""
    names = list(comparison.robustness)
    under = comparison.robustness
    rows = [
        [
            corruption,
            *(
                f"{words.percent(under[name][corruption][0], 1)} "
                f"({_percents(under[name][corruption][1], words)})"
                for name in names
            ),
        ]
        for corruption in under[names[0]]
    ]
    means = [float(np.mean([accuracy for accuracy, _ in under[name].values()])) for name in names]
    rows.append([words.plain("mean"), *(words.percent(mean, 1) for mean in means)])
    return Table([words.plain("corruption"), *names], rows)


def folds(validation: CrossValidation, words: Words) -> Table:
    """Return the accuracy on each fold."""
    rows = [
        [str(number), words.percent(accuracy)]
        for number, accuracy in enumerate(validation.accuracies, 1)
    ]
    return Table([words.plain("fold"), words.plain("accuracy")], rows)


def _points(interval: Interval, words: Words) -> str:
    return f"{words.points(interval[0])} – {words.points(interval[1])}"


def _percents(interval: Interval, words: Words) -> str:
    return f"{words.percent(interval[0], 1)} – {words.percent(interval[1], 1)}"
