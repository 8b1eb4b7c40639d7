"""The exercises of the course: how an answer to each is judged.

An exercise knows what is right, and says of a wrong answer where it is wrong: with which values a
function was called, what it gave and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from chiffres.data import load_dataset
from chiffres.lab.convolution import convolve_2d
from chiffres.lab.pooling import max_pool_2d

Array = npt.NDArray[Any]
SHOWN_AT_MOST = 16
"""Numbers of an array that are written out; of a larger one its shape is."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with an answer: a sentence of the catalogue, and its values."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


Judge = Callable[[Any], Problem | None]
UNANSWERED = Problem("course_unanswered")


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        judge: says what is wrong with an answer; None where it holds.
        right: the catalogue's key of what a right answer teaches.
        hint: the key of what helps to find it.
    """

    judge: Judge
    right: str
    hint: str


def value(expected: Callable[[], float], tolerance: float = 0.0) -> Judge:
    """Return what judges a number by the right one."""

    def judge(answer: Any) -> Problem | None:
        if abs(float(answer) - expected()) <= tolerance:
            return None
        return Problem("course_wrong_value", {"given": answer})

    return judge


def function(right: Callable[..., Any], *cases: tuple[Any, ...]) -> Judge:
    """Return what judges a function by what the right one gives, in each case of arguments."""

    def judge(answer: Any) -> Problem | None:
        for arguments in cases:
            given, expected = answer(*arguments), right(*arguments)
            if given is None:
                return UNANSWERED
            if np.shape(given) != np.shape(expected) or not np.allclose(given, expected):
                return _wrong_call(arguments, given, expected)
        return None

    return judge


def _wrong_call(arguments: tuple[Any, ...], given: Any, expected: Any) -> Problem:
    return Problem(
        "course_wrong_call",
        {
            "arguments": ", ".join(written(each) for each in arguments),
            "given": written(given),
            "expected": written(expected),
        },
    )


def written(number: Any) -> str:
    """Write a number or a small array out; of a large array say its shape and its sum."""
    array = np.asarray(number)
    if array.size > SHOWN_AT_MOST:
        return f"array{array.shape}, sum {array.sum():.6g}"
    return str(array.tolist())


def _least_ink() -> int:
    digits = load_dataset("mnist-5k").train
    ink = [digits.images[digits.labels == digit].mean() for digit in range(10)]
    return int(np.argmin(ink))


def horizontal_edges(kernel: Any) -> Problem | None:
    """Judge a kernel that is to answer where ink begins below paper, and not to upright strokes."""
    kernel = np.asarray(kernel, np.float64)
    if kernel.shape != (3, 3):
        return Problem("course_kernel_shape", {"shape": kernel.shape})
    lying = np.zeros((9, 9))
    lying[4:7] = 1
    answers = {"flat": np.ones((9, 9)), "upright": lying.T, "lying": lying}
    flat, upright, strong = (
        float(np.abs(convolve_2d(image, kernel)).max()) for image in answers.values()
    )
    if flat > 1e-6:
        return Problem("course_kernel_flat", {"answer": round(flat, 3)})
    if strong == 0 or upright > strong / 3:
        return Problem(
            "course_kernel_weak", {"lying": round(strong, 3), "upright": round(upright, 3)}
        )
    return None


def dropout(answer: Any) -> Problem | None:
    """Judge ``dropout(values, rate, rng)``: what is dropped, and what becomes of the rest."""
    values = np.full(100_000, 2.0)
    for rate in (0.2, 0.5):
        given = answer(values.copy(), rate, np.random.default_rng(0))
        if given is None:
            return UNANSWERED
        dropped = float((np.asarray(given) == 0).mean())
        if abs(dropped - rate) > 0.01:
            return Problem("course_dropout_share", {"rate": rate, "dropped": round(dropped, 3)})
        kept = float(np.asarray(given)[np.asarray(given) != 0].mean())
        if not math.isclose(kept, 2 / (1 - rate), rel_tol=1e-6):
            return Problem("course_dropout_mean", {"rate": rate, "kept": round(kept, 3)})
    return None


def quantize(answer: Any) -> Problem | None:
    """Judge ``quantize(weights)``: whole numbers of a byte, and the step between two of them."""
    for weights in (np.random.default_rng(1).normal(0, 0.1, 300), np.array([-0.3, 0.0, 0.1])):
        given = answer(weights.copy())
        if given is None:
            return UNANSWERED
        whole, scale = given
        if np.asarray(whole).dtype != np.int8:
            return Problem("course_quantize_dtype", {"dtype": np.asarray(whole).dtype})
        error = float(np.abs(np.asarray(whole, np.float64) * scale - weights).max())
        best = float(np.abs(weights).max()) / 127 / 2
        if error > 1.01 * best:
            return Problem(
                "course_quantize_error", {"error": f"{error:.2g}", "best": f"{best:.2g}"}
            )
    return None


def _steps(digits: int, batch_size: int) -> int:
    return math.ceil(digits / batch_size)


def _parameters(inputs: int, units: int) -> int:
    return (inputs + 1) * units


def _best_epoch(losses: list[float]) -> int:
    return int(np.argmin(losses)) + 1


def _mcnemar(only_a: int, only_b: int) -> float:
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def _holm(p_values: list[float]) -> list[float]:
    return list(map(float, multipletests(p_values, method="holm")[1]))


def _prepare(picture: Array) -> Array:
    return 255 - picture


_RNG = np.random.default_rng(0)
_SMALL = _RNG.integers(0, 9, (4, 4))
_LARGE = _RNG.integers(0, 256, (28, 28))
_PHOTO = _RNG.integers(0, 256, (28, 28), dtype=np.uint8)
_CORNER = np.array([[1, 0], [0, -1]])

EXERCISES = {
    "least_ink": Exercise(value(_least_ink), "course_least_ink_right", "course_least_ink_hint"),
    "steps": Exercise(
        function(_steps, (4000, 128), (256, 128), (55_000, 128), (5, 7)),
        "course_steps_right",
        "course_steps_hint",
    ),
    "parameters": Exercise(
        function(_parameters, (784, 300), (300, 300), (300, 10)),
        "course_parameters_right",
        "course_parameters_hint",
    ),
    "guess_loss": Exercise(
        value(lambda: math.log(10), 0.01), "course_guess_loss_right", "course_guess_loss_hint"
    ),
    "kernel": Exercise(horizontal_edges, "course_kernel_right", "course_kernel_hint"),
    "convolve": Exercise(
        function(convolve_2d, (_SMALL, _CORNER), (_LARGE, _SMALL), (_LARGE[:, :5], _CORNER)),
        "course_convolve_right",
        "course_convolve_hint",
    ),
    "max_pool": Exercise(
        function(max_pool_2d, (_SMALL, 2), (-_SMALL - 1, 2), (_LARGE, 4), (_LARGE[:5, :7], 2)),
        "course_max_pool_right",
        "course_max_pool_hint",
    ),
    "flattened": Exercise(
        value(lambda: 13 * 13 * 32), "course_flattened_right", "course_flattened_hint"
    ),
    "dropout": Exercise(dropout, "course_dropout_right", "course_dropout_hint"),
    "best_epoch": Exercise(
        function(_best_epoch, ([3.0, 2.0, 1.0, 2.0],), ([1.0, 2.0],), ([2.0, 1.5, 1.0],)),
        "course_best_epoch_right",
        "course_best_epoch_hint",
    ),
    "mcnemar": Exercise(
        function(_mcnemar, (15, 5), (5, 15), (8, 7), (40, 2), (0, 0)),
        "course_mcnemar_right",
        "course_mcnemar_hint",
    ),
    "holm": Exercise(
        function(_holm, ([0.01, 0.04, 0.03],), ([0.2],), ([0.6, 0.5, 0.001, 0.02],)),
        "course_holm_right",
        "course_holm_hint",
    ),
    "prepare": Exercise(
        function(_prepare, (_PHOTO[:2, :4],), (_PHOTO,)),
        "course_prepare_right",
        "course_prepare_hint",
    ),
    "quantize": Exercise(quantize, "course_quantize_right", "course_quantize_hint"),
}
"""By the name that the notebooks call them."""
