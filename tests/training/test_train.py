"""Training: the same twice, and safe to interrupt at any moment."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chiffres.data import Dataset, Digits, load_dataset
from chiffres.errors import (
    ModelFileError,
    RunError,
    TrainingError,
    UnknownNameError,
    UsageError,
)
from chiffres.models import as_input, build_model
from chiffres.models.backend import keras
from chiffres.models.files import load_model
from chiffres.training.batches import Batches
from chiffres.training.callbacks import Randomness
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

EVERYTHING: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "schedule": "one-cycle",
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "augment": "reader",
    "negatives": 0.25,
    "batch_size": 50,
}
"""What the lab does without: 500 examples, 10 steps an epoch."""
FILES = {"recipe.toml", "history.csv", "model.keras", "metrics.json", "environment.json"}


def recipe(name: str = "dense", **settings: object) -> Recipe:
    own = {"epochs": 3, "scale": "unit", "learning_rate": 0.001} | settings
    return load_recipe(name, [f"{key}={value}" for key, value in own.items()])


def history_bytes(run: Run) -> bytes:
    return (run.folder / "history.csv").read_bytes()


def weights(run: Run) -> list[np.ndarray]:
    return list(load_model(run.folder).get_weights())


def assert_same(run: Run, other: Run) -> None:
    assert history_bytes(run) == history_bytes(other)
    for mine, theirs in zip(weights(run), weights(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def interrupted(small: Dataset, folder: Path, after: int, of: Recipe) -> Run:
    """Leave the run of ``of`` as an interruption after some epochs leaves it."""
    run = train(of.model_copy(update={"epochs": after}), folder, dataset=small)
    (folder / "recipe.toml").write_text(
        run.recipe().model_copy(update={"epochs": of.epochs}).toml()
    )
    assert not run.finished
    return run


def rates(optimizer: keras.optimizers.Optimizer, steps: int) -> np.ndarray:
    """Return the learning rate of each step, and what it comes to after the last."""
    found = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
    return np.array(found)


@pytest.fixture(scope="module")
def dropout_run(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "conv-dropout"
    return train(recipe("conv-dropout"), folder, dataset=small)


# The same twice


def test_the_same_seed_gives_the_same_history(
    dropout_run: Run, small: Dataset, tmp_path: Path
) -> None:
    assert_same(train(recipe("conv-dropout"), tmp_path / "again", dataset=small), dropout_run)


def test_what_was_drawn_before_does_not_matter(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(123)
    keras.random.normal((10,))
    np.random.default_rng().random()
    assert_same(train(recipe(), tmp_path / "again", dataset=small), dense_run)


def test_another_seed_gives_another_history(dense_run: Run, small: Dataset, tmp_path: Path) -> None:
    other = train(recipe(seed=9001), tmp_path / "other", dataset=small)
    assert history_bytes(other) != history_bytes(dense_run)


def test_training_learns(dense_run: Run) -> None:
    history = dense_run.history()
    assert history["loss"] == sorted(history["loss"], reverse=True)
    assert history["val_accuracy"][-1] > 0.6  # of 100 digits, after 400; by chance 0.1


def test_the_history_is_what_the_model_answers(dropout_run: Run, small: Dataset) -> None:
    model = load_model(dropout_run.folder, compile=True)
    digits = small.validation
    measured = model.evaluate(
        as_input(digits.images, model), digits.labels.astype(int), verbose=0, return_dict=True
    )
    history = dropout_run.history()
    assert history["val_accuracy"][-1] == pytest.approx(measured["accuracy"])
    assert history["val_loss"][-1] == pytest.approx(measured["loss"], rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd"])
def test_every_optimizer_trains_at_the_rate_asked_for(
    small: Dataset, tmp_path: Path, optimizer: str
) -> None:
    asked = recipe(optimizer=optimizer, learning_rate=0.01, epochs=1)
    run = train(asked, tmp_path / "run", dataset=small)
    found = load_model(run.folder, compile=True).optimizer
    assert type(found).__name__.lower() == optimizer
    assert float(found.learning_rate) == pytest.approx(0.01)
    assert int(found.iterations) == 4


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_weights_do_not_decay_and_steps_have_no_momentum_unless_asked_for(
    small: Dataset, tmp_path: Path, optimizer: str
) -> None:
    run = train(recipe(optimizer=optimizer, epochs=1), tmp_path / "run", dataset=small)
    found = load_model(run.folder, compile=True).optimizer
    assert not found.weight_decay
    assert not getattr(found, "momentum", 0)


@pytest.mark.parametrize(
    "asked",
    [
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
        {"optimizer": "adamw", "weight_decay": 0.05},
    ],
)
def test_momentum_and_weight_decay_reach_the_optimizer(
    small: Dataset, tmp_path: Path, asked: dict[str, Any]
) -> None:
    run = train(recipe(epochs=1, **asked), tmp_path / "run", dataset=small)
    found = load_model(run.folder, compile=True).optimizer
    assert type(found).__name__.lower() == asked["optimizer"]
    assert found.weight_decay == asked["weight_decay"]
    assert getattr(found, "momentum", None) == asked.get("momentum")


def test_a_cycle_goes_up_and_comes_down_to_nothing(small: Dataset, tmp_path: Path) -> None:
    asked = recipe(schedule="one-cycle", learning_rate=0.01, warmup=0.25, batch_size=20, epochs=2)
    found = load_model(train(asked, tmp_path / "run", dataset=small).folder, compile=True).optimizer
    assert int(found.iterations) == 40
    assert float(found.learning_rate) == pytest.approx(0, abs=1e-9)
    rate = rates(found, 40)
    assert rate[0] == pytest.approx(0.01 / 25)
    assert rate.argmax() == 10
    assert rate[10] == pytest.approx(0.01)
    np.testing.assert_allclose(np.diff(rate[:11]), 0.01 * 0.96 / 10, rtol=1e-4)
    assert (np.diff(rate[10:]) < 0).all()
    assert rate[25] == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("warmup", "batch_size", "first", "highest"),
    [
        (0, 100, 1, 0),
        (0.05, 100, 1, 0),  # a fifth of a step
        (0.5, 400, 1, 0),  # a single step: half of it is none
        (0.5, 100, 1 / 25, 2),
        (0.99, 100, 1 / 25, 3),  # one step comes down
        (0.99, 400, 1, 0),
    ],
)
def test_a_cycle_of_few_steps(
    small: Dataset, tmp_path: Path, warmup: float, batch_size: int, first: float, highest: int
) -> None:
    asked = recipe(
        schedule="one-cycle", learning_rate=0.01, warmup=warmup, batch_size=batch_size, epochs=1
    )
    run = train(asked, tmp_path / "run", dataset=small)
    assert all(np.isfinite(value).all() for value in weights(run))
    steps = 400 // batch_size
    rate = rates(load_model(run.folder, compile=True).optimizer, steps)
    assert rate[0] == pytest.approx(first * 0.01)
    assert rate.argmax() == highest
    assert rate[highest] == pytest.approx(0.01)
    assert rate[steps] == pytest.approx(0, abs=1e-9)


def test_the_accuracy_is_over_digits_alone(small: Dataset, tmp_path: Path) -> None:
    """At a rate so small, the model that was trained is the one that is saved."""
    asked = recipe(negatives=1, learning_rate=1e-9, epochs=1, optimizer="sgd")
    run = train(asked, tmp_path / "run", dataset=small)
    model, digits = load_model(run.folder, compile=True), small.train
    measured = model.evaluate(
        as_input(digits.images, model), digits.labels.astype(int), verbose=0, return_dict=True
    )
    assert run.history()["accuracy"] == [pytest.approx(measured["accuracy"])]


def test_the_accuracy_is_at_most_1(small: Dataset, tmp_path: Path) -> None:
    """Rounded to float32, 300 of 315 are a little more than 300/315."""
    one = Digits(np.repeat(small.train.images[:1], 400, axis=0), np.full(400, 5))
    same = Dataset("same", "here", one, np.arange(300), np.arange(300, 400), one)
    run = train(recipe(negatives=0.05, learning_rate=0.01), tmp_path / "run", dataset=same)
    assert run.history()["accuracy"][-1] == 1


def test_progress_and_history_say_the_same_accuracy(
    small: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(recipe(negatives=1, epochs=1), tmp_path / "run", dataset=small)
    (accuracy,) = run.history()["accuracy"]
    assert f"loss {run.history()['loss'][0]:.4f} accuracy {accuracy:.4f}" in capsys.readouterr().err


@pytest.mark.backend
def test_training_with_everything_learns_and_is_the_same_twice(
    small: Dataset, tmp_path: Path
) -> None:
    asked = recipe("conv-pool", **EVERYTHING)
    run = train(asked, tmp_path / "run", dataset=small)
    history = run.history()
    assert history["loss"] == sorted(history["loss"], reverse=True)
    assert history["loss"][-1] < np.log(10)
    assert history["accuracy"][-1] > 0.3  # by chance 0.1
    assert history["val_accuracy"][-1] > 0.5
    assert all(0 <= accuracy <= 1 for accuracy in history["accuracy"])
    optimizer = load_model(run.folder, compile=True).optimizer
    assert int(optimizer.iterations) == 30
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
    keras.utils.clear_session()
    again = train(asked, tmp_path / "again", dataset=small)
    assert history_bytes(again) == history_bytes(run)


def test_validation_is_neither_augmented_nor_smoothed(small: Dataset, tmp_path: Path) -> None:
    run = train(recipe(**(EVERYTHING | {"epochs": 1})), tmp_path / "run", dataset=small)
    model, digits = load_model(run.folder, compile=True), small.validation
    measured = model.evaluate(
        as_input(digits.images, model), digits.labels.astype(int), verbose=0, return_dict=True
    )
    assert run.history()["val_loss"][-1] == pytest.approx(measured["loss"], rel=1e-4)
    assert run.history()["val_accuracy"][-1] == pytest.approx(measured["accuracy"])


@pytest.mark.parametrize(
    "key", ["schedule", "weight_decay", "label_smoothing", "augment", "negatives"]
)
def test_everything_has_an_effect(small: Dataset, tmp_path: Path, key: str) -> None:
    usual = Recipe(model="dense").model_dump()
    settings = EVERYTHING | {"epochs": 1}
    histories = [
        history_bytes(train(recipe(**given), tmp_path / str(index), dataset=small))
        for index, given in enumerate([settings, settings | {key: usual[key]}])
    ]
    assert histories[0] != histories[1]


def test_the_dataset_is_loaded_by_its_name(tmp_path: Path) -> None:
    run = train(recipe(data="digits", epochs=1, batch_size=512), tmp_path / "run")
    assert run.recipe().data == run.environment()["dataset"]["name"] == "digits"
    assert run.environment()["dataset"]["train"] == 1437


def test_each_epoch_has_an_order_of_its_own(small: Dataset) -> None:
    """It is drawn from the seed and the epoch's number, whatever came before."""
    model = build_model("conv-dropout")
    batches = Batches(small.train, model, 128)

    def orders(seed: int, *epochs: int, distinct: int = 0) -> list[list[int]]:
        randomness, found = Randomness(seed, batches, distinct), []
        randomness.set_model(model)
        for epoch in epochs:
            randomness.on_epoch_begin(epoch)
            found.append(batches.order.tolist())
        return found

    first = orders(9000, 0, 1, 2)
    assert all(sorted(order) == list(range(400)) for order in first)
    assert list(range(400)) not in first
    assert len({tuple(order) for order in [*first, *orders(9001, 0, 1, 2)]}) == 6
    assert orders(9000, 2, 0) == [first[2], first[0]]
    assert orders(9000, 0, 1, 2, 3, 4, distinct=2) == [first[n] for n in (0, 1, 0, 1, 0)]


