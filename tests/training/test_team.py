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
from hypothesis import given
from hypothesis import strategies as st

from chiffres.data import Dataset, Digits
from chiffres.errors import UsageError
from chiffres.models import build_model, in_input_shape
from chiffres.models.backend import BACKEND, keras
from chiffres.native import accelerate, kernels
from chiffres.native.joint import normalize_together
from chiffres.native.lowering import lower
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


def without_dropout(model: keras.Sequential) -> list[Any]:
    """Return the layers that are to be lowered; Keras's dropout is not for several threads."""
    return [layer for layer in model.layers if type(layer) is not keras.layers.Dropout]


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


def assert_as_one(name: str, rate: float, size: int, digits: Digits, wide: bool = False) -> None:
    alone = step_of(name, rate, Team(), wide)
    wanted = learn(alone, digits)
    threads = Threads(size)
    steps = [step_of(name, rate, threads.team(rank), wide) for rank in range(size)]
    for measured in learn_together(steps, digits):
        assert measured == pytest.approx(wanted, rel=1e-5)
    for step in steps:
        assert largest_difference(step, alone) < 1e-5
        assert largest_difference(step, steps[0]) == 0


@pytest.mark.parametrize(
    ("name", "size"),
    [("dense", 2), ("conv", 2), ("conv-pool", 2), ("conv-dropout", 2), ("conv-dropout", 3)],
)
def test_after_20_steps_the_weights_are_those_of_one_worker(
    name: str, size: int, small: Dataset
) -> None:
    assert_as_one(name, 1e-4, size, small.train)


# In float32 no two orders of the same sums end within 1e-5 here: one worker's first gradient of
# reader is 0.7 % off that in float64 (two workers': 0.6 %), and Adam makes steps as large as the
# recipe's rate of however small a gradient.
@pytest.mark.parametrize(("name", "rate"), [("swift", 2e-2), ("reader", 3e-3)])
def test_a_batch_is_normalized_as_a_whole(
    name: str, rate: float, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "LIBRARY", None)  # they compute in float32
    monkeypatch.setattr("chiffres.native.lowering.flatten", without_dropout)
    assert_as_one(name, rate, 2, small.train, wide=True)


def first_gradient(step: Step, digits: Digits) -> torch.Tensor:
    found: list[torch.Tensor] = []
    step.update = lambda gradients: found.extend(each.reshape(-1) for each in gradients)
    images = torch.tensor(in_input_shape(digits.images, step.model))
    step.train([(images, torch.tensor(digits.labels.astype(np.int64)))])
    return torch.cat(found)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_two_workers_are_no_less_exact_than_one(
    bfloat16: bool, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "LIBRARY", None)
    monkeypatch.setattr("chiffres.native.lowering.flatten", without_dropout)
    digits, threads = small.train.take(np.arange(64)), Threads(2)
    exact = first_gradient(step_of("reader", 3e-3, Team(), wide=True), digits)
    steps = [step_of("reader", 3e-3, team) for team in (Team(), threads.team(0), threads.team(1))]
    for step in steps:
        step.bfloat16 = bfloat16
    with ThreadPoolExecutor(2) as pool:
        two, _ = pool.map(first_gradient, steps[1:], [digits] * 2)
    one = first_gradient(steps[0], digits)
    far = [float((each - exact).norm() / exact.norm()) for each in (one, two)]
    assert far[1] < 1.5 * far[0]
    assert far[1] < (0.15 if bfloat16 else 0.03)


@pytest.mark.parametrize("turned_off", [False, True])
def test_each_worker_drops_what_one_would_drop_in_its_rows(
    turned_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if turned_off:
        monkeypatch.setattr(kernels, "LIBRARY", None)
    values, parts = torch.rand((11, 7)) + 1, []
    for team in (Team(), Team(0, 2), Team(1, 2)):
        model = keras.Sequential([keras.Input((7,)), keras.layers.Dropout(0.4, seed=3)])
        (dropout,) = lower(model, True, team)
        parts.append([dropout(values[team.take(11)]) for _ in range(2)])
    for whole, *rows in zip(*parts, strict=True):
        torch.testing.assert_close(torch.cat(rows), whole)


def test_the_whole_batch_is_measured_far_from_zero_too() -> None:
    """Values of 1,000 ± 0.1, of which a sum of squares in float32 says nothing."""
    values = 1000 + torch.randn((12, 3, 5, 5), generator=torch.Generator().manual_seed(1)) / 10
    threads = Threads(2)

    def normalized(rank: int) -> tuple[torch.Tensor, ...]:
        team = threads.team(rank)
        return normalize_together(values[team.take(12)], None, None, 1e-3, team)

    with ThreadPoolExecutor(2) as pool:
        (first, mean, variance), (second, *_) = pool.map(normalized, range(2))
    wanted = torch.nn.functional.batch_norm(values.double(), None, None, training=True, eps=1e-3)
    torch.testing.assert_close(mean.double(), values.double().mean((0, 2, 3)))
    spread = values.double().var((0, 2, 3), correction=0)
    torch.testing.assert_close(variance.double(), spread, rtol=1e-2, atol=0)
    torch.testing.assert_close(torch.cat([first, second]).double(), wanted, rtol=1e-2, atol=1e-2)


@given(n=st.integers(1, 300), size=st.integers(1, 9))
def test_the_workers_have_each_row_once_and_as_many_but_for_one(n: int, size: int) -> None:
    teams = [Team(rank, size) for rank in range(size)]
    slices = [team.take(n) for team in teams]
    if n < size:  # all of them have all of it
        assert slices == [slice(0, n)] * size
        assert not any(team.divides for team in teams)
        return
    assert [row for rows in slices for row in range(n)[rows]] == list(range(n))
    lengths = {rows.stop - rows.start for rows in slices}
    assert max(lengths) - min(lengths) <= 1
    assert sum(team.share for team in teams) == pytest.approx(1)


def test_what_plain_keras_trains_is_refused(small: Dataset) -> None:
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(10, activation="softmax", kernel_regularizer="l2"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    accelerate(model, team=Team(0, 2))
    with pytest.raises(UsageError, match=r"plain Keras: .* has a regularizer; train it with one"):
        model.fit(small.train.images, small.train.labels, verbose=0)
