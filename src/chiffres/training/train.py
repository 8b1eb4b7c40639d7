"""Training through Keras's own ``fit``: reproducible, and safe to interrupt at any moment."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chiffres.data import Dataset, Digits, load_dataset
from chiffres.errors import RunError, TrainingError, UsageError
from chiffres.models import build_model, find_builder
from chiffres.models.backend import BACKEND, keras
from chiffres.models.files import load_model
from chiffres.native import accelerate
from chiffres.storage import remove_unfinished, replacing
from chiffres.training.augment import find_augmentation
from chiffres.training.batches import Examples, Shuffled, make_batches, with_negatives
from chiffres.training.loss import Loss, crossentropy, train_on_logits
from chiffres.training.progress import ProgressBar
from chiffres.training.recipe import Recipe
from chiffres.training.run import COLUMNS, SCHEMA, Run
from chiffres.training.tracking import Tracking, check_trackers


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    show_progress: bool = True,
) -> Run:
    """Train a recipe's model and leave a run in the folder ``out``.

    Progress goes to standard error. The validation part is measured after each epoch; the test
    part is not touched.

    Args:
        recipe: what to train.
        out: the run's folder; made if need be.
        dataset: what to train on, where it is loaded already; else the recipe's ``data``.
        resume: continue the run in ``out`` after its last finished epoch; it ends with the same
            history as an uninterrupted one. A finished run is returned as it is.
        log: where else the run is to be shown: ``"tensorboard"``, ``"mlflow"``.
        show_progress: whether to say how the training goes.

    Raises:
        UsageError: ``out`` holds another run, or there is nothing to resume.
        MissingExtraError: what is to show the run is not installed.
        TrainingError: the loss is no longer a number.
    """
    dataset = dataset or load_dataset(recipe.data)
    recipe = recipe.model_copy(update={"data": dataset.name})
    run = Run(Path(out))
    check_trackers(log)
    if resume:
        _check_same(run, recipe, dataset)
        remove_unfinished(run.folder)
    elif run.exists:
        raise UsageError(
            f"{out}: holds a run already; resume it (--resume) or choose another folder"
        )
    elif run.folder.exists() and not run.folder.is_dir():
        raise UsageError(f"{out}: not a folder; choose another")
    else:
        find_builder(recipe.model, recipe.options)  # raises before anything is written
        find_augmentation(recipe.augment)
        run.start(recipe, dataset, BACKEND)
    tracking = Tracking(run, log)
    try:
        if not run.finished:
            _fit(run, recipe, dataset, tracking, show_progress)
    finally:
        tracking.close()
    return run


def _check_same(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    if not run.exists:
        raise UsageError(f"{run.folder}: no run to resume")
    changed = recipe.differences(run.recipe())
    if changed:
        raise UsageError(
            f"{run.folder}: cannot be resumed with another recipe ({changed}); "
            "choose another folder or delete this one"
        )
    recorded = run.environment().get("dataset", {}).get("sha256")
    if recorded != dataset.checksum:
        raise UsageError(
            f"{run.folder}: was begun on other digits "
            f"(SHA-256 {recorded}, now {dataset.checksum}); "
            "choose another folder"
        )


def _fit(
    run: Run, recipe: Recipe, dataset: Dataset, tracking: Tracking, show_progress: bool
) -> None:
    keras.utils.set_random_seed(recipe.seed)
    digits: Digits | Examples = dataset.train
    if recipe.negatives:
        digits = with_negatives(dataset.train, recipe.negatives, recipe.seed)
    steps = math.ceil(len(digits) / recipe.batch_size)
    model = _resumed(run) or _compiled(recipe, steps)
    loss = _training_loss(recipe)
    train_on_logits(model, loss)
    accelerate(model, loss)
    batches = make_batches(digits, model, recipe.batch_size, find_augmentation(recipe.augment))
    done = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps
    progress = ProgressBar(recipe.model, recipe.epochs, steps, done)
    callbacks = [
        Randomness(recipe.seed, batches),
        AccuracyOfDigits(len(digits) / len(dataset.train)),
        Recorder(run, recipe, done),
        tracking,
        *([progress] if show_progress else []),
    ]
    try:
        model.fit(
            batches,
            validation_data=make_batches(dataset.validation, model, recipe.batch_size),
            initial_epoch=done,
            epochs=recipe.epochs,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    finally:
        progress.bar.stop()
    run.record(epochs=recipe.epochs)  # a crash may have come between the last model and this


def _training_loss(recipe: Recipe) -> Loss | None:
    if not recipe.negatives and not recipe.label_smoothing:
        return None
    return functools.partial(crossentropy, smoothing=recipe.label_smoothing)


def _compiled(recipe: Recipe, steps: int) -> keras.Model:
    model = build_model(recipe.model, recipe.scale, **recipe.options)
    model.compile(loss=recipe.loss, optimizer=_optimizer(recipe, steps), metrics=["accuracy"])
    return model


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return Keras's optimizer for a training of so many steps per epoch."""
    rate: Any = recipe.learning_rate
    if recipe.schedule == "one-cycle":
        rate = _one_cycle(rate, steps * recipe.epochs, recipe.warmup)
    config: dict[str, Any] = {"learning_rate": rate}
    if recipe.weight_decay or recipe.optimizer == "adamw":  # whose default in Keras is not 0
        config["weight_decay"] = recipe.weight_decay
    if recipe.momentum:
        config["momentum"] = recipe.momentum
    return keras.optimizers.get({"class_name": recipe.optimizer, "config": config})


