"""The notebooks: what the script makes, alike in both languages, and they run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupytext", reason="jupytext is not installed")
pytest.importorskip("nbclient", reason="the extra course is not installed")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from nbclient import NotebookClient

import make_notebooks
from chiffres.course.exercises import EXERCISES

pytestmark = pytest.mark.filterwarnings("ignore:Proactor event loop")  # of ZeroMQ on Windows
EPOCHS = {"CHIFFRES_COURSE_EPOCHS": "1"}


def run(notebook: Any, tmp_path: Path, **variables: str) -> str:
    """Run a notebook in a kernel of its own; return all that it shows."""
    client = NotebookClient(notebook, timeout=280, kernel_name="python3")
    client.execute(cwd=str(tmp_path), env=os.environ | variables)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(output.get("data", output.get("text", ""))) for output in outputs)


def test_the_notebooks_are_what_the_script_makes() -> None:
    assert make_notebooks.main(check=True) == 0


def test_both_languages_have_the_same_structure() -> None:
    assert len(make_notebooks.pairs()) > 20


def test_every_exercise_is_set_once() -> None:
    source = make_notebooks.SCRIPT.read_text(encoding="utf-8")
    for name in EXERCISES:
        assert source.count(f'course.check("{name}", {name})') == 1
    assert source.count("course.check(") == len(EXERCISES)


def test_solved_all_answers_hold(tmp_path: Path) -> None:
    shown = run(make_notebooks.notebook("fr", solved=True), tmp_path, **EPOCHS)
    assert shown.count("<b>Juste.</b>") == len(EXERCISES)
    assert shown.count("<iframe") == 2


@pytest.mark.course
@pytest.mark.parametrize("language", ["fr", "en"])
def test_unsolved_it_runs_to_its_end_with_all_its_epochs(language: str, tmp_path: Path) -> None:
    shown = run(make_notebooks.notebook(language), tmp_path)
    unanswered = {"fr": "Pas encore de réponse.", "en": "Not answered yet."}[language]
    assert shown.count(f"<b>{unanswered}</b>") == len(EXERCISES)
