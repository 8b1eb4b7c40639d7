"""A bounded pool of workers: what there is no room for is turned away, not queued.

Drawings and batches go before photos, and photos never take the last worker where there are two
or more, so that nobody waits for someone else's photo to see a stroke read; a photo that has waited
a little takes turns with them, so that drawings without end do not keep it out. One thread stands
beside each process; a worker that dies is replaced, and its job is done once more.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from chiffres.errors import JobError
from chiffres.serve.jobs import Job
from chiffres.serve.limits import Limits
from chiffres.serve.problems import Busy, Crashed, Problem, TookTooLong
from chiffres.serve.worker import Worker, WorkerDiedError

TRIES = 2
"""A job over which as many workers died is not given to another."""
LOOK_SECONDS = 0.5
"""How often an idle worker is looked after."""
PAUSE_SECONDS = 1.0
"""Between the deaths of workers that do not even start."""


@dataclass
class Ticket:
    """A job that was accepted, and where its answer goes."""

    job: Job
    photo: bool
    accepted: float
    answer: Future[bytes] = field(default_factory=Future)
    tries: int = 0


class Pool:
    """Workers, and the jobs that wait for them.

    Attributes:
        models: what there is to say about each model.
        restarts: how many workers were replaced.
    """

    def __init__(
        self, models: Mapping[str, bytes], workers: int, limits: Limits | None = None
    ) -> None:
        """Start the workers, and wait until they have loaded the models.

        Args:
            models: ONNX files by name.
            workers: how many processes, 1 or more.
            limits: of what may wait, and for how long.

        Raises:
            ModelFileError: a model cannot be loaded.
            JobError: a worker died before it was ready.
        """
        self._contents, self._limits = models, limits or Limits()
        self._drawings: deque[Ticket] = deque()
        self._photos: deque[Ticket] = deque()
        self._photos_under_way, self._most_photos = 0, max(1, workers - 1)
        self._photo_was_last = False
        self._changed = threading.Condition()
        self._closing = False
        self._workers = [Worker(models, self._limits) for _ in range(workers)]
        self.restarts = 0
        try:
            for worker in self._workers:
                worker.ready()
        except (WorkerDiedError, TimeoutError) as error:
            self._stop_workers()
            raise JobError("a worker died while it loaded the models; is memory short?") from error
        except JobError:
            self._stop_workers()
            raise
        self.models = self._workers[0].models
        self._threads = [
            threading.Thread(target=self._attend, args=(place,), daemon=True)
            for place in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._drawings) + len(self._photos)

    @property
    def alive(self) -> int:
        """How many workers run."""
        return sum(worker.alive for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The numbers of the workers' processes."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    async def run(self, job: Job, *, photo: bool) -> bytes:
        """Return the answer to a job.

        Raises:
            Busy: there is no room for it, or no worker came to it.
            TookTooLong: a worker did not manage it in time.
            Problem: what is wrong with it.
        """
        return await asyncio.wrap_future(self._accepted(job, photo).answer)

    def _accepted(self, job: Job, photo: bool) -> Ticket:
        queue, room, what = (
            (self._photos, self._limits.waiting_photos, "photos")
            if photo
            else (self._drawings, self._limits.waiting_drawings, "drawings")
        )
        ticket = Ticket(job, photo, time.monotonic())
        with self._changed:
            if self._closing:
                raise Busy("the server is shutting down")
            if len(queue) >= room:
                raise Busy(f"{room} {what} are waiting already; try again in a second")
            queue.append(ticket)
            self._changed.notify()
        return ticket

    def close(self) -> None:
        """Finish what was accepted, and stop the workers."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._stop_workers()

    def _stop_workers(self) -> None:
        for worker in self._workers:
            worker.stop()

    def _attend(self, place: int) -> None:
        """Give one worker its jobs; what each thread does."""
        while True:
            if not self._workers[place].alive:
                self._replace(place)
            ticket = self._next(place)
            if ticket is not None:
                self._do(place, ticket)
            elif self._closing and self._workers[place].alive:
                return

    def _next(self, place: int) -> Ticket | None:
        """Return the next job, or None when there will be none or the worker is dead."""
        with self._changed:
            while self._workers[place].alive:
                self._photo_was_last = self._photo_is_next()
                if self._photo_was_last:
                    self._photos_under_way += 1
                    return self._photos.popleft()
                if self._drawings:
                    return self._drawings.popleft()
                if self._closing and not self._photos:
                    return None
                self._changed.wait(LOOK_SECONDS)
        return None

    def _photo_is_next(self) -> bool:
        if not self._photos or self._photos_under_way >= self._most_photos:
            return False
        waited = time.monotonic() - self._photos[0].accepted
        overdue = waited > self._limits.patient_seconds and not self._photo_was_last
        return overdue or not self._drawings

    def _do(self, place: int, ticket: Ticket) -> None:
        wanted = ticket.tries or ticket.answer.set_running_or_notify_cancel()
        outcome = self._outcome(place, ticket) if wanted else None
        with self._changed:
            self._photos_under_way -= ticket.photo
            if wanted and outcome is None:
                (self._photos if ticket.photo else self._drawings).appendleft(ticket)
            self._changed.notify()
        if isinstance(outcome, Problem):
            ticket.answer.set_exception(outcome)
        elif outcome is not None:
            ticket.answer.set_result(outcome)

    def _outcome(self, place: int, ticket: Ticket) -> bytes | Problem | None:
        """Return a worker's answer, or None where the job is to be done once more."""
        if time.monotonic() - ticket.accepted > self._limits.waiting_seconds:
            return Busy(f"not begun within {self._limits.waiting_seconds:g} seconds; try again")
        ticket.tries += 1
        try:
            return self._workers[place].ask(ticket.job, self._limits.answer_seconds)
        except TimeoutError:
            self._replace(place)
            return TookTooLong(f"no answer within {self._limits.answer_seconds:g} seconds")
        except WorkerDiedError:
            self._replace(place)
            if ticket.tries < TRIES:
                return None
            return Crashed(f"{TRIES} workers died over this")

    def _replace(self, place: int) -> None:
        """Start a worker in the place of a dead one, or of one that does not answer."""
        self._workers[place].stop(0)
        self._workers[place] = Worker(self._contents, self._limits)
        self.restarts += 1
        try:
            self._workers[place].ready()
        except (WorkerDiedError, TimeoutError, JobError):
            self._workers[place].stop(0)
            time.sleep(PAUSE_SECONDS)
