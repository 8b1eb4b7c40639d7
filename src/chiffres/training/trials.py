"""Trainings side by side: each a run in a folder, so that what was killed goes on where it was.

An engine is given trials and says how each ended. Here there is one, processes on this machine;
``cluster`` has another, which calls ``perform`` elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import joblib
from filelock import FileLock

from chiffres.data import load_dataset
from chiffres.data.dataset import fold
from chiffres.errors import ChiffresError, TrainingError
from chiffres.models.backend import keras
from chiffres.processes import end_with
from chiffres.training.recipe import Recipe
from chiffres.training.run import Run
from chiffres.training.train import train


@dataclass(frozen=True)
class Trial:
    """One training to be done.

    Attributes:
        recipe: what to train; its ``data`` is the name of the very dataset, not ``auto``.
        folder: where the run is, or will be.
        fold: in a cross-validation, which fold is left out, of how many; see ``fold`` of datasets.
    """

    recipe: Recipe
    folder: Path
    fold: tuple[int, int] | None = None

    @property
    def run(self) -> Run:
        """The run of this trial, begun or not."""
        return Run(self.folder)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: which.
        error: why it has no finished run; empty where it has.
    """

    trial: Trial
    error: str = ""


class Engine(Protocol):
    """Where trials are run."""

    def __call__(self, trials: Sequence[Trial], log: Sequence[str]) -> Iterator[Outcome]:
        """Yield how each trial ended, in any order; ``log`` is for ``perform``."""


@dataclass(frozen=True)
class Processes:
    """Trials in processes of this machine, each with its share of the processor's cores.

    Attributes:
        jobs: how many at a time; with one, in this very process.
    """

    jobs: int

    def __call__(self, trials: Sequence[Trial], log: Sequence[str]) -> Iterator[Outcome]:
        """Yield how each trial ended, as soon as it has."""
        if self.jobs == 1:
            yield from (perform(trial, log) for trial in trials)
            return
        threads = max(1, joblib.cpu_count() // self.jobs)
        with joblib.parallel_config("loky", n_jobs=self.jobs, inner_max_num_threads=threads):
            side_by_side = joblib.Parallel(return_as="generator_unordered", pre_dispatch="n_jobs")
            yield from side_by_side(
                joblib.delayed(perform)(trial, log, os.getpid()) for trial in trials
            )


def perform(trial: Trial, log: Sequence[str] = (), parent: int | None = None) -> Outcome:
    """Train what a trial says, or go on with it; a finished one is left as it is.

    One process at a time works on a trial: another waits for it. Where a process does not end with
    its parent, as on Windows, the lock alone keeps two from one trial.

    Args:
        trial: what to train.
        log: where else its run is to be shown, as for ``train``.
        parent: the process that this one is to end with.
    """
    if parent is not None:
        end_with(parent)
    trial.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(trial.folder.with_name(f".{trial.folder.name}.lock")):
        keras.utils.clear_session()  # so that each model's layers are numbered from the start
        try:
            train(
                trial.recipe,
                trial.folder,
                dataset=fold(load_dataset(trial.recipe.data), *trial.fold) if trial.fold else None,
                resume=trial.run.exists,
                log=log,
                show_progress=False,
            )
        except ChiffresError as error:
            return Outcome(trial, str(error))
    return Outcome(trial)


def perform_all(engine: Engine, trials: Sequence[Trial], log: Sequence[str] = ()) -> None:
    """Have an engine finish all trials.

    Raises:
        TrainingError: some were not finished.
    """
    failed = [outcome for outcome in engine(trials, log) if outcome.error]
    if failed:
        raise TrainingError(
            f"{len(failed)} of {len(trials)} trainings failed; the first, "
            f"{failed[0].trial.folder}: {failed[0].error}"
        )
