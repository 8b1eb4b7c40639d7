"""Trials on a Ray cluster: each a task that any node with a free core may be given."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib

from chiffres.cluster import ATTEMPTS, connected, enter, is_ray, reason
from chiffres.training.trials import Engine, Outcome, Processes, Trial, perform


@dataclass(frozen=True)
class Cluster:
    """Trials as tasks of Ray, one core each; its nodes and this machine share the runs' storage.

    A trial whose node is lost, or that fails for a reason that nobody foresaw, is given to another
    node and goes on after its last epoch there.

    Attributes:
        on: where Ray is; see :func:`chiffres.cluster.connected`.
        jobs: how many trials at a time; by default as many as there are cores.
    """

    on: str
    jobs: int | None = None

    def __call__(self, trials: Sequence[Trial], log: Sequence[str]) -> Iterator[Outcome]:
        """Yield how each trial ended, as soon as it has."""
        with connected(self.on, self.jobs):
            import ray

            task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1, retry_exceptions=True)(
                perform_there
            )
            here, waiting = str(Path.cwd()), iter(trials)
            under_way = {}
            for trial in itertools.islice(waiting, self.jobs):
                under_way[task.remote(_placed(trial), log, here)] = trial
            while under_way:
                (ended,), _ = ray.wait(list(under_way))
                trial = under_way.pop(ended)
                for further in itertools.islice(waiting, 1):
                    under_way[task.remote(_placed(further), log, here)] = further
                try:
                    error = ray.get(ended)
                except ray.exceptions.RayError as problem:
                    error = f"failed {ATTEMPTS} times, at last by {reason(problem)}"
                yield Outcome(trial, error or _missing(trial))


def engine_on(on: str, jobs: int | None = None) -> Engine:
    """Return where trials are run: ``local`` for processes of this machine, or Ray.

    Args:
        on: ``local``, ``ray`` or ``ray://HOST:PORT``.
        jobs: how many trials at a time; by default one per core.

    Raises:
        UsageError: ``on`` is none of them.
    """
    return Cluster(on, jobs) if is_ray(on) else Processes(jobs or joblib.cpu_count())


def perform_there(trial: Trial, log: Sequence[str], folder: str) -> str:
    """Train what a trial says on this node, as in ``folder``; return why it failed, or nothing."""
    enter(folder)
    return perform(trial, log).error


def _placed(trial: Trial) -> Trial:
    return dataclasses.replace(trial, folder=trial.folder.absolute())


def _missing(trial: Trial) -> str:
    if trial.run.finished:
        return ""
    return f"{trial.folder}: trained, but not to be found here; use storage that all nodes share"
