"""Workers of one training on a Ray cluster, one core each; see ``parallel``."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chiffres.cluster import connected, enter, reason
from chiffres.errors import JobError, UsageError
from chiffres.native.team import PATIENCE, WorkerLost
from chiffres.training.mirror import Mirror
from chiffres.training.parallel import (
    GRACE,
    Failure,
    Job,
    perform_as,
    raise_worst,
)


@contextmanager
def on_ray(on: str, workers: int) -> Iterator[Callable[[Job], None]]:
    """Yield what trains once, by workers on any nodes, and brings the run's files to ``job.out``.

    The nodes share the job's storage or, where it names none, its folder.

    Args:
        on: where Ray is; see ``chiffres.cluster.connected``.
        workers: how many.

    Raises:
        UsageError: the cluster has fewer cores than workers.
        JobError: Ray cannot be reached.
    """
    with connected(on):
        import ray

        cores = int(ray.cluster_resources().get("CPU", 0))
        if cores < workers:
            raise UsageError(f"workers = {workers}: the cluster has {cores} cores; each needs one")
        yield _train_once


def _train_once(job: Job) -> None:
    try:
        _train(dataclasses.replace(job, storage=job.url))
    finally:
        if job.storage:
            Mirror(job.storage).fetch(job.out)


def _train(job: Job) -> None:
    import ray
    from ray.util import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = placement_group([{"CPU": 1}] * job.workers)
    try:
        if not group.wait(PATIENCE.total_seconds()):
            raise JobError(
                f"no {job.workers} cores of the cluster are free; go on with --resume later"
            )
        hired = ray.remote(num_cpus=1)(_Worker).options(
            scheduling_strategy=PlacementGroupSchedulingStrategy(group)
        )
        failures = _failures([hired.remote(str(Path.cwd())) for _ in range(job.workers)], job)
    finally:
        remove_placement_group(group)  # ends its workers
    if failures:
        raise_worst(failures)


def _failures(team: list[Any], job: Job) -> list[Failure]:
    """Let workers train, until they end or the first fails; return how they failed."""
    import ray

    try:
        place = ray.get(team[0].place.remote())
        shared = ray.put(job)
        waiting = [worker.work.remote(shared, rank, place) for rank, worker in enumerate(team)]
    except ray.exceptions.RayError as error:
        return [(WorkerLost, reason(error))]
    failures: list[Failure] = []
    while waiting:
        ended, waiting = ray.wait(waiting, timeout=GRACE if failures else None)
        if not ended:
            break
        try:
            failures += filter(None, [ray.get(ended[0])])
        except ray.exceptions.RayError as error:
            failures.append((WorkerLost, reason(error)))
    return failures


class _Worker:
    """An actor: one of a team, in a process of its own."""

    def __init__(self, folder: str) -> None:
        enter(folder)

    def place(self) -> tuple[str, int]:
        """Return an address of this node, and a port that is free, for the team to meet at."""
        import ray

        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def work(self, job: Job, rank: int, place: tuple[str, int]) -> Failure | None:
        """Train; return why that failed, if it did."""
        import torch
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        torch.set_num_threads(1)
        try:
            store = TCPStore(*place, job.workers, rank == 0, PATIENCE)
        except RuntimeError as error:
            return WorkerLost, str(error)
        with tempfile.TemporaryDirectory() as folder:
            return perform_as(job, rank, store, Path(folder))
