"""The socket that the server listens at."""

from __future__ import annotations

import socket

import pytest

from chiffres.errors import JobError
from chiffres.serve.server import listen


def test_what_is_written_is_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(JobError, match=f"port {port}.*choose another"):
            listen("127.0.0.1", port)
