"""What an answer is told: right ones hold, and each wrong one is told what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chiffres.course import Course
from chiffres.course.exercises import EXERCISES
from chiffres.errors import UnknownNameError
from chiffres.lab.convolution import convolve_2d

Array = npt.NDArray[Any]
FUNCTIONS = set(EXERCISES) - {"least_ink", "guess_loss", "kernel", "flattened"}


def nothing(*arguments: Any) -> None:
    """Stand for a function that a student has not written yet."""


@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_not_answered_is_neither_right_nor_wrong(name: str) -> None:
    verdict = Course("en").check(name, nothing if name in FUNCTIONS else ...)
    assert verdict.holds is None
    assert "Not answered yet." in repr(verdict)
    assert "<details>" in verdict._repr_html_()


def dropped_by_count(values: Array, rate: float, rng: np.random.Generator) -> Array:
    return values * (rng.random(values.shape) >= 0.3) / 0.7


def dropped_unscaled(values: Array, rate: float, rng: np.random.Generator) -> Array:
    return values * (rng.random(values.shape) >= rate)


def pooled_from_zero(image: Array, size: int) -> Array:
    rows, columns = (length // size for length in image.shape)
    kept = image[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return np.asarray(np.maximum(kept.max(axis=(1, 3)), 0))


def halved(weights: Array) -> tuple[Array, float]:
    scale = np.abs(weights).max() / 63
    return np.round(weights / scale).astype(np.int8), scale


WRONG: dict[str, tuple[Any, str]] = {
    "least_ink": (0, "0 is not it"),
    "steps": (
        lambda digits, batch_size: digits // batch_size,
        "4000, 128 it gives 31;",
    ),
    "parameters": (lambda inputs, units: inputs * units, "expected 235500"),
    "guess_loss": (0.1, "0.1 is not it"),
    "kernel": ([[1, 0, -1]] * 3, "an upright one"),
    "convolve": (lambda image, kernel: convolve_2d(image, np.flip(kernel)), "expected"),
    "max_pool": (pooled_from_zero, "expected"),
    "flattened": (21_632, "21632 is not it"),
    "dropout": (dropped_by_count, "At a rate of 0.2, the share 0.299"),
    "best_epoch": (lambda losses: int(np.argmin(losses)), "it gives 2; expected 3"),
    "mcnemar": (lambda only_a, only_b: 1.0, "15, 5 it gives 1.0"),
    "holm": (lambda p_values: [len(p_values) * p for p in p_values], "expected"),
    "prepare": (lambda picture: picture, "expected"),
    "quantize": (halved, "can be had"),
}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_wrong_answer_is_told_where_it_is_wrong(name: str) -> None:
    answer, said = WRONG[name]
    verdict = Course("en").check(name, answer)
    assert verdict.holds is False
    assert said in repr(verdict)


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("kernel", np.ones((3, 3)), "On an area of even ink it answers 9.0"),
        ("kernel", np.ones(3), "has the shape (3,); expected (3, 3)"),
        ("kernel", np.zeros((3, 3)), "A lying stroke gives at most 0.0"),
        ("dropout", dropped_unscaled, "a 2 that is kept became 2.0"),
        ("quantize", lambda weights: (np.round(weights), 1.0), "are float64; expected int8"),
        ("max_pool", lambda image, size: image, "it gives [["),
        ("steps", lambda digits: digits, "raised an error: TypeError"),
    ],
)
def test_other_ways_to_be_wrong(name: str, answer: Callable[..., Any], said: str) -> None:
    verdict = Course("en").check(name, answer)
    assert verdict.holds is False
    assert said in repr(verdict)


def test_what_a_student_computed_is_escaped() -> None:
    verdict = Course("en").check("steps", lambda digits, batch_size: 1 / 0)
    assert "ZeroDivisionError" in repr(verdict)
    told = Course("fr").check("flattened", "<b>")
    assert told.holds is False
    assert "<b>'" not in told._repr_html_()


def test_an_exercise_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match="unknown exercise 'step'"):
        Course("en").check("step", 1)
