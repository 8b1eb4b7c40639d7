"""The figures of several models show what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from chiffres.evaluation.compare import Comparison
from chiffres.evaluation.metrics import Evaluation
from chiffres.evaluation.seeds import Evaluations
from chiffres.report import charts, figures
from chiffres.report.words import Words
from tests.report.hung import hung

WORDS = Words("en")


def test_every_interval_is_drawn_around_its_accuracy(comparison: Comparison) -> None:
    (axes,) = charts.accuracies(comparison.models, {"conv": 0.9}, WORDS).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        model.name for model in comparison.models
    ]
    spans = [line.get_xdata() for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 2]
    for span, model in zip(spans, comparison.models, strict=True):
        assert tuple(span) == pytest.approx(model.test.accuracy_interval)  # type: ignore[arg-type]
    assert sum(line.get_marker() == "D" for line in axes.lines) == 1


def test_curves_of_several_seeds_are_their_mean_in_a_band() -> None:
    loss = np.array([[1.0, 0.5, 0.4], [2.0, 0.7, 0.2]])
    history = {"loss": loss, "val_loss": loss + 1}
    (axes,) = figures.learning_curve(history, "loss", WORDS).axes
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), [1.5, 0.6, 0.3])
    bands = [band.get_paths()[0].vertices for band in axes.collections]
    assert len(bands) == 2
    for epoch, (low, high) in enumerate(((1.0, 2.0), (0.5, 0.7), (0.2, 0.4)), 1):
        at = np.asarray(bands[0])
        heights = at[at[:, 0] == epoch, 1]
        assert (heights.min(), heights.max()) == (low, high)


def test_the_point_of_the_validation_loss_is_its_lowest(comparison: Comparison) -> None:
    (axes,) = charts.validation_losses(comparison.models, WORDS).axes
    points = [line for line in axes.lines if line.get_marker() == "o"]
    for point, model in zip(points, comparison.models, strict=True):
        assert point.get_xdata() == [model.best_epoch]
        assert point.get_ydata() == [model.curve("val_loss").mean(axis=0).min()]


def misreading(comparison: Comparison, wrong: dict[int, int]) -> Evaluations:
    """Return a model that reads all digits right, but for these."""
    digits = comparison.dataset.test
    read = digits.labels.astype(int)
    for index, answer in wrong.items():
        read[index] = answer
    return Evaluations([Evaluation("model", "small", "test", digits, np.eye(10)[read])])


def test_what_one_reads_and_the_other_misreads_is_drawn(comparison: Comparison) -> None:
    digits = comparison.dataset.test
    wrong = {index: (digits.labels[index] + 1) % 10 for index in (3, 5, 8)}
    a = misreading(comparison, {3: wrong[3], 8: wrong[8]})
    b = misreading(comparison, {5: wrong[5], 8: wrong[8]})
    drawn = charts.disagreements(a, b)
    assert drawn
    for (label, image), index in zip(hung(drawn), (5, 3), strict=True):
        assert label == f"{digits.labels[index]} → {wrong[index]}"
        np.testing.assert_array_equal(image, digits.images[index])
    assert charts.disagreements(a, a) is None


def test_a_perfectly_calibrated_reader_lies_on_the_line(comparison: Comparison) -> None:
    model = comparison.models[0]
    (axes,) = charts.calibration([model], WORDS).axes
    diagonal, curve = axes.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())  # type: ignore[arg-type]
    test = model.first.test
    confidence = test.probabilities.max(axis=1)
    surest = confidence >= 0.9
    if surest.sum() >= charts.LEAST:
        assert np.asarray(curve.get_xdata())[-1] == pytest.approx(confidence[surest].mean())
        assert np.asarray(curve.get_ydata())[-1] == pytest.approx(test.right[surest].mean())


def test_the_accuracy_by_digit_is_the_recall(comparison: Comparison) -> None:
    (axes,) = charts.by_digit(comparison.models, WORDS).axes
    shown = np.asarray(axes.images[0].get_array())
    for row, model in zip(shown, comparison.models, strict=True):
        np.testing.assert_allclose(row, 100 * model.first.test.per_digit()[:, 1])


def test_every_cost_is_drawn_against_the_accuracy(comparison: Comparison) -> None:
    drawn = charts.cost_against_accuracy(comparison.models, comparison.costs, WORDS)
    assert [axes.get_xlabel() for axes in drawn.axes] == [
        *("parameters", "bytes", "s per epoch", "ms per digit")
    ]
    for model in comparison.models:
        (line,) = [each for each in drawn.axes[0].lines if each.get_label() == model.name]
        assert line.get_xdata() == [model.parameters]
        assert line.get_ydata() == [model.test.accuracy]


def test_many_models_have_colours_of_their_own(comparison: Comparison) -> None:
    many = [comparison.models[number % 3] for number in range(12)]
    (axes,) = charts.validation_losses(many, WORDS).axes
    assert len({line.get_color() for line in axes.lines}) == 12