def _one_cycle(highest: float, steps: int, warmup: float) -> Any:
    rising = min(round(warmup * steps), steps - 1)  # a step at least is left to come down
    schedule = keras.optimizers.schedules.CosineDecay
    if not rising:
        return schedule(highest, steps)
    return schedule(highest / 25, steps - rising, warmup_target=highest, warmup_steps=rising)


def _resumed(run: Run) -> keras.Model | None:
    return load_model(run.model_path, compile=True) if run.model_path.is_file() else None


class Randomness(keras.callbacks.Callback):  # type: ignore[misc]
    """Draws the order of the digits and the dropouts of each epoch from the seed and its number.

    So an epoch is the same whether the ones before it were trained in this process or not:
    Keras's model files do not keep the state of a layer's generator.
    """

    def __init__(self, seed: int, batches: Shuffled) -> None:
        super().__init__()
        self.seed = seed
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set every generator that the epoch draws from."""
        rng = np.random.default_rng([self.seed, epoch])
        self.batches.shuffle(rng)
        keras.utils.set_random_seed(int(rng.integers(2**31)))
        for layer in self.model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign(np.array([rng.integers(2**31), 0]))


class AccuracyOfDigits(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the callbacks after it the accuracy over digits alone.

    Keras counts all examples, and no answer is right for what is no digit.
    """

    def __init__(self, examples_per_digit: float) -> None:
        super().__init__()
        self.examples_per_digit = examples_per_digit

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Correct the accuracy so far, about: a batch has more or fewer digits than another."""
        self.on_epoch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Correct the accuracy."""
        if logs:
            logs["accuracy"] = min(1.0, logs["accuracy"] * self.examples_per_digit)


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the run's files after each epoch: what a crash can lose is the epoch under way.

    The model is written after the others: a history that is one epoch ahead of it is cut when
    resuming. Only then is the epoch counted in ``metrics.json``.
    """

    def __init__(self, run: Run, recipe: Recipe, done: int) -> None:
        super().__init__()
        self.run = run
        self.recipe = recipe
        self.history = {name: values[:done] for name, values in run.history().items()}
        if len(self.history["loss"]) < done:
            raise RunError(
                f"{run.folder / 'history.csv'}: expected {done} epochs, as many as the model was "
                f"trained for, found {len(self.history['loss'])}; begin anew in another folder"
            )
        self.epoch_seconds: list[float] = run.metrics().get("epoch_seconds", [])[:done]
        self.started = self.trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Stop the clock: validation is no training time."""
        self.trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write history, metrics and model."""
        measured = {name: float((logs or {})[name]) for name in COLUMNS}
        if not all(math.isfinite(value) for value in measured.values()):
            raise TrainingError(
                f"{self.run.folder}: the loss is {measured['loss']} after epoch {epoch + 1}; try a "
                f"learning rate below {self.recipe.learning_rate}, or --set scale=unit"
            )
        for name, value in measured.items():
            self.history[name].append(value)
        self.epoch_seconds.append(round(self.trained - self.started, 3))
        self.run.write_history(self.history)
        self.run.record(**self._metrics(epoch))
        with replacing(self.run.model_path) as temporary:
            self.model.save(temporary)
        self.run.record(epochs=epoch + 1)

    def _metrics(self, epochs: int) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "recipe": self.recipe.model_dump(),
            "parameters": self.model.count_params(),
            "training_seconds": round(sum(self.epoch_seconds), 3),
            "epoch_seconds": self.epoch_seconds,
            "epochs": epochs,
            "train": None,
            "validation": {
                "loss": self.history["val_loss"][-1],
                "accuracy": self.history["val_accuracy"][-1],
            },
            "test": None,
        }
