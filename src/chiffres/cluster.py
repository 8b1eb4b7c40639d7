"""Ray, which sends work to other processes and machines: how it is reached, and its errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chiffres.errors import JobError, MissingExtraError, UsageError

LOCAL = "local"
"""Processes of this machine, without Ray."""
RAY = "ray"
CLIENT = "ray://"
ATTEMPTS = 3
"""So often is tried what fails for a reason that nobody foresaw, or whose node was lost."""
AT_HOME = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # as fast as processes without Ray
}
"""What a Ray that is started here is told, unless the environment says otherwise."""


def is_ray(on: str) -> bool:
    """Return whether a place to run at is Ray, not processes of this machine.

    Raises:
        UsageError: it is neither.
    """
    host, _, port = on.removeprefix(CLIENT).rpartition(":")
    if on in (LOCAL, RAY) or (on.startswith(CLIENT) and host and port.isdecimal()):
        return on != LOCAL
    raise UsageError(f"--on {on!r}: expected {LOCAL}, {RAY} or {CLIENT}HOST:PORT")


@contextmanager
def connected(on: str, cores: int | None = None) -> Iterator[None]:
    """Be connected to Ray within the block; a connection that there is already is used and kept.

    Args:
        on: ``ray`` for the cluster that ``$RAY_ADDRESS`` names, or else one on this machine that
            ends with the block; or ``ray://HOST:PORT``.
        cores: of this machine that a Ray started here may use; by default all.

    Raises:
        MissingExtraError: Ray is not installed.
        JobError: there is no such cluster, or none could be started.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("--on ray", "cluster", error.name) from error
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS", LOCAL) if on == RAY else on
    for name, value in AT_HOME.items() if address == LOCAL else ():
        os.environ.setdefault(name, value)
    started_here = {"num_cpus": cores, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **started_here)
    except Exception as error:  # Ray's are of many kinds
        raise JobError(f"Ray ({address}) cannot be reached or started: {reason(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def reason(error: BaseException) -> str:
    """Return what went wrong as one line; of an error in a task of Ray, what it was there."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return reason(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def enter(folder: str) -> None:
    """Work in ``folder`` where this node has it: what was named from there is found from here."""
    if Path(folder).is_dir():
        os.chdir(folder)
