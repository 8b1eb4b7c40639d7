"""Digits that touch: a network reads along a strip of them, and they are cut apart between.

A cut follows the path from top to bottom through the least ink, between the middles of two digits
(R. Casey and E. Lecolinet, A survey of methods and strategies in character segmentation, IEEE
Transactions on Pattern Analysis and Machine Intelligence 18 (7), 1996).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from chiffres.data.strips import MARGIN, STEP, TALL, answers_for, as_strip, stacked
from chiffres.data.strokes import Floats, Pixels
from chiffres.reading.cuts import cut_between

ReadStrips = Callable[[Pixels], Floats]
"""``(n, 28, width)`` uint8 to ``(n, 11, width / 2)`` float32; see ``models.strings``."""

AT_ONCE = 8
"""Strips that go through the network at once, of about the same width."""


class Middle(NamedTuple):
    """What is read where a digit has its middle.

    Attributes:
        start: the first column of the strip where it has.
        stop: one past the last.
        probabilities: ``(10,)`` float32, of each digit; what is missing to 1 is that there is none,
            or that it is one with its neighbour.
    """

    start: int
    stop: int
    probabilities: Floats

    @property
    def confidence(self) -> float:
        """The probability of the likeliest digit."""
        return float(self.probabilities.max())


def read_strips(crops: Sequence[Pixels], network: ReadStrips) -> list[list[Middle]]:
    """Return the middles of the digits in each piece of an ink map, from left to right."""
    strips = [as_strip(crop) for crop in crops]
    order = sorted(range(len(strips)), key=lambda index: strips[index].shape[1])
    found: list[list[Middle]] = [[] for _ in strips]
    for start in range(0, len(order), AT_ONCE):
        chosen = order[start : start + AT_ONCE]
        answers = network(stacked([strips[index] for index in chosen]))
        for index, each in zip(chosen, answers, strict=True):
            found[index] = middles(each[:, : answers_for(strips[index])])
    return found


def middles(answers: Floats) -> list[Middle]:
    """Return the middles in what a network answers along one strip.

    Args:
        answers: ``(11, columns)``: the probability that no digit has its middle there, then of
            each.
    """
    none = answers[0]
    inside = np.concatenate([[False], none < 0.5, [False]])
    edges = np.flatnonzero(np.diff(inside.astype(np.int8)))
    spans = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    gaps = [float(none[stop:start].max()) for (_, stop), (start, _) in itertools.pairwise(spans)]
    parted = itertools.pairwise([1.0, *gaps, 1.0])
    return [
        _middle(answers[:, start:stop], start, min(around))
        for (start, stop), around in zip(spans, parted, strict=False)  # one too many without spans
    ]


def _middle(answers: Floats, start: int, parted: float) -> Middle:
    """Return the one digit in ``answers`` from ``start`` on, so surely parted from the next."""
    digits = answers[1:].sum(axis=1)
    there = 1 - float(answers[0].min())
    share = (digits / digits.sum() * there * parted).astype(np.float32)
    return Middle(STEP * start, STEP * (start + answers.shape[1]), share)


def seams(crop: Pixels, found: Sequence[Middle]) -> list[npt.NDArray[np.int32]]:
    """Return where a piece of several digits is cut: the first column right of each cut, by row.

    Args:
        crop: the piece alone, with a pixel around it, as ``Sheet.crop`` returns it.
        found: the middles of its digits.
    """
    size = (crop.shape[0] - 2) / TALL
    between = [
        ((left.stop - MARGIN) * size + 1, (right.start - MARGIN) * size + 1)
        for left, right in itertools.pairwise(found)
    ]
    cuts = cut_between(crop, between)
    return list(itertools.accumulate(cuts, np.maximum))