def test_each_epoch_has_dropouts_of_its_own(small: Dataset) -> None:
    model = build_model("conv-dropout")
    randomness = Randomness(9000, Batches(small.train, model, 128))
    randomness.set_model(model)
    dropout = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout))

    def kept(epoch: int) -> bytes:
        randomness.on_epoch_begin(epoch)
        dropped = dropout(np.ones((1, 13, 13, 32), np.float32), training=True)
        return np.asarray(keras.ops.convert_to_numpy(dropped)).tobytes()

    assert kept(0) == kept(0)
    assert len({kept(epoch) for epoch in range(5)}) == 5


# Refusals


def test_an_unknown_model_leaves_nothing(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'densse'"):
        train(recipe(model="densse"), tmp_path / "run", dataset=small)
    assert not Run(tmp_path / "run").exists


def test_an_unknown_augmentation_leaves_nothing(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown augmentation 'readr' \(did you mean 'read"
    ):
        train(recipe(augment="readr"), tmp_path / "run", dataset=small)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_not_overwritten(dense_run: Run, small: Dataset) -> None:
    before = history_bytes(dense_run)
    with pytest.raises(UsageError, match=r"holds a run already; resume it \(--resume\) or choose"):
        train(recipe(seed=1), dense_run.folder, dataset=small)
    assert history_bytes(dense_run) == before


def test_a_file_is_no_run_folder(small: Dataset, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    for resume in (False, True):
        with pytest.raises(UsageError, match=r"run: "):
            train(recipe(), tmp_path / "run", dataset=small, resume=resume)
    assert (tmp_path / "run").read_text() == "mine"


def test_a_loss_that_is_no_number_is_an_error(small: Dataset, tmp_path: Path) -> None:
    wild = recipe(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"the loss is .* try a learning rate below 1e\+30"):
        train(wild, tmp_path / "run", dataset=small)
    assert not Run(tmp_path / "run").finished
    assert not (tmp_path / "run" / "model.keras").exists()


# Resuming


def test_a_training_begins_with_the_weights_of_another(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    still = recipe(learning_rate=1e-12, epochs=1, start=f'"{dense_run.folder}"')
    run = train(still, tmp_path / "tuned", dataset=small)
    for mine, theirs in zip(weights(run), weights(dense_run), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-7)
    content = (dense_run.folder / "model.keras").read_bytes()
    assert run.environment()["start_sha256"] == hashlib.sha256(content).hexdigest()
    assert "start_sha256" not in dense_run.environment()


def test_a_training_that_began_with_other_weights_resumes_without_them(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    copy = shutil.copytree(dense_run.folder, tmp_path / "first")
    tuning = recipe(start=f'"{copy}"')
    whole = train(tuning, tmp_path / "whole", dataset=small)
    half = interrupted(small, tmp_path / "half", 1, tuning)
    shutil.rmtree(copy)
    assert_same(train(tuning, half.folder, dataset=small, resume=True), whole)


def test_weights_of_another_shape_are_refused_before_anything_is_written(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"its layers are not those of .*expected \[\(3, 3, 1, 32"):
        train(recipe("conv", start=f'"{dense_run.folder}"'), tmp_path / "run", dataset=small)
    with pytest.raises(UsageError, match="nowhere: no such run folder or model file"):
        train(recipe(start="nowhere"), tmp_path / "run", dataset=small)
    assert not (tmp_path / "run").exists()


def test_nothing_to_resume(small: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume"):
        train(recipe(), tmp_path / "run", dataset=small, resume=True)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_left_as_it_is(
    dense_run: Run, small: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in dense_run.folder.iterdir()
    }
    assert train(recipe(), dense_run.folder, dataset=small, resume=True) == dense_run
    after = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in dense_run.folder.iterdir()
    }
    assert after == before
    assert capsys.readouterr().err == ""


def test_another_recipe_is_not_resumed(dense_run: Run, small: Dataset) -> None:
    with pytest.raises(UsageError, match=r"another recipe \(epochs: 3 → 4, seed: 9000 → 1\)"):
        train(recipe(epochs=4, seed=1), dense_run.folder, dataset=small, resume=True)


def test_other_digits_are_not_resumed_on(dense_run: Run, small: Dataset, mnist_5k: Dataset) -> None:
    digits = small.development
    other = Dataset(
        "small",
        "elsewhere",
        digits,
        small.train_indices[::-1],
        small.validation_indices,
        small.test,
    )
    with pytest.raises(UsageError, match=rf"begun on other digits \(SHA-256 {small.checksum}, now"):
        train(recipe(), dense_run.folder, dataset=other, resume=True)


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    dropout_run: Run, small: Dataset, tmp_path: Path, after: int
) -> None:
    interrupted(small, tmp_path / "run", after, recipe("conv-dropout"))
    (tmp_path / "run" / ".model.4711.keras").write_bytes(b"what kill -9 leaves of a save")
    run = train(recipe("conv-dropout"), tmp_path / "run", dataset=small, resume=True)
    assert run.finished
    assert_same(run, dropout_run)
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert run.metrics()["epochs"] == len(run.metrics()["epoch_seconds"]) == 3
    assert run.metrics()["validation"] == dropout_run.metrics()["validation"]


def test_a_run_that_was_interrupted_before_its_first_epoch(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    for name in ("recipe.toml", "environment.json"):
        shutil.copy(dense_run.folder / name, tmp_path / "run")
    assert_same(train(recipe(), tmp_path / "run", dataset=small, resume=True), dense_run)


def test_any_write_can_be_the_last_before_an_interruption(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupt the first write, the second … until a training comes to its end unhurt."""
    fsync, left = os.fsync, 0

    def interrupting(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", interrupting)
    resumed: list[Run] = []
    while True:
        run = Run(tmp_path / f"run{len(resumed)}")
        left = len(resumed)
        try:
            whole = train(recipe(epochs=2), run.folder, dataset=small)
            break
        except KeyboardInterrupt:
            left = 1000
            train(recipe(epochs=2), run.folder, dataset=small, resume=run.exists)
            resumed.append(run)
    assert len(resumed) >= 2 + 2 * 3  # writes: two to begin with, three or more an epoch
    for run in resumed:
        assert run.finished, run
        assert_same(run, whole)
        assert run.metrics()["epochs"] == 2
        assert run.metrics()["validation"] == whole.metrics()["validation"]
        assert {path.name for path in run.folder.iterdir()} == FILES


def test_a_damaged_model_is_not_resumed(dense_run: Run, small: Dataset, tmp_path: Path) -> None:
    run = interrupted(small, tmp_path / "run", 1, recipe())
    run.model_path.write_bytes(run.model_path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"model\.keras: damaged or not a model file"):
        train(recipe(), run.folder, dataset=small, resume=True)


@pytest.mark.parametrize("name", ["metrics.json", "environment.json", "history.csv"])
def test_a_damaged_record_is_not_resumed(small: Dataset, tmp_path: Path, name: str) -> None:
    run = interrupted(small, tmp_path / "run", 1, recipe())
    (run.folder / name).write_text("?")
    with pytest.raises(RunError, match=name):
        train(recipe(), run.folder, dataset=small, resume=True)


def test_a_history_shorter_than_the_training_is_not_resumed(small: Dataset, tmp_path: Path) -> None:
    run = interrupted(small, tmp_path / "run", 2, recipe())
    lines = history_bytes(run).splitlines(keepends=True)
    (run.folder / "history.csv").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(RunError, match=r"history\.csv: expected 2 epochs, .* found 1"):
        train(recipe(), run.folder, dataset=small, resume=True)


TRAINING = """
import sys
from chiffres.training.batches import Batches
from chiffres.training.recipe import load_recipe
from chiffres.training.callbacks import Randomness
from chiffres.training.train import train

train(load_recipe("conv-dropout", sys.argv[2:]), sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
@pytest.mark.parametrize("others", [{}, EVERYTHING], ids=["lab", "everything"])
def test_kill_9_and_resume_end_as_if_nothing_had_happened(
    small: Dataset, tmp_path: Path, others: dict[str, Any]
) -> None:
    np.savez(
        tmp_path / "digits.npz",
        x_train=small.development.images,
        y_train=small.development.labels,
        x_test=small.test.images,
        y_test=small.test.labels,
    )
    own = {"data": f"npz:{tmp_path / 'digits.npz'}", "epochs": 5} | others | {"batch_size": 20}
    settings = [f"{key}={value}" for key, value in own.items()]
    given = load_recipe("conv-dropout", settings)
    dataset = load_dataset(given.data)
    run, history = Run(tmp_path / "killed"), tmp_path / "killed" / "history.csv"

    command = [sys.executable, "-c", TRAINING, str(run.folder), *settings]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(run.history()["loss"]) < 2:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    begun = history.read_bytes().splitlines(keepends=True)
    assert run.model_path.exists()
    assert not run.finished

    whole = train(given, tmp_path / "whole", dataset=dataset)
    assert train(given, run.folder, dataset=dataset, resume=True).finished
    assert history.read_bytes().splitlines(keepends=True)[: len(begun)] == begun
    assert_same(run, whole)
