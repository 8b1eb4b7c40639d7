"""The figures show what they are given, and nothing is left open."""

from pathlib import Path

import numpy as np
from PIL import Image

from chiffres.data import Dataset
from chiffres.evaluation.compare import Comparison
from chiffres.report import figures
from chiffres.report.words import Words
from tests.report.hung import hung


def test_the_grid_shows_the_first_nine_digits_with_their_labels(small: Dataset) -> None:
    digits = small.development
    drawn = hung(figures.digit_grid(digits.images, digits.labels))
    assert [label for label, _ in drawn] == [str(label) for label in digits.labels[:9]]
    np.testing.assert_array_equal([image for _, image in drawn], digits.images[:9])


def test_the_learning_curve_has_a_point_for_each_epoch(comparison: Comparison) -> None:
    history = comparison.models[0].first.history
    (axes,) = figures.learning_curve(history, "loss", Words("fr")).axes
    train, validation = axes.lines
    assert list(train.get_ydata()) == history["loss"]  # type: ignore[arg-type]
    assert list(validation.get_ydata()) == history["val_loss"]  # type: ignore[arg-type]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [  # type: ignore[union-attr]
        "entraînement",
        "validation",
    ]


def test_the_gallery_shows_written_and_read_with_the_confidence(comparison: Comparison) -> None:
    test = comparison.models[0].first.test
    label, image = hung(figures.mistakes(test, Words("en")))[0]
    index = test.misread()[0]
    written, read = test.digits.labels[index], test.predicted[index]
    assert label == f"{written} → {read}\n{test.probabilities[index].max():.0%}"
    np.testing.assert_array_equal(image, test.digits.images[index])


def test_the_bars_of_the_class_counts_add_up(small: Dataset) -> None:
    (axes,) = figures.class_counts(small, Words("en")).axes
    heights = sum(patch.get_height() for patch in axes.patches)  # type: ignore[attr-defined]
    assert heights == 600


def test_a_figure_is_written_as_png(comparison: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "new" / "confusion.png"
    figures.save(figures.confusion(comparison.models[0].first.test, Words("fr")), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 500


def test_the_same_figure_gives_the_same_bytes(comparison: Comparison) -> None:
    first, second = (
        figures.data_uri(figures.confusion(comparison.models[0].first.test, Words("fr")))
        for _ in range(2)
    )
    assert first == second
