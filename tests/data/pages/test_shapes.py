"""A digit as ink: smooth when enlarged, and written with any pen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiffres.data import Dataset
from chiffres.data.pages.forms import FORMS, pen_drawn
from chiffres.data.pages.shapes import (
    DETAIL,
    FIELD,
    MARGIN,
    Shape,
    from_image,
    from_ink,
    of_digits,
)
from chiffres.data.pen import written_strokes


def bar(width: int) -> Shape:
    ink = np.zeros((FIELD, FIELD), bool)
    ink[60:-60, 140 : 140 + width] = True
    return from_ink(ink, 1)


@given(st.integers(8, 40), st.floats(5, 60))
@settings(max_examples=25)
def test_a_stroke_becomes_as_wide_as_the_pen(had: int, wanted: float) -> None:
    drawn = np.clip(bar(had).drawn(wanted) + 0.5, 0, 1)
    assert drawn[FIELD // 2].sum() == pytest.approx(wanted, abs=2.1)


def test_reduced_again_it_is_the_digit_it_was(mnist_5k: Dataset) -> None:
    digits = mnist_5k.development
    for image, label in zip(digits.images[:40], digits.labels[:40], strict=True):
        shape = from_image(image, int(label))
        ink = np.clip(shape.edge + 0.5, 0, 1)[MARGIN * DETAIL : -MARGIN * DETAIL][
            :, MARGIN * DETAIL : -MARGIN * DETAIL
        ]
        again = cv2.resize(ink, (28, 28), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(again.ravel(), image.ravel())[0, 1] > 0.9
        assert ink.sum() == pytest.approx(image.sum() / 255 * DETAIL**2, rel=0.15)


def test_a_wide_pen_closes_no_loop(mnist_5k: Dataset) -> None:
    rng = np.random.default_rng(0)
    source = of_digits(mnist_5k.development)
    for _ in range(20):
        shape = source(rng)
        loops = [
            cv2.connectedComponents((field <= 0).astype(np.uint8), connectivity=4)[0]
            for field in (shape.edge, shape.drawn(5 * DETAIL))
        ]
        assert loops[0] == loops[1]


def test_every_digit_has_its_forms_on_the_grid() -> None:
    assert {name[0] for name in FORMS} == set("0123456789")
    for text in FORMS.values():
        for _, points in written_strokes(text):
            assert points.shape[1:] == (2,)
            assert 0 <= points.min() <= points.max() <= 8


def test_a_drawn_digit_says_its_form() -> None:
    shape = pen_drawn(np.random.default_rng(3))
    assert shape.form.startswith(str(shape.value))
    assert (shape.edge > 0).any()
