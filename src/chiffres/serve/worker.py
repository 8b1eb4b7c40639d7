"""A process that does one job after the other, and what holds its other end."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from chiffres.errors import ChiffresError, ModelFileError
from chiffres.serve.jobs import Desk, Job
from chiffres.serve.limits import Limits
from chiffres.serve.problems import Problem

START_SECONDS = 60.0
"""In which a worker has to load its models."""


class WorkerDiedError(Exception):
    """The process is gone."""


class Worker:
    """A process that does jobs; to be used by one thread."""

    def __init__(self, models: Mapping[str, bytes], limits: Limits) -> None:
        """Start the process; it loads its models by itself."""
        context = multiprocessing.get_context("spawn")  # no copy of threads, locks or connections
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, models, limits), name="chiffres-worker", daemon=True
        )
        self._process.start()
        theirs.close()
        self.models: list[dict[str, Any]] = []

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def ready(self) -> None:
        """Wait until the models are loaded.

        Raises:
            ModelFileError: one of them cannot be.
            WorkerDiedError: it died, or took too long.
        """
        answer = self._received(START_SECONDS)
        if isinstance(answer, str):
            raise ModelFileError(answer)
        self.models = answer

    def ask(self, job: Job, seconds: float) -> bytes | Problem:
        """Have a job done.

        Raises:
            TimeoutError: it was not, within ``seconds``; the worker is of no use any more.
            WorkerDiedError: the process is gone.
        """
        try:
            self._pipe.send(job)
        except OSError as error:
            raise WorkerDiedError from error
        answer: bytes | Problem = self._received(seconds)
        return answer

    def _received(self, seconds: float) -> Any:
        try:
            if not self._pipe.poll(max(0.0, seconds)):
                raise TimeoutError
            return self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise WorkerDiedError from error

    def stop(self, seconds: float = 2.0) -> None:
        """Let the process end, by force if it does not."""
        self._pipe.close()
        self._process.join(seconds)
        if self.alive:
            self._process.kill()
            self._process.join()


def work(pipe: Connection, models: Mapping[str, bytes], limits: Limits) -> None:
    """Do jobs until the other end of the pipe is closed; what runs in the process.

    Signals to the whole group, as Ctrl-C is, are for the process that accepts requests: it lets
    what is under way be finished.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    try:
        desk = Desk(models, limits)
    except ChiffresError as error:
        pipe.send(str(error))
        return
    pipe.send(desk.models())
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send(desk.do(job))
        except Problem as problem:
            pipe.send(problem)
        except BrokenPipeError:
            return
