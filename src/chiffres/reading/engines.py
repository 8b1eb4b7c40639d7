"""Who reads the parts of an archive: processes of this machine, or the nodes of a Ray cluster."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from chiffres.cluster import CLIENT, connected, enter, reason
from chiffres.errors import JobError
from chiffres.processes import end_with
from chiffres.reading.archive import Archive, Part, read_part

AHEAD = 2
"""Parts that wait or are read, for each process: more would not be faster."""
KEPT = "what was read is kept: the same command goes on"


def in_processes(archive: Archive, workers: int) -> Iterator[Part]:
    """Read the parts that are missing, in as many processes, and yield each that is done.

    Raises:
        JobError: a process died.
    """
    parts = archive.missing()
    if not parts:
        return
    context = multiprocessing.get_context("spawn")  # no copy of threads or locks
    pool = ProcessPoolExecutor(
        min(workers, len(parts)), context, initializer=_begin, initargs=(os.getpid(),)
    )
    waiting = iter(parts)
    try:
        under_way = {
            pool.submit(read_part, archive, part)
            for part in itertools.islice(waiting, AHEAD * workers)
        }
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {
                pool.submit(read_part, archive, part)
                for part in itertools.islice(waiting, len(done))
            }
            yield from (each.result() for each in done)
    except BrokenProcessPool as error:
        raise JobError(f"a process died, was killed or had no memory left; {KEPT}") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """Prepare a process of the pool."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    end_with(parent)


def on_ray(archive: Archive, on: str, workers: int | None = None) -> Iterator[Part]:
    """Read the parts that are missing on Ray, and yield each that is done.

    Each part is a task with one core, which Ray Data gives out as workers become free; one whose
    node is lost is given to another node. All nodes share the storage of the archive, and of the
    pictures.

    Args:
        archive: what to read.
        on: where Ray is; see :func:`chiffres.cluster.connected`.
        workers: how many tasks at a time; by default as many as there are cores.

    Raises:
        MissingExtraError: Ray is not installed.
        JobError: Ray cannot be reached, or a part could not be read or written.
    """
    parts = archive.missing()
    if not parts:
        return
    placed = dataclasses.replace(archive, folder=archive.folder.absolute())
    work = (placed, parts, str(Path.cwd()), workers)
    with connected(on, workers):
        import ray

        try:
            if on.startswith(CLIENT):  # through which Ray Data does not work
                driver = ray.remote(num_cpus=0)(_Driver).remote(*work)
                yield from iter(lambda: ray.get(driver.next.remote()), None)
            else:
                yield from _given_out(*work)
        except ray.exceptions.RayError as error:
            raise JobError(f"{reason(error)}; {KEPT}") from error


class _Driver:
    """What gives the parts out, as an actor on the cluster."""

    def __init__(self, *work: Any) -> None:
        self._done = _given_out(*work)

    def next(self) -> Part | None:
        """Return the next part that is done, if there is one."""
        return next(self._done, None)


def _given_out(
    archive: Archive, parts: list[Part], folder: str, workers: int | None
) -> Iterator[Part]:
    """Yield each part that is done."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    places = [{"place": place} for place in range(len(parts))]
    done = ray.data.from_items(places, override_num_blocks=len(parts)).map_batches(
        partial(_read_there, archive, parts, folder),
        batch_size=1,
        compute=ray.data.TaskPoolStrategy(size=workers),
        num_cpus=1,
    )
    for row in done.iter_rows():
        if row["problem"]:
            raise JobError(f"{row['problem']}; {KEPT}")
        yield parts[row["place"]]


def _read_there(
    archive: Archive, parts: list[Part], folder: str, batch: dict[str, Any]
) -> dict[str, Any]:
    """Read the one part whose place a batch holds on this node, as from ``folder``."""
    enter(folder)
    problem = ""
    try:
        read_part(archive, parts[int(batch["place"][0])])
    except Exception as error:  # Ray Data would keep its text from who reads
        problem = reason(error)
    return {"place": batch["place"], "problem": [problem]}
