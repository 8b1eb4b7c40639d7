"""Workers that are processes, and the run they leave; what they learn is in ``test_team``."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chiffres.data import Dataset
from chiffres.errors import JobError, TrainingError, UsageError
from chiffres.models.backend import BACKEND
from chiffres.models.files import load_model
from chiffres.native.team import WorkerLost
from chiffres.training import parallel
from chiffres.training.parallel import train_in_parallel
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

if BACKEND != "torch":
    pytest.skip("workers are of Torch's backend", allow_module_level=True)
FILES = {"recipe.toml", "history.csv", "model.keras", "metrics.json", "environment.json"}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def recipe(name: str = "dense", **settings: object) -> Recipe:
    own = {"epochs": 3, "scale": "unit", "learning_rate": 0.001} | settings
    return load_recipe(name, [f"{key}={value}" for key, value in own.items()])


def assert_as_one(run: Run, alone: Run) -> None:
    """Compare the weights, and what was measured, of a training by several and by one."""
    pairs = zip(*(load_model(each.folder).get_weights() for each in (run, alone)), strict=True)
    assert max(abs(mine - theirs).max() for mine, theirs in pairs) < 1e-5
    for name, values in alone.history().items():
        assert run.history()[name] == pytest.approx(values, rel=1e-4)


def wait_for(happened: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what is no longer nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_two_processes_leave_the_run_of_one(
    small: Dataset, dense_run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = train_in_parallel(recipe(), tmp_path / "run", 2, dataset=small)
    assert_as_one(run, dense_run)
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert run.environment()["workers"] == 2
    assert "workers" not in dense_run.environment()
    assert capfd.readouterr().err.count("epoch 3/3") == 1  # of the first worker alone
    with pytest.raises(UsageError, match="holds a run already"):
        train_in_parallel(recipe(), tmp_path / "run", 2, dataset=small)
    assert train_in_parallel(recipe(), tmp_path / "run", 3, dataset=small, resume=True) == run


@pytest.mark.cluster
def test_a_killed_worker_loses_no_finished_epoch(
    small: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    everything = recipe("conv-dropout", augment="reader", negatives=0.1, epochs=6)
    alone = train(everything, tmp_path / "alone", dataset=small, show_progress=False)
    folder, killed = tmp_path / "run", []

    def kill_one() -> None:
        wait_for(lambda: Run(folder).metrics().get("epochs"))
        for process in multiprocessing.active_children()[-1:]:
            killed.append(process.pid)
            process.kill()

    thread = threading.Thread(target=kill_one)
    thread.start()
    stored = {"storage": str(tmp_path / "stored"), "show_progress": False}
    run = train_in_parallel(everything, folder, 2, dataset=small, **stored)  # type: ignore[arg-type]
    thread.join()
    assert len(killed) == 1
    assert "a worker was lost" in caplog.text
    assert_as_one(run, alone)
    assert_as_one(Run(tmp_path / "stored"), alone)


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(each) for each in listed.split()]


@on_linux
@pytest.mark.cluster
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_the_workers_end_with_their_parent(sent: int, tmp_path: Path, session_cache: Path) -> None:
    folder = tmp_path / "run"
    asked = ["train", "dense", "--data", "mnist-5k", "--set", "epochs=2000", "--workers", "2"]
    begun = subprocess.Popen(
        [sys.executable, "-m", "chiffres", *asked, "--out", str(folder)], stderr=subprocess.PIPE
    )
    try:
        wait_for(lambda: Run(folder).metrics().get("epochs"))
        workers = children(begun.pid)
        assert len(workers) >= 2
        os.kill(begun.pid, sent)
        _, said = begun.communicate(timeout=60)
    finally:
        begun.kill()
    wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in workers))
    if sent == signal.SIGINT:
        assert b"interrupted" in said
        assert b"Traceback" not in said


def test_a_team_that_is_lost_again_and_again_is_given_up(
    dense_run: Run, small: Dataset, tmp_path: Path
) -> None:
    run, tried = Run(tmp_path), []
    run.start(recipe(epochs=9), small, BACKEND)

    def train_once() -> None:
        tried.append(1)
        if len(tried) == 3:
            run.record(epochs=5)  # that is getting somewhere
        raise WorkerLost("worker 1 ended with exit code -9")

    with pytest.raises(TrainingError, match=r"lost 4 times in epoch 6.*exit code -9.*--resume"):
        parallel.until_finished(run, train_once)
    assert len(tried) == 2 + 4


def test_a_team_that_was_lost_after_its_last_epoch_has_finished(
    small: Dataset, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    run.start(recipe(), small, BACKEND)

    def train_once() -> None:
        run.record(epochs=3)
        raise WorkerLost("worker 1 ended with exit code -9")

    parallel.until_finished(run, train_once)


def test_of_several_failures_the_cause_is_raised() -> None:
    with pytest.raises(JobError, match="disk full"):
        parallel.raise_worst([(WorkerLost, "no answer"), (JobError, "disk full")])
    with pytest.raises(WorkerLost, match="no answer"):
        parallel.raise_worst([(WorkerLost, "no answer")])


@pytest.mark.parametrize(
    ("workers", "on", "message"),
    [
        (0, "local", "workers = 0: expected 1 to 128"),
        (129, "local", "workers = 129: expected 1 to 128"),
        (2, "cloud", "'cloud': expected local, ray or ray://HOST:PORT"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    small: Dataset, tmp_path: Path, workers: int, on: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train_in_parallel(recipe(), tmp_path / "run", workers, on=on, dataset=small)
    assert not (tmp_path / "run").exists()


def test_workers_train_on_torch_alone(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "BACKEND", "jax")
    with pytest.raises(UsageError, match="torch alone, not on jax"):
        train_in_parallel(recipe(), tmp_path / "run", 2, dataset=small)
