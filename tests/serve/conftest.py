"""Servers to talk to: real ones, on loopback, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serve import networks

STRICT = """
from chiffres.serve.limits import Limits
from chiffres.serve.server import serve

limits = Limits(upload_bytes=400_000, pixels=2_000_000, receive_seconds=1, connections=12)
say = lambda address: print(address, flush=True)
serve(port=0, workers=1, key="open sesame", limits=limits, announce=say)
"""


@contextmanager
def running(*command: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server until the block ends, and see that it then stops as it should."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert "http://" in said, said
        yield next(word for word in said.split() if word.startswith("http://")), process
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        process.stdout.close()
    assert code == 0


@pytest.fixture(scope="session")
def own_models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write two models of the user's own."""
    folder = tmp_path_factory.mktemp("models")
    models = {"small": networks.convolutional(), "plain": networks.dense()}
    for name, content in models.items():
        (folder / f"{name}.onnx").write_bytes(content)
    return [folder / f"{name}.onnx" for name in models]


@pytest.fixture(scope="session")
def address(own_models: list[Path]) -> Iterator[str]:
    """Start a server as anyone would, with two models beside the shipped one."""
    options = [part for path in own_models for part in ("--model", str(path))]
    with running("-m", "chiffres", "serve", "--port", "0", "--workers", "2", *options) as (at, _):
        yield at


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def strict_address() -> Iterator[str]:
    """Start a server that asks for a key and has small limits."""
    with running("-c", STRICT) as (at, _):
        yield at


@pytest.fixture
def strict(strict_address: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer open sesame"}
    with httpx.Client(base_url=strict_address, timeout=30, headers=headers) as client:
        yield client
