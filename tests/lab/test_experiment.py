"""The lab's trainings, here or on an engine."""

from __future__ import annotations

from pathlib import Path

from chiffres.data import Dataset
from chiffres.lab.experiment import run_lab
from chiffres.training.run import Run
from chiffres.training.trials import Processes

SETTINGS = ["epochs=1", "scale=unit"]


def test_an_engine_leaves_the_same_runs(from_file: Dataset, tmp_path: Path) -> None:
    for name, engine in (("here", None), ("there", Processes(1))):
        run_lab(tmp_path / name, from_file, ["dense"], SETTINGS, "en", seeds=2, engine=engine)
    for run in ("dense", "dense-9001"):
        for file in ("recipe.toml", "history.csv"):
            here, there = (tmp_path / name / run / file for name in ("here", "there"))
            assert there.read_bytes() == here.read_bytes()
        assert Run(tmp_path / "there" / run).finished
    assert (tmp_path / "there" / "report.html").is_file()
