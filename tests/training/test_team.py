"""Workers on parts of each batch: the weights are those of one worker on the whole of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Torch is not installed")

import torch

from chiffres.data import Digits
from chiffres.models import build_model, in_input_shape
from chiffres.models.backend import BACKEND, keras
from chiffres.native.step import Step
from chiffres.native.team import Team

if BACKEND != "torch":
    pytest.skip("workers are of Torch's backend", allow_module_level=True)
STEPS = 20


class Threads:
    """Teams whose workers are threads of this process, and their sums in memory."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)
        self.values: list[Any] = [None] * size

    def team(self, rank: int) -> Team:
        team = Team(rank, len(self.values))

        def total(values: torch.Tensor) -> torch.Tensor:
            if not team.divides:
                return values
            self.values[rank] = values
            self.barrier.wait(60)
            summed = torch.stack(self.values).sum(0)
            self.barrier.wait(60)
            return values.copy_(summed)

        team.sum = total  # type: ignore[method-assign]
        return team


def step_of(name: str, rate: float, team: Team, wide: bool = False) -> Step:
    """Return the training step of a new model, the same each time; ``wide``: of float64."""
    keras.utils.set_random_seed(1)
    model = build_model(name, "unit")
    adam = keras.optimizers.Adam(rate)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
    adam.build(model.trainable_variables)
    model.test_on_batch(np.zeros((1, *model.input_shape[1:])), np.zeros(1))  # builds the metrics
    model.reset_metrics()
    step = Step(model, True, team=team)
    if wide:
        for variable in (*model.variables, *adam.variables):
            if variable.value.is_floating_point():
                variable.value.data = variable.value.data.double()
        step.operations.insert(0, torch.Tensor.double)
    return step


def learn(step: Step, digits: Digits) -> dict[str, float]:
    """Train for 20 steps of 31 digits, but for the last one, of a single digit."""
    images = torch.tensor(in_input_shape(digits.images, step.model))
    labels = torch.tensor(digits.labels.astype(np.int64))
    for number in range(STEPS):
        rows = slice(number, number + 1) if number == STEPS - 1 else slice(number, number + 31)
        logs = step.train([(images[rows], labels[rows])])
    return logs


def learn_together(steps: Sequence[Step], digits: Digits) -> list[dict[str, float]]:
    with ThreadPoolExecutor(len(steps)) as pool:
        return [job.result(120) for job in [pool.submit(learn, step, digits) for step in steps]]


def largest_difference(one: Step, other: Step) -> float:
    pairs = zip(one.model.variables, other.model.variables, strict=True)
    return max(float((mine.value - theirs.value).detach().abs().max()) for mine, theirs in pairs)
