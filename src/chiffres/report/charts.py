"""Figures that put several models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, MaxNLocator
from matplotlib.transforms import blended_transform_factory

from chiffres.data.dataset import CLASSES
from chiffres.evaluation.confidence import confidence_of
from chiffres.evaluation.seeds import Evaluations, JudgedModel
from chiffres.export.cost import Cost
from chiffres.report.figures import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    STYLE,
    Cell,
    band,
    gallery,
    logarithmic,
)
from chiffres.report.words import Words

MARKERS = "osD^vP*X"
BINS, LEAST = 10, 10
"""Of the calibration curves: how many bins, and the fewest answers that make a point."""
MAPPED = 8
"""From how many models on colours say the order of the models, not which is which."""


def accuracies(
    models: Sequence[JudgedModel], published: Mapping[str, float], words: Words
) -> Figure:
    """Draw each model's test accuracy with its interval, and the published one as a diamond."""
    with rc_context(STYLE):
        figure, axes = _rows([model.name for model in models])
        beside = blended_transform_factory(axes.transAxes, axes.transData)
        for row, model in enumerate(models):
            _interval(axes, row, model.test.accuracy, model.test.accuracy_interval)
            if len(model.runs) > 1:
                each = [evaluation.accuracy for evaluation in model.test.each]
                axes.plot(each, [row] * len(each), "|", color=INK, ms=9, mew=1)
            if model.name in published:
                axes.plot(published[model.name], row, "D", color=ORANGE, ms=7, mfc="none")
            text = words.percent(model.test.accuracy)
            axes.text(1.02, row, text, transform=beside, va="center", color=INK)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.percent(value, 1)))
    return figure


def gaps(models: Sequence[JudgedModel], words: Words) -> Figure:
    """Draw each model's gap between training and validation accuracy, with its interval."""
    with rc_context(STYLE):
        figure, axes = _rows([model.name for model in models])
        for row, model in enumerate(models):
            _interval(axes, row, model.gap, model.gap_interval)
        axes.axvline(0, color=GREY, lw=1)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.points(value)))
    return figure


def _rows(names: Sequence[str]) -> tuple[Figure, Axes]:
    """Return a figure with one row per name."""
    figure = Figure(figsize=(7.2, 0.55 * len(names) + 1.0))
    axes = figure.add_subplot()
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure, axes


def _interval(axes: Axes, row: int, value: float, interval: tuple[float, float]) -> None:
    axes.plot(interval, [row, row], color=BLUE, lw=5, alpha=0.3, solid_capstyle="round")
    axes.plot(value, row, "o", color=BLUE, ms=8)


def validation_losses(models: Sequence[JudgedModel], words: Words) -> Figure:
    """Draw the validation loss of all models after each epoch, and where it turns."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.4))
        axes = figure.add_subplot()
        for model, colour in zip(models, _colours(len(models)), strict=True):
            curves = model.curve("val_loss")
            mean = curves.mean(axis=0)
            axes.plot(range(1, len(mean) + 1), mean, color=colour, label=model.name)
            band(axes, curves, colour)
            axes.plot(model.best_epoch, mean.min(), "o", color=colour, ms=7)
        axes.set_xlabel(words("epoch"))
        axes.set_ylabel(words("loss"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        logarithmic(axes, words)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def disagreements(a: Evaluations, b: Evaluations, columns: int = 8) -> Figure | None:
    """Draw digits that one model reads and the other misreads; None where there is none.

    In the upper row those that ``a`` reads, in the lower those that ``b`` does: written → what
    the other read, in most of its runs.
    """
    first = a.right.mean(axis=0) - b.right.mean(axis=0)
    if not first.any():
        return None
    rows: list[list[Cell]] = []
    for apart, other in ((first, b), (-first, a)):
        found = np.argsort(-apart, kind="stable")[:columns]
        rows.append([_misread(other, index) for index in found[apart[found] > 0]])
    return gallery(rows, inches=0.7, down=0.35)


def _misread(evaluations: Evaluations, index: int) -> Cell:
    """Return a digit, and what it was read as in most of the runs that misread it."""
    digits = evaluations.each[0].digits
    answers = [each.predicted[index] for each in evaluations.each]
    wrong = [answer for answer in answers if answer != digits.labels[index]]
    return digits.images[index], f"{digits.labels[index]} → {np.bincount(wrong).argmax()}"


def calibration(models: Sequence[JudgedModel], words: Words) -> Figure:
    """Draw the share of right answers by their confidence, one curve per model."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.6))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], "--", color=GREY, lw=1, label=words("perfect_calibration"))
        for model, colour in zip(models, _colours(len(models)), strict=True):
            confidence, right, count = _reliability(model.test)
            axes.plot(confidence, right, "-", color=colour, lw=1.5, label=model.name)
            axes.scatter(confidence, right, s=12 + 90 * count / count.sum(), color=colour)
        axes.set_xlim(0.1, 1.02)
        axes.set_ylim(0, 1.02)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: words.percent(value, 0)))
        axes.set_xlabel(words("confidence"))
        axes.set_ylabel(words("accuracy"))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _reliability(test: Evaluations) -> npt.NDArray[np.float64]:
    """Return mean confidence, accuracy and count of the bins with answers enough, ``(3, bins)``."""
    confidence = np.concatenate([confidence_of(each.probabilities) for each in test.each])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    sums = [np.bincount(bins, values, BINS) for values in (confidence, test.right.ravel())]
    enough = count >= LEAST
    return np.stack([sums[0][enough], sums[1][enough], count[enough] ** 2]) / count[enough]


