"""Where work is sent, and what is said where it cannot be."""

from __future__ import annotations

import sys

import pytest

from chiffres.cluster import connected, is_ray, reason
from chiffres.errors import JobError, MissingExtraError, UsageError
from chiffres.training.cluster import Cluster, engine_on
from chiffres.training.trials import Processes


@pytest.mark.parametrize(
    ("on", "is_it"),
    [("local", False), ("ray", True), ("ray://head:10001", True), ("ray://[::1]:10001", True)],
)
def test_a_place_to_run_at(on: str, is_it: bool) -> None:
    assert is_ray(on) is is_it
    assert engine_on(on, 3) == (Cluster(on, 3) if is_it else Processes(3))


@pytest.mark.parametrize("on", ["", "rays", "ray://", "ray://head", "ray://head:x", "head:10001"])
def test_no_place_to_run_at(on: str) -> None:
    with pytest.raises(UsageError, match="expected local, ray or ray://HOST:PORT"):
        is_ray(on)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'chiffres\[cluster\]'"),
        connected("ray"),
    ):
        pass


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="the extra cluster is not installed")

    def no_answer(*_: object, **__: object) -> None:
        raise ConnectionError("ray client connection timeout\nand much more")

    monkeypatch.setattr(ray, "init", no_answer)
    expected = r"Ray \(ray://head:1\) cannot .*: ConnectionError: ray client connection timeout$"
    with pytest.raises(JobError, match=expected), connected("ray://head:1"):
        pass


def test_a_reason_is_one_line_about_what_was_first() -> None:
    class TaskError(Exception):
        cause: Exception

    error = TaskError("a traceback\nof many lines")
    assert reason(error) == "TaskError: a traceback"
    error.cause = OSError("\n  no space left on device\n")
    assert reason(error) == "OSError: no space left on device"
    assert reason(KeyError()) == "KeyError"
