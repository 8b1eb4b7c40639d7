"""Accepting connections, until a signal says to stop; then what is under way is finished."""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from chiffres.errors import JobError, UsageError
from chiffres.serve.app import create_app
from chiffres.serve.limits import Limits
from chiffres.serve.models import served_models
from chiffres.serve.pool import Pool
from chiffres.serve.problems import MEDIA_TYPE, Busy, Problem, TooSlow

KEEP_ALIVE = 30
"""Seconds for which a connection without a request stays open."""
BACKLOG = 128
STOPPING = (signal.SIGINT, signal.SIGTERM)


class Protocol(H11Protocol):
    """Uvicorn's, with a limit of connections and of the time that a request's head may take."""

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._turn_away(Busy(f"{self._limits.connections} connections are open already"))
        else:
            self._be_patient()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; from the first byte of a head on, time runs."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._patience is None and self.conn.trailing_data[0]:
            self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _be_patient(self) -> None:
        slow = TooSlow(f"no request arrived within {self._limits.receive_seconds:g} seconds")
        self._patience = self.loop.call_later(self._limits.receive_seconds, self._turn_away, slow)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _turn_away(self, problem: Problem) -> None:
        content = json.dumps(problem.document()).encode()
        headers = {
            **problem.headers(),
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(content)),
            "Connection": "close",
        }
        head = f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"{head}{lines}\r\n".encode() + content)
        self.transport.close()


class Server(uvicorn.Server):
    """Stops at a signal, and then returns: that is how one ends it, so nothing went wrong."""

    interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what is under way, and stop; unfinished at a second Ctrl-C, at nothing else."""
        if sig == signal.SIGINT:
            self.force_exit = self.interrupted
            self.interrupted = True
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals to stop from now on, after the block, too: more is to be finished."""
        for each in STOPPING:
            signal.signal(each, self.handle_exit)
        yield


@contextmanager
def _handlers_put_back() -> Iterator[None]:
    """Put the handlers of the signals to stop back after the block."""
    before = {each: signal.getsignal(each) for each in STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def serve(
    own_models: Sequence[str] = (),
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 2,
    key: str | None = None,
    limits: Limits | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the page and the API until SIGINT or SIGTERM.

    Args:
        own_models: run folders or model files, to choose from beside those that come along.
        host: the address to listen at.
        port: likewise; 0 = any that is free.
        workers: how many processes read.
        key: what ``/v1`` and ``/metrics`` ask for in the header ``Authorization``, if anything.
        limits: of what is accepted.
        announce: is told the address, once requests are accepted.

    Raises:
        UsageError: a model that does not exist, or no workers.
        ModelFileError: a model that cannot be loaded.
        JobError: the port is taken, or the workers die.
    """
    if workers < 1:
        raise UsageError(f"workers = {workers}: expected 1 or more")
    limits = limits or Limits()
    models = served_models(own_models)
    with _handlers_put_back(), listen(host, port) as listener:
        pool = Pool({model.name: model.content for model in models}, workers, limits)
        try:
            config = uvicorn.Config(
                create_app(models, pool, limits, key),
                http=functools.partial(Protocol, limits=limits),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=round(limits.longest),
            )
            announce(_address(listener))
            Server(config).run(sockets=[listener])
        finally:
            pool.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that accepts connections and sends what is written to them at once.

    Asyncio asks for that only where it made the socket itself; without it the body of an answer
    waits 40 ms, until its head is acknowledged.

    Raises:
        JobError: the port is taken, or the host is no address of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise JobError(
            f"cannot listen at {host}, port {port}: {reason}; choose another with --host or --port"
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