def by_digit(models: Sequence[JudgedModel], words: Words) -> Figure:
    """Draw the accuracy on the images of each digit, one row per model."""
    accuracy = 100 * np.stack([model.test.accuracy_by_digit() for model in models])
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(7.2, 0.42 * len(models) + 0.9))
        axes = figure.add_subplot()
        lowest, highest = np.nanmin(accuracy), np.nanmax(accuracy)
        palest = highest + 1.5 * (highest - lowest) + 0.1  # so that all figures stay readable
        axes.imshow(accuracy, cmap="Blues", aspect="auto", vmin=lowest - 0.1, vmax=palest)
        for row, column in np.argwhere(~np.isnan(accuracy)):
            text = words.number(accuracy[row, column], 1)
            axes.text(column, row, text, ha="center", va="center", color=INK, fontsize=9)
        axes.set_xticks(range(CLASSES))
        axes.set_yticks(range(len(models)), [model.name for model in models])
        axes.tick_params(length=0)
        axes.set_xlabel(words("written"))
    return figure


def cost_against_accuracy(
    models: Sequence[JudgedModel], costs: Mapping[str, Cost], words: Words
) -> Figure:
    """Draw the test accuracy with its interval against each kind of cost."""
    kinds = {
        "parameters": "parameters",
        "bytes": "bytes",
        "epoch_seconds": "seconds_per_epoch",
        "digit_milliseconds": "milliseconds_per_digit",
    }
    with rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.4))
        panels: Any = figure.subplots(1, len(kinds), sharey=True)
        for axes, (kind, word) in zip(panels, kinds.items(), strict=True):
            for model, colour, marker in zip(
                models, _colours(len(models)), _markers(len(models)), strict=True
            ):
                value = getattr(costs[model.name], kind)
                if value is None:
                    continue
                axes.plot([value] * 2, model.test.accuracy_interval, color=colour, lw=4, alpha=0.3)
                axes.plot(value, model.test.accuracy, marker, color=colour, ms=7, label=model.name)
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
            axes.xaxis.set_major_formatter(LogFormatterSciNotation())
            axes.set_xlabel(words(word))
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: words.percent(value, 1)))
        panels[0].set_ylabel(words("accuracy"))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 0.95), ncols=4)
    return figure


def _colours(count: int) -> list[str]:
    mapped = count > MAPPED
    shades = matplotlib.colormaps["viridis" if mapped else "Dark2"](
        np.linspace(0, 0.9, count) if mapped else np.arange(count)
    )
    return [matplotlib.colors.to_hex(shade) for shade in shades]


def _markers(count: int) -> list[str]:
    return [MARKERS[number % len(MARKERS)] for number in range(count)]
