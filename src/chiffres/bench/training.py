"""How long an epoch of the lab's models takes, here and elsewhere.

Every engine trains in a process of its own, on the same digits, in batches of 128, with raw
pixels and Adam, as the lab does. The engines take turns, an epoch each, so that a processor that
gets slower or faster does so for all of them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from chiffres.bench import worker
from chiffres.bench.rows import Measured, Row
from chiffres.data import Dataset
from chiffres.errors import JobError, UsageError
from chiffres.models import build_model
from chiffres.models.backend import BACKEND
from chiffres.training.run import environment

OWN: Final = ("chiffres", "torch", "keras-torch")
"""Engines that run in Chiffres's own environment: itself, Torch alone, and plain Keras on Torch."""
PEERS: Final = {"tensorflow": "keras-tensorflow", "jax": "keras-jax"}
"""Engines that need an environment of their own, by the backend it has."""
FLOOR: Final = "floor"
"""The time that the matrix products would take at the full speed of this processor."""
SGEMM_SIZE: Final = 2048


def bench_training(
    dataset: Dataset,
    models: Sequence[str],
    epochs: int,
    peers: Mapping[str, Path],
    report: Callable[[str, str, float], None],
) -> Measured:
    """Time ``epochs`` epochs of each engine on each of the lab's models.

    Args:
        dataset: its training part is trained on.
        models: names of the lab's models.
        epochs: rounds, in each of which every engine trains one epoch; at least 1.
        peers: the Python interpreter of an environment for a backend of ``PEERS``.
        report: called with model, engine and seconds after every epoch.

    Raises:
        UsageError: a peer that is not known, or whose interpreter is missing.
        JobError: an engine that stopped; the message has its last words.
    """
    pythons = {engine: Path(sys.executable) for engine in OWN} | _interpreters(peers)
    rows: list[Row] = []
    versions: dict[str, dict[str, str]] = {}
    rates: list[float] = []
    with tempfile.TemporaryDirectory(prefix="chiffres-bench-") as folder:
        digits = Path(folder) / "digits.npz"
        np.savez(digits, images=dataset.train.images, labels=dataset.train.labels)
        products = {}
        for name in models:
            model = build_model(name)
            products[name] = len(dataset.train) * matrix_products(model)
            config = Path(folder) / f"{name}.json"
            config.write_text(model.to_json(), encoding="utf-8")
            with ExitStack() as stack:
                running = {
                    engine: stack.enter_context(_engine(engine, python, config, digits))
                    for engine, python in pythons.items()
                }
                versions |= {engine: each.versions for engine, each in running.items()}
                answers: dict[str, list[dict[str, float]]] = {engine: [] for engine in running}
                for _ in range(epochs):
                    rates += [_sgemm_rate()]
                    for engine, each in running.items():
                        answers[engine].append(each.epoch())
                        report(name, engine, answers[engine][-1]["seconds"])
            rows += _rows(name, answers)
    rows += [
        Row(name, FLOOR, "epoch", "s", [products[name] / rate for rate in rates]) for name in models
    ]
    machine = environment(dataset, BACKEND) | {
        "batch_size": worker.BATCH,
        "sgemm_gflops": round(statistics.median(rates) / 1e9, 1),
        "versions": versions,
    }
    return Measured("training", machine, rows)


def matrix_products(model: Any) -> float:
    """Return the floating point operations of the matrix products in training on one image.

    Forward, the gradient of the weights and, but for the first layer, that of the input: each as
    many multiplications, and additions, as the layer has weights at each place it is applied.
    """
    total, factor = 0.0, 2
    for layer in model.layers:
        if getattr(layer, "kernel", None) is not None:
            places = int(np.prod(layer.output.shape[1:-1]))
            total += factor * 2 * places * int(np.prod(layer.kernel.shape))
            factor = 3
    return total


def _interpreters(peers: Mapping[str, Path]) -> dict[str, Path]:
    for backend, python in peers.items():
        if backend not in PEERS:
            raise UsageError(f"unknown peer {backend!r}; known: {', '.join(PEERS)}")
        if not python.is_file():
            raise UsageError(
                f"no Python interpreter at {python} for {backend}; "
                f"make the environment with: scripts/setup-backend {backend}"
            )
    return {PEERS[backend]: python.absolute() for backend, python in peers.items()}


def _rows(name: str, answers: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[Row]:
    for engine, epochs in answers.items():
        yield Row(name, engine, "epoch", "s", [each["seconds"] for each in epochs])
    beyond = [1 - each["step_seconds"] / each["seconds"] for each in answers["chiffres"]]
    yield Row(name, "chiffres", "outside the step", "share of the epoch", beyond)


class _Engine:
    """A worker that has warmed up and waits."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.process = process
        self.versions: dict[str, str] = self._answer()["versions"]

    def epoch(self) -> dict[str, float]:
        """Train an epoch; return its ``seconds`` and ``step_seconds``."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise JobError(f"{self.name} stopped with exit code {self.process.wait()}")


@contextmanager
def _engine(name: str, python: Path, config: Path, digits: Path) -> Iterator[_Engine]:
    """Start a worker, wait until it is warm, and end it in the end."""
    backend = name.removeprefix("keras-") if name.startswith("keras-") else "torch"
    variables = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    kind = "keras" if name.startswith("keras-") else name
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [python, worker.__file__, kind, config, digits],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        with process:
            try:
                yield _Engine(name, process)
            except JobError as error:
                errors.seek(0)
                said = errors.read().strip().splitlines() or ["it said nothing"]
                raise JobError(f"{error}: {said[-1]}") from None
            finally:
                process.kill()


def _sgemm_rate() -> float:
    """Return the floating point operations per second of a product of large matrices."""
    import torch

    matrix = torch.rand(SGEMM_SIZE, SGEMM_SIZE)
    result = matrix @ matrix
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        torch.mm(matrix, matrix, out=result)
        seconds.append(time.perf_counter() - start)
    return 2 * SGEMM_SIZE**3 / statistics.median(seconds)
