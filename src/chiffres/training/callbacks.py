"""What happens around the batches and epochs of a training: its chance, its files."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from chiffres.errors import RunError, TrainingError
from chiffres.models.backend import keras
from chiffres.training.batches import Shuffled
from chiffres.training.recipe import Recipe
from chiffres.training.run import COLUMNS, SCHEMA, Run


class Randomness(keras.callbacks.Callback):  # type: ignore[misc]
    """Draws the order of the digits and the dropouts of each epoch from the seed and its number.

    So an epoch is the same whether the ones before it were trained in this process or not:
    Keras's model files do not keep the state of a layer's generator.

    Args:
        seed: of the training.
        batches: what the epochs are made of.
        distinct: after how many epochs the first one comes again; 0: never.
    """

    def __init__(self, seed: int, batches: Shuffled, distinct: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.batches = batches
        self.distinct = distinct

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Set every generator that the epoch draws from."""
        number = epoch % self.distinct if self.distinct else epoch
        rng = np.random.default_rng([self.seed, number])
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
        self.run.save(self.model)
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
