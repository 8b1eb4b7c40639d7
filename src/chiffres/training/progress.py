"""A line per epoch on standard error and, where that is a terminal, a live bar below them."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from chiffres.models.backend import keras

Logs = dict[str, float] | None


class ProgressBar(keras.callbacks.Callback):  # type: ignore[misc]
    """Shows epoch, batch, loss, accuracy and the time left of the whole training, in 80 columns.

    Validation stands in the line of each finished epoch.
    """

    def __init__(self, name: str, epochs: int, batches: int, done: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.batches = batches
        self.epoch = done
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn(f"{name}  epoch {{task.fields[epoch]}}/{epochs}"),
            BarColumn(bar_width=None),
            TextColumn(f"{{task.fields[batch]}}/{batches}"),
            TextColumn("{task.fields[measured]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
            expand=True,
        )
        self.task = self.bar.add_task(
            name,
            total=epochs * batches,
            completed=done * batches,
            epoch=done + 1,
            batch=0,
            measured="",
        )
        self.name = name

    def on_train_begin(self, logs: Logs = None) -> None:
        """Show the bar."""
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Remember where we are."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Move the bar by one batch."""
        logs = logs or {}
        self.bar.update(
            self.task,
            completed=self.epoch * self.batches + batch + 1,
            epoch=self.epoch + 1,
            batch=batch + 1,
            measured=f"loss {logs['loss']:.3f} accuracy {logs['accuracy']:.3f}",
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Say how the epoch went."""
        logs = logs or {}
        line = (
            f"{self.name}  epoch {epoch + 1}/{self.epochs}"
            f"  loss {logs['loss']:.4f} accuracy {logs['accuracy']:.4f}"
            f"  validation loss {logs['val_loss']:.4f} accuracy {logs['val_accuracy']:.4f}"
        )
        self.console.print(line, soft_wrap=True, highlight=False)

    def on_train_end(self, logs: Logs = None) -> None:
        """Take the bar away."""
        self.bar.stop()
