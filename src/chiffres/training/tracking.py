"""A run shown where people already look: TensorBoard and MLflow, each through its own library.

What they are given is what the run's folder says, so a training that goes on is logged without a
gap, and one that was finished without them is logged from its history.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from chiffres.errors import MissingExtraError, UnknownNameError
from chiffres.models.backend import keras
from chiffres.storage import write_text
from chiffres.training.run import COLUMNS, Run

NAMES = {
    "loss": "loss/training",
    "accuracy": "accuracy/training",
    "val_loss": "loss/validation",
    "val_accuracy": "accuracy/validation",
}
"""What the columns of ``history.csv`` are called there: those of one measure in one chart."""
EXPERIMENT = "chiffres"
"""MLflow's, where ``MLFLOW_EXPERIMENT_NAME`` does not say another."""
ID_FILE = "mlflow-run-id"


class Tracker(Protocol):
    """One run, as somebody else keeps it."""

    def epoch(self, number: int, measured: Mapping[str, float]) -> None:
        """Log what was measured after an epoch, counted from 1."""

    def close(self, finished: bool) -> None:
        """Log that the training has ended, at its last epoch or before."""


class TensorBoard:
    """Event files in ``RUN/tensorboard``; ``tensorboard --logdir runs`` shows all runs."""

    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        shutil.rmtree(folder, ignore_errors=True)  # what it says is all in the history
        self.writer: Any = SummaryWriter(str(folder))
        self.writer.add_text("recipe", f"```\n{run.recipe().toml()}```")
        _replay(run, self, after=0)

    def epoch(self, number: int, measured: Mapping[str, float]) -> None:
        """Log each column."""
        for column in COLUMNS:
            self.writer.add_scalar(NAMES[column], measured[column], number)
        self.writer.flush()

    def close(self, finished: bool) -> None:
        """Close the event file."""
        self.writer.close()


class MLflow:
    """A run of the experiment ``chiffres``, where ``MLFLOW_TRACKING_URI`` says it is kept."""

    def __init__(self, run: Run) -> None:
        from mlflow import MlflowClient

        self.client: Any = MlflowClient()
        self.run_id = self._resumed(run) or self._begun(run)
        last = self.client.get_metric_history(self.run_id, NAMES["val_loss"])
        _replay(run, self, after=max((metric.step for metric in last), default=0))

    def _resumed(self, run: Run) -> str | None:
        """Return the run that was begun before, where this store has it."""
        from mlflow.exceptions import MlflowException

        path = run.folder / ID_FILE
        if not path.is_file():
            return None
        run_id = path.read_text(encoding="utf-8").strip()
        try:
            self.client.update_run(run_id, status="RUNNING")
        except MlflowException:
            return None
        return run_id

    def _begun(self, run: Run) -> str:
        recipe, environment = run.recipe(), run.environment()
        tags = {
            "folder": str(run.folder),
            "git_commit": str(environment["git_commit"]),
            "dataset_sha256": environment["dataset"]["sha256"],
        }
        begun = self.client.create_run(mlflow_experiment(), run_name=run.folder.name, tags=tags)
        for key, value in recipe.model_dump(exclude_none=True).items():
            self.client.log_param(begun.info.run_id, key, value)
        write_text(run.folder / ID_FILE, f"{begun.info.run_id}\n")
        return str(begun.info.run_id)

    def epoch(self, number: int, measured: Mapping[str, float]) -> None:
        """Log each column."""
        for column in COLUMNS:
            self.client.log_metric(self.run_id, NAMES[column], measured[column], step=number)

    def close(self, finished: bool) -> None:
        """Log that the run has finished, or was stopped."""
        self.client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED")


def mlflow_experiment() -> str:
    """Return the identity of the experiment that runs belong to; make it if need be."""
    from mlflow import MlflowClient

    client = MlflowClient()
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    experiment = client.get_experiment_by_name(name)
    return str(experiment.experiment_id if experiment else client.create_experiment(name))


TRACKERS: dict[str, Callable[[Run], Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow}


def check_trackers(names: Sequence[str]) -> None:
    """Make sure, before anything is trained, that runs can be logged.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: its library is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"logging to {name}", "tracking", error.name) from error
    if "mlflow" in names:
        mlflow_experiment()  # two trainings that begin together would both make it


class Tracking(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs each epoch to every tracker; comes after what records the epoch in the run."""

    def __init__(self, run: Run, names: Sequence[str]) -> None:
        super().__init__()
        self.run = run
        self.trackers = [TRACKERS[name](run) for name in names]

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Log the epoch."""
        for tracker in self.trackers:
            tracker.epoch(epoch + 1, logs or {})

    def close(self) -> None:
        """Log that the training has ended, however it did."""
        for tracker in self.trackers:
            tracker.close(self.run.finished)


def _replay(run: Run, tracker: Tracker, after: int) -> None:
    """Log the finished epochs of the run that come after the epoch ``after``."""
    done = run.metrics().get("epochs", 0)
    rows = zip(*(run.history()[column][:done] for column in COLUMNS), strict=True)
    for number, row in enumerate(rows, 1):
        if number > after:
            tracker.epoch(number, dict(zip(COLUMNS, row, strict=True)))
