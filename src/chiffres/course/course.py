"""The course in one language: its exercises judged, its figures and animations shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.figure import Figure

from chiffres.course.animation import sliding_window
from chiffres.course.exercises import EXERCISES, UNANSWERED, Problem
from chiffres.errors import UnknownNameError
from chiffres.lab.convolution import convolve_2d
from chiffres.lab.pooling import average_pool_2d, max_pool_2d
from chiffres.report.figures import data_uri
from chiffres.report.words import Words, plain, user_language

POOLING = {"max": max_pool_2d, "average": average_pool_2d}
COLOURS = {True: "#2e8b57", False: "#d9730d", None: "#8a8f98"}


@dataclass(frozen=True)
class Shown:
    """HTML that a notebook shows where it is the last value of a cell."""

    html: Markup

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return plain(self.html)


@dataclass(frozen=True, repr=False)
class Verdict(Shown):
    """Whether an answer holds; None: there is none yet."""

    holds: bool | None


class Course:
    """What the notebooks call, in one language."""

    def __init__(self, language: str = "") -> None:
        """Raise UnknownNameError where there is no catalogue for ``language``."""
        self.words = Words(language or user_language())

    def check(self, name: str, answer: Any) -> Verdict:
        """Judge the answer to an exercise; what the answer raises is told, not raised.

        Args:
            name: of the exercise.
            answer: a value or a function, as the exercise asks; ``...``: there is none yet.

        Raises:
            UnknownNameError: there is no such exercise.
        """
        if name not in EXERCISES:
            raise UnknownNameError("exercise", name, EXERCISES)
        exercise = EXERCISES[name]
        try:
            problem = UNANSWERED if answer is ... else exercise.judge(answer)
        except Exception as error:  # whatever a student's function does
            problem = Problem("course_raises", {"error": f"{type(error).__name__}: {error}"})
        if problem is None:
            return self._verdict(True, self.words("course_right"), self.words(exercise.right))
        said = self.words(problem.key, **problem.values)
        hint = Markup("<details><summary>{}</summary>\n{}</details>").format(
            self.words("course_hint"), self.words(exercise.hint)
        )
        return self._verdict(None if problem is UNANSWERED else False, said, hint)

    def _verdict(self, holds: bool | None, said: Markup, more: Markup) -> Verdict:
        style = f"border-left: 4px solid {COLOURS[holds]}; padding: .3em .8em"
        box = Markup('<div style="{}"><b>{}</b>\n{}</div>').format(style, said, more)
        return Verdict(box, holds)

    def show(self, figure: Figure) -> Shown:
        """Show a figure of the report."""
        return Shown(Markup('<img src="{}" alt="">').format(data_uri(figure)))

    def convolution(self, image: npt.NDArray[np.uint8], kernel: npt.ArrayLike) -> Shown:
        """Let a kernel slide over a digit.

        Args:
            image: ``(28, 28)`` uint8.
            kernel: ``(k, k)`` numbers, ``k`` from 1 to 28; up to 3 all its products fit the frame.
        """
        ink, weights = image / 255, np.asarray(kernel, np.float64)
        result = convolve_2d(ink, weights)
        return Shown(sliding_window(ink, result, self.words, kernel=weights))

    def pooling(
        self, image: npt.NDArray[Any], kind: Literal["max", "average"] = "max", size: int = 2
    ) -> Shown:
        """Let a pooling window go over an image.

        Args:
            image: ``(height, width)`` numbers, 0 to 255 where they are uint8.
            kind: what a window becomes: ``"max"``, its largest number; ``"average"``, their mean.
            size: of the window.
        """
        ink = image / 255 if image.dtype == np.uint8 else image
        result = POOLING[kind](ink, size)
        return Shown(sliding_window(ink, result, self.words, size=size, kind=kind))
