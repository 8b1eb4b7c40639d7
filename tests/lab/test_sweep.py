"""Sweeps: every combination once, whatever kills the process."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chiffres.data import Dataset
from chiffres.errors import RecipeError, TrainingError, UsageError
from chiffres.lab.sweep import plan, run_sweep
from chiffres.training.run import Run
from chiffres.training.trials import Outcome, Processes, Trial

OVER = ["learning_rate=0.001,0.003", "batch_size=32,64"]
SETTINGS = ["epochs=4", "scale=unit"]
KILLS = int(os.environ.get("CHIFFRES_TEST_KILLS", "1"))
"""Each takes some seconds: CHIFFRES_TEST_KILLS=20 for the whole claim."""


def test_a_plan_is_every_combination_with_every_seed(tmp_path: Path) -> None:
    over = ["dropout=0,0.5", "pooling=max,none"]
    trials = plan("conv-dropout", over, tmp_path, "digits", 3, ["seed=5"])
    assert len(trials) == 2 * 2 * 3
    assert {trial.recipe.seed for trial in trials} == {5, 6, 7}
    assert {trial.recipe.data for trial in trials} == {"digits"}
    assert trials[0].folder == tmp_path / "dropout=0,pooling=max" / "seed-5"
    assert trials[-1].recipe.options == {"dropout": 0.5, "pooling": "none"}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (["dropout"], "expected key=value,value"),
        (["dropout=0,,1"], "expected key=value,value"),
        (["seed=1,2"], "seed cannot be swept; use --seeds"),
        (["data=digits,mnist"], "data cannot be swept"),
        (["dropout=0", "dropout=1"], "name each key once"),
        (["dropout=0.2,0.20"], "name each value once"),
        (["dropout=0.2,0.2"], "name each value once"),
    ],
)
def test_what_cannot_be_swept(over: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        plan("conv-dropout", over, tmp_path, "digits")


def test_a_key_that_the_model_has_not_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'dense' has no dropout to set"):
        plan("dense", ["dropout=0,0.5"], tmp_path, "digits")
    with pytest.raises(RecipeError, match=r"did you mean 'dropout'"):
        plan("dense", ["dropuot=0,0.5"], tmp_path, "digits")


def test_a_trial_that_fails_is_told_and_the_others_are_compared(
    from_file: Dataset, tmp_path: Path
) -> None:
    over, settings = ["learning_rate=0.001,1e30"], ["epochs=1", "optimizer=sgd"]
    said: list[Outcome] = []
    comparison = run_sweep(
        "dense", over, tmp_path, Processes(1), from_file, settings=settings, say=said.append
    )
    assert [model.name for model in comparison.models] == ["dense"]
    assert list(comparison.failed) == ["learning_rate=1e30 seed-9000"]
    assert [bool(outcome.error) for outcome in said] == [False, True]
    with pytest.raises(TrainingError, match="no trial was finished; the first: "):
        run_sweep(
            *("dense", ["learning_rate=1e30,1e31"], tmp_path, Processes(1), from_file),
            settings=settings,
            resume=True,
        )


def test_another_engine_can_run_the_trials(from_file: Dataset, tmp_path: Path) -> None:
    given: list[Trial] = []

    def elsewhere(trials: Sequence[Trial], log: Sequence[str]) -> Iterator[Outcome]:
        given.extend(trials)
        yield from Processes(1)(trials, log)

    settings = ["epochs=1", "scale=unit"]
    over = ["batch_size=32,64"]
    comparison = run_sweep("dense", over, tmp_path, elsewhere, from_file, settings=settings)
    assert [model.name for model in comparison.models] == ["batch_size=32", "batch_size=64"]
    assert len(given) == 2
    assert "chiffres sweep dense --data" in comparison.command
    with pytest.raises(UsageError, match="holds a sweep already; resume it"):
        run_sweep("dense", over, tmp_path, elsewhere, from_file, settings=settings)
    wider = ["batch_size=32,64,128"]
    run_sweep("dense", wider, tmp_path, elsewhere, from_file, settings=settings, resume=True)
    assert [trial.recipe.batch_size for trial in given] == [32, 64, 128]


SWEEP = f"""
import sys
from pathlib import Path
from chiffres.lab.sweep import plan
from chiffres.training.trials import Processes
out, data = sys.argv[1:]
trials = plan("dense", {OVER}, Path(out), data, settings={SETTINGS})
for outcome in Processes(2)([trial for trial in trials if not trial.run.finished], []):
    assert not outcome.error, outcome.error
"""
"""What the command does, but for the report."""


def sweep(out: Path, data: str) -> subprocess.Popen[bytes]:
    """Begin the sweep, or go on with it, in a process of its own."""
    with said(out).open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", SWEEP, str(out), data], stderr=log)


def said(out: Path) -> Path:
    """Return where the sweep's messages go."""
    return out.with_name(f"{out.name}.log")


def finished(out: Path) -> dict[Path, tuple[int, bytes]]:
    """Return when each finished trial's model was written, and its history."""
    runs = [Run(path.parent) for path in sorted(out.rglob("recipe.toml"))]
    return {
        run.folder.relative_to(out): (
            run.model_path.stat().st_mtime_ns,
            (run.folder / "history.csv").read_bytes(),
        )
        for run in runs
        if run.finished
    }


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is not of Windows")
def test_a_sweep_killed_at_random_moments_loses_no_finished_trial_and_repeats_none(
    from_file: Dataset, tmp_path: Path
) -> None:
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "killed"
    begun = time.monotonic()
    assert sweep(undisturbed, from_file.name).wait() == 0
    seconds = time.monotonic() - begun
    rng, kills, known = random.Random(0), 0, finished(out)
    while kills < KILLS:
        process = sweep(out, from_file.name)
        try:
            process.wait(rng.uniform(0.4, 1) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            assert process.returncode == 0, said(out).read_text(encoding="utf-8")
            shutil.rmtree(out)  # finished before the kill: the next one comes earlier
            known = {}
            continue
        now = finished(out)
        assert {folder: now.get(folder) for folder in known} == known
        known = now
    last = sweep(out, from_file.name)
    assert last.wait() == 0, said(out).read_text(encoding="utf-8")
    done = finished(out)
    assert {folder: done[folder] for folder in known} == known
    histories = {folder: history for folder, (_, history) in done.items()}
    assert histories == {folder: history for folder, (_, history) in finished(undisturbed).items()}
