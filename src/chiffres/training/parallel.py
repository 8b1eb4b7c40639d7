"""One training by several workers, each a process that takes its rows of every batch.

What they learn is what one worker would: the batches, and so the learning rate, are the recipe's.
A worker that is lost ends its team; the next one goes on after the last finished epoch.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, NoReturn

import joblib
import torch
from torch.distributed import FileStore  # type: ignore[attr-defined]

from chiffres.cluster import LOCAL, is_ray
from chiffres.data import Dataset, load_dataset
from chiffres.errors import ChiffresError, JobError, TrainingError, UsageError
from chiffres.models.backend import BACKEND
from chiffres.native.team import Team, WorkerLost, joined
from chiffres.processes import end_with
from chiffres.training.mirror import Mirror
from chiffres.training.recipe import Recipe
from chiffres.training.run import Run
from chiffres.training.tracking import Tracking
from chiffres.training.train import prepare, train

logger = logging.getLogger("chiffres.training")

RESTARTS = 3
"""So often in a row a team is replaced that was lost before it finished an epoch."""
GRACE = 10.0
"""Seconds that the other workers have to say what went wrong, once one has ended."""
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
"""The network of workers on one machine, by system."""

Failure = tuple[type[Exception], str]
"""What is to be raised for a worker: one of WorkerLost, UsageError and JobError; and why."""


@dataclass(frozen=True)
class Job:
    """A training that workers share.

    Attributes:
        recipe: what to train; its ``data`` is the name of ``dataset``.
        dataset: what to train on.
        out: the run's folder, absolute; the run has been begun.
        workers: how many.
        storage: the URL of where the run's files are put too, or nothing.
        show_progress: whether the first worker is to say how the training goes.
    """

    recipe: Recipe
    dataset: Dataset
    out: Path
    workers: int
    storage: str = ""
    show_progress: bool = True

    @property
    def url(self) -> str:
        """Where each worker finds the run."""
        return self.storage or str(self.out)

    def perform(self, team: Team, folder: Path) -> None:
        """Train as one of a team; only the first worker's folder is the run's.

        Raises:
            WorkerLost: another worker is gone.
            ChiffresError: as ``train``.
        """
        leads = team.rank == 0
        if not leads:
            Mirror(self.url).fetch(folder)
        train(
            self.recipe,
            folder,
            dataset=self.dataset,
            resume=True,
            show_progress=self.show_progress and leads,
            storage=self.storage if leads else "",
            team=team,
        )


def train_in_parallel(
    recipe: Recipe,
    out: str | Path,
    workers: int,
    *,
    on: str = LOCAL,
    dataset: Dataset | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    show_progress: bool = True,
    storage: str = "",
) -> Run:
    """Train a recipe's model by several workers and leave a run in the folder ``out``.

    Its weights and history are those of one worker but for the rounding of sums.

    Args:
        recipe: as for ``train``, like all that is not said here.
        out: the run's folder.
        workers: how many, each with its share of this machine's cores; on Ray, with one core.
        on: ``local``, ``ray`` or ``ray://HOST:PORT``; see ``chiffres.cluster.connected``.
        dataset: what to train on.
        resume: continue the run in ``out`` or ``storage``; it may be one of any number of workers.
        log: where else the run is to be shown, once it has ended.
        show_progress: whether to say how the training goes; on Ray nothing is said.
        storage: as for ``train``; on Ray, by default ``out``, which all nodes are to share then.

    Raises:
        UsageError: as ``train``; or more workers than rows of a batch, or than cores on Ray; or
            the model does not train natively.
        MissingExtraError: Ray is asked for and not installed.
        TrainingError: as ``train``; or workers were lost again and again.
        JobError: a worker failed, or Ray cannot be reached.
    """
    elsewhere = is_ray(on)
    if BACKEND != "torch":
        raise UsageError(f"workers: they train on torch alone, not on {BACKEND}; use one")
    if not 1 <= workers <= recipe.batch_size:
        raise UsageError(
            f"workers = {workers}: expected 1 to {recipe.batch_size}, the digits of a batch"
        )
    dataset = dataset or load_dataset(recipe.data)
    recipe = recipe.model_copy(update={"data": dataset.name})
    how: dict[str, Any] = {"resume": resume, "log": log, "storage": storage, "workers": workers}
    with _on_ray(on, workers) if elsewhere else nullcontext(_train_here) as train_once:
        run = prepare(recipe, out, dataset, **how)
        job = Job(recipe, dataset, run.folder.absolute(), workers, storage, show_progress)
        until_finished(run, lambda: train_once(job))
    Tracking(run, log).close()
    return run


def _on_ray(on: str, workers: int) -> AbstractContextManager[Callable[[Job], None]]:
    from chiffres.training.parallel_on_ray import on_ray

    return on_ray(on, workers)


def until_finished(run: Run, train_once: Callable[[], None]) -> None:
    """Let one team after the other train, as long as that gets anywhere.

    Raises:
        TrainingError: it does not.
    """
    done, lost = -1, 0
    while not run.finished:
        try:
            train_once()
        except WorkerLost as error:
            epochs = run.metrics().get("epochs", 0)
            done, lost = epochs, lost + 1 if epochs == done else 1
            if lost > RESTARTS:
                raise TrainingError(
                    f"{run.folder}: a worker was lost {lost} times in epoch {epochs + 1}, at last: "
                    f"{error}; find out why, then go on with --resume"
                ) from error
            logger.warning("a worker was lost (%s); going on after epoch %d", error, epochs)
        else:
            return


def perform_as(job: Job, rank: int, store: Any, folder: Path) -> Failure | None:
    """Be one of a job's workers; return why that failed, if it did.

    Args:
        job: what to train.
        rank: which worker, from 0.
        store: Torch's, where they find each other.
        folder: where this one's run is.
    """
    try:
        with joined(rank, job.workers, store) as team:
            job.perform(team, folder)
    except WorkerLost as error:
        return WorkerLost, str(error)
    except ChiffresError as error:
        return (UsageError if isinstance(error, UsageError) else JobError), str(error)
    except Exception as error:
        traceback.print_exc()
        return JobError, f"worker {rank}: {type(error).__name__}: {error}"
    return None


def raise_worst(failures: Sequence[Failure]) -> NoReturn:
    """Raise what went wrong: of those that lost another worker, one that it was lost by."""
    kind, message = min(failures, key=lambda failure: failure[0] is WorkerLost)
    raise kind(message)


def _train_here(job: Job) -> None:
    """Train by processes of this machine, which end with this one."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        pipes = [context.Pipe(duplex=False) for _ in range(job.workers)]
        processes = [
            context.Process(target=_work_here, args=(job, rank, Path(scratch), answer, os.getpid()))
            for rank, (_, answer) in enumerate(pipes)
        ]
        try:
            for process in processes:
                process.start()
            failures = _failures(processes, [answers for answers, _ in pipes])
        finally:
            for process in processes:
                if process.pid is not None:
                    process.kill()
                    process.join()
    if failures:
        raise_worst(failures)


def _failures(processes: Sequence[Any], answers: Sequence[Any]) -> list[Failure]:
    """Wait for workers to end, or for the first that fails; return how they failed."""
    waiting = {process.sentinel: rank for rank, process in enumerate(processes)}
    failures: list[Failure] = []
    while waiting:
        ended = connection.wait(list(waiting), GRACE if failures else None)
        if not ended:
            break
        for rank in [waiting.pop(sentinel) for sentinel in ended]:
            processes[rank].join()
            code = processes[rank].exitcode
            if answers[rank].poll():
                failures.append(answers[rank].recv())
            elif code:
                failures.append((WorkerLost, f"worker {rank} ended with exit code {code}"))
    return failures


def _work_here(job: Job, rank: int, scratch: Path, answer: Any, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    end_with(parent)
    torch.set_num_threads(max(1, joblib.cpu_count() // job.workers))
    if sys.platform in LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK[sys.platform])
    folder = scratch / str(rank) if rank else job.out
    store = FileStore(str(scratch / "store"), job.workers)
    failure = perform_as(job, rank, store, folder)
    if failure:
        answer.send(failure)
        sys.exit(1)
